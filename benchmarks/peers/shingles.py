"""What rensa and datasketch leave to their users: lines in, tokens, runs of five, lines out. As fast as Python goes."""

from __future__ import annotations

import json
import re
import sys
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path

import orjson

WIDTH = 5
#: Words and symbols; marks and brackets separate. For Latin script that is the rule of Excise.
_TOKENS = re.compile(r"\w+|[^\w\s.,:;!?'\"()\[\]{}\u2010-\u2027\u3001-\u3011]").findall


def read(path: Path) -> tuple[list[bytes], list[dict[str, str]]]:
    """Lines with their ends, and records."""
    lines = path.read_bytes().splitlines(keepends=True)
    return lines, [orjson.loads(line) for line in lines]


def strings(text: str) -> list[str]:
    """Runs of five tokens, as the packages' pages do it."""
    words = _TOKENS(text.lower())
    if len(words) < WIDTH:
        return [" ".join(words)]
    return list(map(" ".join, zip(*(words[i:] for i in range(WIDTH)), strict=False)))


def hashes(text: str) -> bytes:
    """Runs of five tokens as 64-bit numbers: half the time of strings. Needs a fixed PYTHONHASHSEED."""
    words = _TOKENS(text.lower())
    if len(words) < WIDTH:
        return array("q", [hash(tuple(words))]).tobytes()
    return array("q", map(hash, zip(*(words[i:] for i in range(WIDTH)), strict=False))).tobytes()


def all_hashes(texts: Sequence[str], processes: int) -> Iterator[bytes]:
    """`hashes` of every text, by so many processes."""
    if processes == 1:
        yield from map(hashes, texts)
        return
    with get_context("fork").Pool(processes) as pool:
        yield from pool.imap(hashes, texts, chunksize=256)


class Job:
    """Steps with their times, and the end of every job: the lines that stay, and what went, as JSON to stdout."""

    def __init__(self) -> None:
        self._clock = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def done(self, step: str) -> None:
        """The step took what passed since the last one."""
        now = time.perf_counter()
        self.seconds[step] = round(now - self._clock, 3)
        self._clock = now

    def finish(
        self, lines: Sequence[bytes], kept: Iterable[bool], ids: Sequence[str], out: Path, **more: object
    ) -> None:
        """Write the lines that stay."""
        stays = list(kept)
        with out.open("wb") as file:
            file.writelines(line for line, stay in zip(lines, stays, strict=True) if stay)
        self.done("write")
        removed = [one for one, stay in zip(ids, stays, strict=True) if not stay]
        json.dump({"removed": removed, "steps_s": self.seconds, **more}, sys.stdout)

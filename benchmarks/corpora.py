"""Text of this machine and of ../shared as corpora for the benchmarks, with duplicates planted in it."""

from __future__ import annotations

import gzip
import json
import random
import re
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from outcome import SHARED

PIECE_CHARACTERS = 3000


def articles(least_characters: int = 200) -> Iterator[str]:
    """English encyclopedia articles."""
    with tarfile.open(SHARED / "data/enwiki/enwiki-aa.tar.xz") as opened:
        for member in opened:
            if member.isfile():
                body = opened.extractfile(member).read().decode()
                for article in re.findall(r"<doc [^>]*>\n(.*?)</doc>", body, re.DOTALL):
                    if len(article) > least_characters:
                        yield article.strip()


def chinese_articles(least_characters: int = 200) -> Iterator[str]:
    """Chinese encyclopedia articles; those that occur twice, in two states, once only."""
    with tarfile.open(SHARED / "data/zhwiki/zhwiki.tar.xz") as opened:
        for member in opened:
            if member.isfile() and Path(member.name).parent.name != "c":
                for line in opened.extractfile(member).read().decode().splitlines():
                    text = json.loads(line)["text"].strip() if line.startswith("{") else ""
                    if len(text) > least_characters:
                        yield text


def pieces(texts: Iterable[str], characters: int = PIECE_CHARACTERS) -> Iterator[str]:
    """Texts cut at blank lines into pieces of about so many characters; a rest shorter than a tenth is left out."""
    for text in texts:
        piece: list[str] = []
        size = 0
        for block in text.split("\n\n"):
            piece.append(block)
            size += len(block) + 2
            if size > characters:
                yield "\n\n".join(piece)
                piece, size = [], 0
        if size > characters / 10:
            yield "\n\n".join(piece)


def files(roots: Iterable[Path], patterns: tuple[str, ...], seed: int) -> Iterator[str]:
    """Texts of the files below some folders, in an order drawn from the seed."""
    found = sorted({p for root in roots if root.is_dir() for pattern in patterns for p in root.rglob(pattern)})
    random.Random(seed).shuffle(found)
    for path in found:
        if path.is_symlink() or not path.is_file():
            continue
        try:
            body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError):
            continue
        if b"\0" not in body:
            yield body.decode("utf-8", "ignore")


def python_code(seed: int = 0) -> Iterator[str]:
    """Python sources of the standard library and of the system's packages, in pieces."""
    roots = [Path(sysconfig.get_paths()["stdlib"]), Path("/usr/lib/python3")]
    within = (p for root in roots if root.is_dir() for p in [root, *root.iterdir()] if p.name != "site-packages")
    return pieces(files([p for p in within if p not in roots and p.is_dir()], ("*.py",), seed))


#: Kinds of text of the mixed corpus, with the share of its bytes each is asked for.
MIXTURE = {"man pages": 0.25, "documentation": 0.10, "python": 0.25, "c": 0.15, "encyclopedia": 0.25}


def mixture(seed: int) -> dict[str, Iterator[str]]:
    """Texts by kind; a kind that this machine lacks is empty."""
    share, usr = Path("/usr/share"), Path("/usr")
    documents = ("copyright", "*.txt", "*.md", "*.rst", "changelog*.gz", "NEWS*")
    return {
        "man pages": pieces(files(sorted((share / "man").glob("man*")), ("*.gz",), seed)),
        "documentation": pieces(files([share / "doc"], documents, seed)),
        "python": python_code(seed),
        "c": pieces(files([usr / "include", usr / "src"], ("*.h", "*.c", "*.hpp"), seed)),
        "encyclopedia": articles() if (SHARED / "data/enwiki").is_dir() else iter(()),
    }


@dataclass
class Planted:
    """Texts, and which of them are copies of which.

    Attributes:
        texts: All, shuffled.
        kinds: What each is: its kind of text.
        exact: Copy to original, both as places in `texts`: the same text.
        near: Likewise: a few words changed.
    """

    texts: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    exact: dict[int, int] = field(default_factory=dict)
    near: dict[int, int] = field(default_factory=dict)

    def megabytes(self) -> dict[str, float]:
        """MB by kind of text."""
        sums: dict[str, int] = {}
        for kind, text in zip(self.kinds, self.texts, strict=True):
            sums[kind] = sums.get(kind, 0) + len(text.encode())
        return {kind: round(size / 1e6, 1) for kind, size in sorted(sums.items())}


def reworded(text: str, share: float, rng: random.Random) -> str:
    """So large a share of the words replaced, one at least; white space stays."""
    words = re.split(r"(\s+)", text)
    places = [i for i in range(0, len(words), 2) if words[i]]
    for i in rng.sample(places, min(len(places), max(1, round(share * len(places))))):
        words[i] = f"word{rng.randrange(10**6)}"
    return "".join(words)


def mixed(megabytes: float, seed: int, exact: float = 0.04, near: float = 0.125) -> Planted:
    """Text and code of this machine with copies planted.

    Args:
        megabytes: Size of all, about.
        seed: Of the choice, of the edits and of the order.
        exact: Share of the originals that get an equal copy.
        near: Share that get a copy with 0.5 to 5 % of the words changed.
    """
    rng = random.Random(seed)
    originals = _chosen(mixture(seed), megabytes * 1e6 / (1 + exact + near))
    drawn: list[tuple[str, str, str, int]] = [(text, kind, "", -1) for kind, text in originals]
    for index, (kind, text) in enumerate(originals):
        lot = rng.random()
        if lot < exact:
            drawn.append((text, kind, "exact", index))
        elif lot < exact + near:
            drawn.append((reworded(text, rng.uniform(0.005, 0.05), rng), kind, "near", index))
    order = list(range(len(drawn)))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    out = Planted([drawn[i][0] for i in order], [drawn[i][1] for i in order])
    for old, (_, _, planted, original) in enumerate(drawn):
        if planted:
            getattr(out, planted)[place[old]] = place[original]
    return out


def _chosen(streams: dict[str, Iterator[str]], wanted: float) -> list[tuple[str, str]]:
    """(kind, text) by the shares of MIXTURE, about so many bytes."""
    originals: list[tuple[str, str]] = []
    size = 0
    for kind, stream in streams.items():
        had = 0
        for text in stream:
            if had >= MIXTURE[kind] * wanted:
                break
            originals.append((kind, text))
            had += len(text.encode())
        size += had
    for kind, text in chain.from_iterable(((k, t) for t in s) for k, s in streams.items()):
        if size >= wanted:  # what one kind lacks, the others give
            break
        originals.append((kind, text))
        size += len(text.encode())
    return originals


def write_jsonl(texts: Iterable[str], path: Path) -> Path:
    """One record a line: id and text."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
    return path

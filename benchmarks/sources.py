"""Real texts of ../shared by name, each as a list in a fixed order."""

from __future__ import annotations

import csv
import html
import json
import lzma
import re
import sysconfig
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from corpora import articles, chinese_articles, files
from outcome import SHARED

DATA = SHARED / "data"


def _members(archive: str, suffix: str, encoding: str) -> Iterator[str]:
    with tarfile.open(DATA / archive) as opened:
        for member in sorted((m for m in opened if m.name.endswith(suffix)), key=lambda m: m.name):
            if member.isfile():
                yield opened.extractfile(member).read().decode(encoding, "replace")


def _instructions(pattern: str) -> list[str]:
    found = []
    for path in sorted((DATA / pattern).parent.glob(Path(pattern).name)):
        with lzma.open(path, "rt", encoding="utf-8") as file:
            found += ["\n".join(str(v) for v in record.values() if v) for record in json.load(file)]
    return found


def _ag_news() -> list[str]:
    with (DATA / "ag-news/test.csv").open(encoding="utf-8", newline="") as file:
        return [f"{title}. {body}" for _, title, body in csv.reader(file)]


def _reuters() -> list[str]:
    bodies = [body for part in _members("reuters21578/reuters21578.tar.xz", ".sgm", "latin-1")
              for body in re.findall(r"<BODY>(.*?)</BODY>", part, re.DOTALL)]  # fmt: skip
    return [text for body in bodies if (text := html.unescape(body).strip())]


def _wikitext() -> list[str]:
    with lzma.open(DATA / "wikitext-2/train.txt.xz", "rt", encoding="utf-8") as file:
        return [line for line in file.read().split("\n") if line.strip()]


def _python() -> list[str]:
    texts = files([Path(sysconfig.get_paths()["stdlib"])], ("*.py",), 0)
    return [text for text in texts if text.strip()][:3000]


SOURCES: dict[str, Callable[[], list[str]]] = {
    "enwiki": lambda: [*articles()],
    "zhwiki": lambda: [*chinese_articles(100)],
    "alpaca-en": lambda: _instructions("alpaca-en/alpaca_data.json.xz"),
    "alpaca-zh": lambda: _instructions("alpaca-zh/zh-data-part-*.json.xz"),
    "ag-news": _ag_news,
    "bbc-news": lambda: [*_members("bbc-news/bbc-news.tar.xz", ".txt", "utf-8")],
    "reuters": _reuters,
    "wikitext": _wikitext,
    "python": _python,
}

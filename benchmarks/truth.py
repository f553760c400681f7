r"""The exact truth about near duplicates, independent of Excise's code: tokens, shingles, all pairs.

The rule is the published one (docs/design.md): after lower case and NFKC, tokens are runs of letters, marks, numbers
and `_`; in scripts without blanks each code point is one; so is every symbol (Unicode category S) and each of
`# % & * - / @ \` and the per-cent and per-mille signs; all else separates. A text is the set of its runs of five
tokens (of all its tokens where it has fewer), and the similarity of two texts is Jaccard's, |A & B| / |A | B|.

All pairs are found by a prefix filter, which misses none: two sets with similarity t share one of the rarest
|A| - t|A| + 1 elements of each (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

WIDTH = 5
_SIGNS = set("#%&*-/@\\\u066a\u0609\u2030\u060a\u2031")
#: Scripts written without blanks, by the beginning of their characters' names.
_BLANKLESS = (
    *("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "KATAKANA", "BOPOMOFO", "YI SYLLABLE", "HANGZHOU"),
    *("THAI", "LAO", "KHMER", "MYANMAR", "JAVANESE", "BALINESE", "TAI LE", "NEW TAI LUE", "TAI THAM", "TAI VIET"),
    *("IDEOGRAPHIC ITERATION", "IDEOGRAPHIC CLOSING", "IDEOGRAPHIC NUMBER ZERO", "VERTICAL IDEOGRAPHIC"),
    *("VERTICAL KANA", "HENTAIGANA", "MASU MARK"),
)


class _Rule(dict[int, str]):
    """What stands in the place of a code point, so that splitting at blanks gives the tokens; worked out once each."""

    def __missing__(self, point: int) -> str:
        sign = chr(point)
        kind = unicodedata.category(sign)[0]
        if sign in _SIGNS or kind == "S":
            out = f" {sign} "
        elif point >= 0x20000:  # Han planes; above them are tags and selectors
            out = f" {sign} " if point < 0x40000 else " "
        elif sign == "_" or (kind in "LMN" and not 0xFE00 <= point <= 0xFE0F):
            out = f" {sign} " if unicodedata.name(sign, "").startswith(_BLANKLESS) else sign
        else:
            out = " "
        self[point] = out
        return out


_RULE = _Rule()


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.lower())
    return text.lower().translate(_RULE).split()


def shingles(text: str) -> set[tuple[str, ...]]:
    """The set of runs of five tokens."""
    all_ = tokens(text)
    width = min(WIDTH, len(all_))
    return {tuple(all_[i : i + width]) for i in range(len(all_) - width + 1)} if all_ else set()


def similarity(a: str, b: str) -> float:
    """Jaccard similarity of two texts; 0 where one has no token."""
    one, other = shingles(a), shingles(b)
    return len(one & other) / len(one | other) if one and other else 0.0


class Numbered:
    """Shingle sets as numbers: a token is its number of appearance, a shingle a 64-bit polynomial of five of those."""

    def __init__(self) -> None:
        self._tokens: dict[str, int] = {}

    def sets(self, texts: Iterable[str]) -> list[NDArray[np.uint64]]:
        """Ascending numbers of each text."""
        return [self._set(text) for text in texts]

    def _set(self, text: str) -> NDArray[np.uint64]:
        numbers = self._tokens
        found = np.array([numbers.setdefault(token, len(numbers) + 1) for token in tokens(text)], np.uint64)
        width = min(WIDTH, len(found))
        if width == 0:
            return np.zeros(0, np.uint64)
        total = np.zeros(len(found) - width + 1, np.uint64)
        with np.errstate(over="ignore"):
            for i in range(width):
                total = (total + found[i : len(found) - width + 1 + i]) * np.uint64(0xD6E8FEB86659FD93)
                total ^= total >> np.uint64(32)
        return np.unique(total)


def all_pairs(texts: Sequence[str], least: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Every pair of texts with similarity >= least.

    Returns:
        First, second [pairs], first < second, and their similarity; by (first, second).
    """
    sets = Numbered().sets(texts)
    sizes = np.array([len(one) for one in sets], np.int64)
    owner = np.repeat(np.arange(len(sets)), sizes)
    _, kind, count = np.unique(np.concatenate([np.zeros(0, np.uint64), *sets]), return_inverse=True, return_counts=True)
    rarity = np.empty(len(count), np.int64)
    rarity[np.argsort(count, kind="stable")] = np.arange(len(count))
    numbers = rarity[kind]
    by_size = np.argsort(sizes, kind="stable")
    place = np.empty(len(sets), np.int64)
    place[by_size] = np.arange(len(sets))
    order = np.lexsort((numbers, place[owner]))
    starts = np.append(0, np.cumsum(sizes[by_size]))
    first, second, similar = _joined(numbers[order], starts, len(count), least)
    one, other = by_size[first], by_size[second]
    low, high = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((high, low))
    return low[order], high[order], similar[order]


@numba.njit(cache=True)
def _joined(elements, starts, kinds, least):  # noqa: C901, PLR0912
    """Sets from the smallest up, each ascending by rarity: an index of prefixes proposes, a merge decides."""
    head = np.full(kinds, -1, np.int64)
    entry_set = np.empty(len(elements), np.int64)
    entry_next = np.empty(len(elements), np.int64)
    entries = 0
    seen = np.full(len(starts), -1, np.int64)
    first = [np.int64(0) for _ in range(0)]
    second = [np.int64(0) for _ in range(0)]
    similar = [np.float64(0) for _ in range(0)]
    for this in range(len(starts) - 1):
        begin, end = starts[this], starts[this + 1]
        size = end - begin
        if size == 0:
            continue
        prefix = size - np.int64(np.ceil(least * size - 1e-9)) + 1
        for k in range(begin, min(end, begin + prefix)):
            entry = head[elements[k]]
            while entry >= 0:
                other = entry_set[entry]
                entry = entry_next[entry]
                if seen[other] == this:
                    continue
                seen[other] = this
                a, a_end = starts[other], starts[other + 1]
                if a_end - a < least * size - 1e-9:
                    continue
                b, both = begin, 0
                total = a_end - a + size
                spare = total - 2 * (least / (1 + least) * total - 1e-6)  # elements that may be in one set only
                while a < a_end and b < end and spare >= 0:
                    if elements[a] == elements[b]:
                        both += 1
                        a += 1
                        b += 1
                    elif elements[a] < elements[b]:
                        a += 1
                        spare -= 1
                    else:
                        b += 1
                        spare -= 1
                if spare < 0:
                    continue
                value = both / (total - both)
                if value >= least:
                    first.append(other)
                    second.append(this)
                    similar.append(value)
        for k in range(begin, min(end, begin + prefix)):
            entry_set[entries] = this
            entry_next[entries] = head[elements[k]]
            head[elements[k]] = entries
            entries += 1
    return np.array(first), np.array(second), np.array(similar)


def cached_pairs(
    texts: Sequence[str], least: float, folder: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """`all_pairs`, kept in a folder by the texts' digest."""
    digest = hashlib.blake2b(f"{least}".encode(), digest_size=12)
    for text in texts:
        digest.update(len(text).to_bytes(8, "little") + text.encode("utf-8", "surrogatepass"))
    path = folder / f"pairs-{digest.hexdigest()}.npz"
    if not path.is_file():
        first, second, similar = all_pairs(texts, least)
        np.savez(path, first=first, second=second, similar=similar)
    with np.load(path) as kept:
        return kept["first"], kept["second"], kept["similar"]

"""Units: a text as characters a reader sees, with what each is, and as words, clauses and sentences.

In scripts that put no blanks between words a word is one character. Elsewhere it is a run of letters and digits, with
what stands between two of them as in don't, e-mail, v1.2. Punctuation and white space belong to no word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from excise.data.augment.graphemes import borders, code_points
from excise.data.augment.protect import Span
from excise.data.unicode import ALONE as _ALONE
from excise.data.unicode import points

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

#: Kinds of characters. ALONE: a word by itself, as a Han character or an emoji. INNER: holds two halves of a word.
OTHER, SPACE, LETTER, ALONE, INNER = range(5)
_INNER = "'’-._@/&:+·"
_NAMED, _HAN_PLANES_END, _POINTS = 0x20000, 0x40000, 0x110000

#: Where a sentence or a clause ends, line ends included; the blanks behind belong to it. Looking back, each run of
#: stops is tried once.
_SENTENCE_ENDS = re.compile(
    r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?:[^\S\n]+|(?=\n)|$)|(?<![。！？…])[。！？…]++[”’」』）]*+[^\S\n]*|\n+"
)
_CLAUSE_ENDS = re.compile(_SENTENCE_ENDS.pattern + r"|(?<![,;:])[,;:]++[^\S\n]+|(?<![，、；：])[，、；：]++[^\S\n]*")


@dataclass(frozen=True)
class Units:
    """A text, taken apart.

    Attributes:
        text: The text.
        borders: int64 [characters + 1]: where it may be cut, in code points.
        kinds: uint8 [characters]: OTHER, SPACE, LETTER, ALONE or INNER.
        free: bool [characters]: False where it is protected.
    """

    text: str
    borders: Ints
    kinds: NDArray[np.uint8]
    free: Bools

    def character(self, index: int) -> str:
        """One character; may be several code points."""
        return self.text[self.borders[index] : self.borders[index + 1]]


def units(text: str, protected: Iterable[Span] = ()) -> Units:
    """A text taken apart.

    Args:
        text: Any text.
        protected: Parts that are to stay as they are, in code points.
    """
    cuts = borders(text)
    firsts = cuts[:-1]
    numbers = code_points(text)[firsts] if len(firsts) else np.zeros(0, np.uint32)
    kinds = _kinds()[numbers]
    long = np.diff(cuts) > 1
    if long.any():  # a blank under a mark is no blank; CR LF is one
        kinds = np.where(long & (kinds == SPACE) & (numbers != ord("\r")), np.uint8(OTHER), kinds)
    marks = [n for n in np.unique(numbers).tolist() if unicodedata.category(chr(n))[0] == "M"]
    free = ~np.isin(numbers, marks)  # a mark without its letter would take the one before it in another place
    for start, stop in protected:
        free[max(0, np.searchsorted(cuts, start, "right") - 1) : np.searchsorted(cuts, stop)] = False
    return Units(text, cuts, kinds, free)


def words(of: Units) -> Ints:
    """First and one past the last character of each word: int64 [words, 2]."""
    letters = of.kinds == LETTER
    before, behind = np.zeros_like(letters), np.zeros_like(letters)
    before[1:], behind[:-1] = letters[:-1], letters[1:]
    letters = letters | ((of.kinds == INNER) & before & behind)
    before[1:], behind[:-1] = letters[:-1], letters[1:]
    alone = of.kinds == ALONE
    starts, stops = np.flatnonzero((letters & ~before) | alone), np.flatnonzero((letters & ~behind) | alone) + 1
    return np.stack([starts, stops], 1)


def free_words(of: Units, spans: Ints) -> Bools:
    """Which words nothing is protected of: bool [words]."""
    bound = np.concatenate([[0], np.cumsum(~of.free)])
    free: Bools = bound[spans[:, 1]] == bound[spans[:, 0]]
    return free


def beside_next(of: Units, spans: Ints) -> Bools:
    """Which words only blanks, or nothing, part from the next one: bool [words], False for the last one."""
    blank = of.kinds == SPACE
    for index in np.flatnonzero(blank).tolist():  # a line end parts
        if of.character(index) in {"\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c"}:
            blank[index] = False
    parting = np.concatenate([[0], np.cumsum(~blank)])
    beside = np.zeros(len(spans), np.bool_)
    beside[:-1] = parting[spans[1:, 0]] == parting[spans[:-1, 1]]
    return beside


def sentences(of: Units) -> Ints:
    """Borders of sentences, in code points: int64 [sentences + 1]."""
    return _parted(of, _SENTENCE_ENDS)


def clauses(of: Units) -> Ints:
    """Borders of parts between punctuation signs, in code points: int64 [clauses + 1]."""
    return _parted(of, _CLAUSE_ENDS)


def _parted(of: Units, ends: re.Pattern[str]) -> Ints:
    stops = np.array([match.end() for match in ends.finditer(of.text)], np.int64)
    stops = stops[np.isin(stops, of.borders)]
    return np.unique(np.concatenate([[0], stops, [len(of.text)]]))


def spliced(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """A text with parts of it replaced: (start, stop, new), ascending, in code points."""
    parts, at = [], 0
    for start, stop, new in edits:
        parts += [text[at:start], new]
        at = stop
    return "".join([*parts, text[at:]])


@cache
def _kinds() -> NDArray[np.uint8]:
    """The kind of each code point: uint8 [0x110000]; about 0.1 s, once."""
    table = np.full(_POINTS, OTHER, np.uint8)
    alone = (points()[:_NAMED] & _ALONE) > 0
    for point in range(_NAMED):
        category = unicodedata.category(chr(point))
        if category[0] in "LMN":
            table[point] = ALONE if alone[point] else LETTER
        elif category == "So":
            table[point] = ALONE
        elif chr(point).isspace():
            table[point] = SPACE
    table[_NAMED:_HAN_PLANES_END] = ALONE
    table[[ord(sign) for sign in _INNER]] = INNER
    table[0x1F1E6:0x1F200] = ALONE
    table.setflags(write=False)
    return table

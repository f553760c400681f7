"""Graphemes: where a text may be cut without breaking what a reader takes for one character.

The rule: never before a combining mark, a joiner, a variation selector, an emoji modifier or a tag; never behind a
zero-width joiner, a prepended mark or (before a letter) a virama; never inside a Hangul syllable of jamo, a pair of
regional indicators (a flag), or CR LF. These joins are those of extended grapheme clusters (Unicode Standard Annex 29)
and some more: a border here is always one there.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

#: What a code point does to its neighbours.
_EXTENDS, _JOINS_NEXT, _CONTROL, _REGIONAL, _VIRAMA, _LEADING, _HANGUL, _LETTER = (1 << i for i in range(8))

#: Below are all code points with a life of their own; above are Han (no marks), tags and private use.
_NAMED = 0x20000
_POINTS = 0x110000

#: Code points that belong to the one before them although they are no marks: ZWNJ, ZWJ, Thai and Lao AM, voiced
#: marks of half-width kana, vowels and finals of Hangul, skin tones, tags; and the selectors, marks beyond _NAMED.
_FOLLOWERS = (
    (0x200C, 0x200D),
    (0x0E33, 0x0E33),
    (0x0EB3, 0x0EB3),
    (0xFF9E, 0xFF9F),
    (0x1160, 0x11FF),
    (0xD7B0, 0xD7FF),
    (0x1F3FB, 0x1F3FF),
    (0xE0020, 0xE007F),
    (0xE0100, 0xE01EF),
)
#: Code points that belong to the one behind them.
_PREPENDED = (
    (0x0600, 0x0605),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x0D4E, 0x0D4E),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x111C2, 0x111C3),
    (0x113D1, 0x113D1),
    (0x1193F, 0x1193F),
    (0x11941, 0x11941),
    (0x11A3A, 0x11A3A),
    (0x11A84, 0x11A89),
    (0x11D46, 0x11D46),
    (0x11F02, 0x11F02),
)
_LEADING_JAMO = ((0x1100, 0x115F), (0xA960, 0xA97F))
_HANGUL_SYLLABLES = ((0x1100, 0x11FF), (0xA960, 0xA97F), (0xAC00, 0xD7FF))
_REGIONAL_INDICATORS = ((0x1F1E6, 0x1F1FF),)
_JOINER, _RETURN, _NEWLINE = 0x200D, 13, 10


def code_points(text: str) -> NDArray[np.uint32]:
    """uint32 [code points]; lone surrogates too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)


def borders(text: str) -> NDArray[np.int64]:
    """Places where a text may be cut.

    Args:
        text: Any text.

    Returns:
        int64 [clusters + 1], ascending: 0, ..., number of code points; just [0] for the empty text.

    Cost: O(code points); about 100 million a second of ASCII, 20 million of others.
    Source: Unicode Standard Annex 29, extended grapheme clusters.
    Differs: joins a little more (see above), for it needs no table beyond Python's own.
    """
    if text.isascii() and "\r\n" not in text:
        return np.arange(len(text) + 1)
    points = code_points(text)
    what = _behaviour()[points]
    before, here = what[:-1], what[1:]
    joined = ((here & _EXTENDS) > 0) | ((before & _JOINS_NEXT) > 0)
    joined |= ((before & _LEADING) > 0) & ((here & _HANGUL) > 0)
    joined &= ((before | here) & _CONTROL) == 0
    joined |= (points[:-1] == _RETURN) & (points[1:] == _NEWLINE)
    _join_flags(what, joined)
    _join_conjuncts(what, joined)
    return np.concatenate([[0], np.flatnonzero(~joined) + 1, [len(points)]]).astype(np.int64)


def _join_flags(what: NDArray[np.uint8], joined: NDArray[np.bool_]) -> None:
    """Regional indicators belong together two by two, counted from the first of a run."""
    regional = (what & _REGIONAL) > 0
    if regional.any():
        place = np.arange(len(what))
        first = np.maximum.accumulate(np.where(regional, -1, place))  # the last place in front of the run
        joined |= (regional & ((place - first) % 2 == 0))[1:]


def _join_conjuncts(what: NDArray[np.uint8], joined: NDArray[np.bool_]) -> None:
    """A virama, with whatever marks follow it, binds the letter behind it."""
    for virama in np.flatnonzero(what & _VIRAMA).tolist():
        behind = virama + 1
        while behind < len(what) and what[behind] & _EXTENDS:
            behind += 1
        if behind < len(what) and what[behind] & _LETTER:
            joined[behind - 1] = True


@cache
def _behaviour() -> NDArray[np.uint8]:
    """What each code point does to its neighbours: uint8 [0x110000]; about 0.1 s, once."""
    table = np.zeros(_POINTS, np.uint8)
    for point in range(_NAMED):
        category = unicodedata.category(chr(point))
        if category[0] == "M":
            table[point] |= _EXTENDS
        elif category in {"Cc", "Zl", "Zp"}:
            table[point] |= _CONTROL
        elif category[0] == "L":
            table[point] |= _LETTER
        if unicodedata.combining(chr(point)) == 9:
            table[point] |= _VIRAMA
    marked = (
        (_FOLLOWERS, _EXTENDS),
        (_PREPENDED, _JOINS_NEXT),
        (_LEADING_JAMO, _LEADING),
        (_HANGUL_SYLLABLES, _HANGUL),
        (_REGIONAL_INDICATORS, _REGIONAL),
    )
    for ranges, flag in marked:
        for first, last in ranges:
            table[first : last + 1] |= flag
    table[_JOINER] |= _JOINS_NEXT
    table.setflags(write=False)
    return table

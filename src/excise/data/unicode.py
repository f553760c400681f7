"""What the kernels know of each code point: what it folds to, and whether it makes words, stands alone or separates.

Folding is lower case and NFKC. Tokens are words of letters, marks and numbers; in scripts that put no blanks between
words (Han, kana, Thai, Lao, Khmer, Myanmar, …) every code point is a token, for a Chinese text split at blanks is one
token and repeats nothing. Hangul has blanks and stays words. Symbols (category S) and the few punctuation signs that
carry meaning are tokens by themselves, or -8 and 8, x > y and x < y, C++ and C would be one text. Other punctuation
separates: stops, commas, quotes, brackets, dashes, those of Chinese and Japanese.
"""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: Code points of the table, and where its Han planes begin. Above are tags, selectors and private use: they separate.
_PLANES, _HAN_PLANES = 0x40000, 0x20000
#: Of an entry: the folded code point, and flags. ENTANGLED: not folded by itself, several code points are involved.
POINT, WORD, ALONE, ENTANGLED = _PLANES - 1, 1 << 28, 1 << 29, 1 << 30

#: Letters, marks and numbers that are tokens by themselves.
_ALONE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x3007),  # Han iteration and closing marks, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x312F),  # kana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo
    (0x31F0, 0x31FF),  # kana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),  # Yi
    (0xA980, 0xA9FF),  # Javanese, Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xF900, 0xFAFF),  # Han
    (0x1AFF0, 0x1B16F),  # kana
    (_HAN_PLANES, _PLANES - 1),  # Han
)
#: Punctuation that changes what is said, as symbols do. The last five: percent in Arabic, per mille, per ten thousand.
#: Full-width and small forms fold to these.
_OPERATORS = "#%&*-/@\\\u066a\u0609\u2030\u060a\u2031"
_SURROGATES = slice(0xD800, 0xE000)
_VARIATION_SELECTORS = slice(0xFE00, 0xFE10)


def is_spaceless(text: str) -> bool:
    """Whether most words of a text are single code points, as in Chinese."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    known = points()
    codes = codes[codes < len(known)]
    ends = np.array(_ALONE, np.uint32)
    place = np.searchsorted(ends[:, 0], codes, "right") - 1
    alone = (place >= 0) & (codes <= ends[np.maximum(place, 0), 1])
    words = (known[codes] & WORD) > 0
    begins = words & np.append(True, ~words[:-1])[: len(words)]
    return bool(alone.sum() > begins.sum())


@cache
def points() -> NDArray[np.uint32]:
    """The table.

    Returns:
        uint32 [0x40000], read-only: POINT bits, WORD or ALONE or neither, ENTANGLED or not. An entangled code point
        folds to itself: where it survives NFKC, that is right.

    Cost: about 0.03 s, once.
    """
    table = _folded()
    table |= _kinds()[table & POINT]
    table.setflags(write=False)
    return table


def _letters() -> pa.Array:
    """Every code point of the table as a text of its own; U+0000 in place of surrogates."""
    numbers = np.arange(_PLANES, dtype=np.uint32)
    numbers[_SURROGATES] = 0
    sizes = 1 + (numbers >= 0x80) + (numbers >= 0x800) + (numbers >= 0x10000)
    offsets = np.zeros(_PLANES + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    text = numbers.astype("<u4").tobytes().decode("utf-32-le").encode()
    return pa.LargeStringArray.from_buffers(_PLANES, pa.py_buffer(offsets), pa.py_buffer(text))


def _folded() -> NDArray[np.uint32]:
    """POINT and ENTANGLED by code point.

    A code point is entangled if it folds to several or to more bytes, or if it, or what it folds to, can combine with
    the one before it: marks, the letters that compose, and what this Python's Unicode does not know.
    """
    letters = _letters()
    folds = pc.utf8_lower(pc.utf8_normalize(pc.utf8_lower(letters), form="NFKC"))
    single = pc.equal(pc.utf8_length(folds), 1).to_numpy(zero_copy_only=False)
    single &= pc.less_equal(pc.binary_length(folds), pc.binary_length(letters)).to_numpy(zero_copy_only=False)
    table = np.arange(_PLANES, dtype=np.uint32)
    _, offsets, data = folds.filter(pa.array(single)).buffers()
    joined = data[: int(np.frombuffer(offsets, np.int64)[-1])].to_pybytes()
    table[single] = np.frombuffer(joined.decode().encode("utf-32-le"), "<u4")

    combining = np.isin(_categories(), list(b"MC"))
    combining[:0x80] = False
    combining[0x1100:0x1200] = True  # Hangul letters, which compose to syllables
    combining[0x16D63:0x16D6B] = True  # Kirat Rai vowels
    odd = ~single | combining | combining[table]
    odd[_SURROGATES] = False
    table[odd] = np.flatnonzero(odd) | np.uint32(ENTANGLED)
    return table


@cache
def _categories() -> NDArray[np.uint8]:
    """First letter of the general category by code point; Han above the first two planes, where nearly all is Han."""
    kinds = np.full(_PLANES, ord("L"), np.uint8)
    letters = "".join(map(unicodedata.category, map(chr, range(_HAN_PLANES))))
    kinds[:_HAN_PLANES] = np.frombuffer(letters.encode(), np.uint8)[::2]
    return kinds


def _kinds() -> NDArray[np.uint32]:
    """WORD, ALONE or 0 by code point."""
    kinds = np.where(np.isin(_categories(), list(b"LMN")), np.uint32(WORD), np.uint32(0))
    kinds[ord("_")] = WORD
    kinds[_categories() == ord("S")] = ALONE
    kinds[[ord(c) for c in _OPERATORS]] = ALONE
    kinds[_VARIATION_SELECTORS] = 0
    for first, last in _ALONE:
        kinds[first : last + 1][kinds[first : last + 1] == WORD] = ALONE
    return kinds

"""The compiled loops over lines and paragraphs. Importing this module compiles them."""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201, C901
import numpy as np
from numba import boolean, int64, types, uint8, uint32, uint64

from excise.data.compiled import kernel
from excise.data.unicode import ALONE, WORD

_bytes = types.Array(uint8, 1, "C", readonly=True)
_offsets = types.Array(int64, 1, "C", readonly=True)
_points = types.Array(uint32, 1, "C", readonly=True)

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bit
_PRIME = np.uint64(0x100000001B3)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # splitmix64
_MIX_2 = np.uint64(0x94D049BB133111EB)
_WORD, _ALONE = np.uint32(WORD), np.uint32(ALONE)


@kernel(int64(_bytes, _offsets, boolean, int64[::1], int64[::1]))
def units(data, offsets, paragraphs, starts, owner):
    """Where each line or paragraph starts, the blank lines after it included, and before the first.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        paragraphs: A unit goes on up to a line that follows a blank one, else up to any that is not blank.
        starts: [units + 1], written; at most the number of line feeds plus n + 1.
        owner: [units], written: the text.

    Returns:
        Number of units; an empty text has none.
    """
    count = 0
    for text in range(offsets.size - 1):
        line, stop = offsets[text], offsets[text + 1]
        gap = False
        seen = False
        while line < stop:
            blank = True
            end = line
            while end < stop and data[end] != 10:
                if data[end] > 32:
                    blank = False
                end += 1
            if line == offsets[text] or (seen and not blank and (gap or not paragraphs)):
                starts[count] = line
                owner[count] = text
                count += 1
            gap = blank
            seen = seen or not blank
            line = end + 1
    starts[count] = offsets[offsets.size - 1]
    return count


@kernel(types.void(_bytes, _offsets, _points, int64, int64[::1], uint64[::1]))
def measure(data, offsets, points, wide, lengths, keys):
    """How long each unit is and a hash of it.

    Args:
        data: Bytes of the normalised units.
        offsets: [n + 1].
        points: Table of code points (unicode.points).
        wide: What a letter of a script without blanks counts for; other code points count for one.
        lengths: [n], written; 0 where a unit has no letter and no digit.
        keys: [n], written.
    """
    for unit in range(offsets.size - 1):
        key = _SEED
        length = 0
        letters = False
        i, stop = offsets[unit], offsets[unit + 1]
        while i < stop:
            byte = data[i]
            key = (key ^ np.uint64(byte)) * _PRIME
            i += 1
            if byte & 0xC0 == 0x80:
                continue
            length += 1
            if byte < 0xC0:
                letters |= points[byte] & _WORD != 0
                continue
            point = np.int64(byte)
            if byte < 0xE0 and i < stop:
                point = (point & 31) << 6 | np.int64(data[i] & 63)
            elif byte < 0xF0 and i + 1 < stop:
                point = (point & 15) << 12 | np.int64(data[i] & 63) << 6 | np.int64(data[i + 1] & 63)
            elif i + 2 < stop:
                point = (point & 7) << 18 | np.int64(data[i] & 63) << 12 | np.int64(data[i + 1] & 63) << 6
                point |= np.int64(data[i + 2] & 63)
            if point >= points.size:
                continue
            if points[point] & _WORD:
                letters = True
            elif points[point] & _ALONE and (0x0E00 <= point < 0x2000 or 0x3000 <= point < 0x1F000 or point >= 0x20000):
                letters = True  # what is left out are symbols
                length += wide - 1
        key = (key ^ (key >> np.uint64(30))) * _MIX_1
        key = (key ^ (key >> np.uint64(27))) * _MIX_2
        keys[unit] = key ^ (key >> np.uint64(31))
        lengths[unit] = length if letters else 0


@kernel(types.void(_bytes, int64[::1], int64[::1], int64[::1]))
def points_before(data, starts, at, out):
    """Code points from the start of a text to a byte of it.

    Args:
        data: Bytes of the texts.
        starts: [n], the first byte of the text that each place is in; ascending.
        at: [n], the place; ascending within a text.
        out: [n], written.
    """
    text = np.int64(-1)
    i = count = np.int64(0)
    for k in range(at.size):
        if starts[k] != text:
            text = i = starts[k]
            count = 0
        while i < at[k]:
            if data[i] & 0xC0 != 0x80:
                count += 1
            i += 1
        out[k] = count

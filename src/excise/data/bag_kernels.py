"""The compiled loops of hashed n-gram features: words and pairs of words of a text, by bucket."""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201
import numpy as np
from numba import float64, int64, types, uint8, uint32, uint64

from excise.data.compiled import kernel
from excise.data.unicode import ALONE, POINT, WORD

_bytes = types.Array(uint8, 1, "C", readonly=True)
_offsets = types.Array(int64, 1, "C", readonly=True)
_points = types.Array(uint32, 1, "C", readonly=True)
_groups = types.Array(int64, 1, "C", readonly=True)
_ratios = types.Array(float64, 2, "C", readonly=True)

_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64
_POINT, _WORD, _ALONE = np.uint32(POINT), np.uint32(WORD), np.uint32(ALONE)


@kernel(int64(uint64, int64))
def bucket_of(x, buckets):
    """A bucket for a hash: splitmix64's finaliser, upper bits."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    x = x ^ (x >> np.uint64(31))
    return np.int64(((x >> np.uint64(32)) * np.uint64(buckets)) >> np.uint64(32))


@kernel(uint32(_bytes, int64, int64, _points, int64[::1]))
def entry_at(data, i, stop, points, step):
    """What the table says of the code point at byte i, whose length goes to step[0]; 0 beyond the table."""
    byte = np.int64(data[i])
    size = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
    step[0] = size
    if i + size > stop:
        step[0] = 1
        return np.uint32(0)
    point = byte if size == 1 else byte & (0xFF >> (size + 1))
    for k in range(1, size):
        point = point << 6 | np.int64(data[i + k] & 63)
    return points[point] if point < points.size else np.uint32(0)


@kernel(int64(_bytes, int64, int64, _points, int64, int64[::1]))
def features(data, start, stop, points, buckets, out):
    """Buckets of the tokens of a text and of each two in a row.

    Args:
        data: Bytes.
        start: First byte of the text.
        stop: One past its last.
        points: Table of code points (unicode.points): words, and letters and symbols that are tokens by themselves.
        buckets: Number of buckets.
        out: At least 2 (stop - start) long, written.

    Returns:
        How many were written.
    """
    step = np.empty(1, np.int64)
    count = 0
    before = np.uint64(0)
    token = _SEED
    inside = False
    i = start
    while i <= stop:
        entry = np.uint32(0)
        step[0] = 1
        if i < stop:
            entry = entry_at(data, i, stop, points, step)
        i += step[0]
        if entry & _WORD:
            token = (token ^ np.uint64(entry & _POINT)) * _PRIME
            inside = True
            continue
        if inside:
            out[count] = bucket_of(token, buckets)
            count += 1
            if before:
                out[count] = bucket_of(before * _BASE + token, buckets)
                count += 1
            before = token
            token = _SEED
            inside = False
        if entry & _ALONE:
            alone = (_SEED ^ np.uint64(entry & _POINT)) * _PRIME
            out[count] = bucket_of(alone, buckets)
            count += 1
            if before:
                out[count] = bucket_of(before * _BASE + alone, buckets)
                count += 1
            before = alone
    return count


@kernel(types.void(_bytes, _offsets, _groups, _points, int64[::1], int64[:, ::1]))
def tally(data, offsets, groups, points, scratch, counts):
    """Adds the features of each text to the counts of its group.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        groups: [n], row of `counts`; below 0 for none.
        points: Table of code points.
        scratch: At least twice the longest text's bytes.
        counts: [groups, buckets].
    """
    for text in range(offsets.size - 1):
        if groups[text] >= 0:
            found = features(data, offsets[text], offsets[text + 1], points, counts.shape[1], scratch)
            for k in range(found):
                counts[groups[text], scratch[k]] += 1


@kernel(types.void(_bytes, _offsets, _groups, _points, int64[::1], _ratios, float64[::1], int64[::1]))
def weigh(data, offsets, groups, points, scratch, ratios, sums, counts):
    """Sum of a value by bucket over the features of each text, and their number.

    Args:
        data: Bytes of the texts.
        offsets: [n + 1].
        groups: [n], row of `ratios`.
        points: Table of code points.
        scratch: At least twice the longest text's bytes.
        ratios: [groups, buckets].
        sums: [n], written.
        counts: [n], written.
    """
    for text in range(offsets.size - 1):
        found = features(data, offsets[text], offsets[text + 1], points, ratios.shape[1], scratch)
        total = 0.0
        for k in range(found):
            total += ratios[groups[text], scratch[k]]
        sums[text] = total
        counts[text] = found

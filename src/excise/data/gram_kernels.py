"""The compiled loops behind embeddings of words: which hashed features a text has, and their projection.

Texts are `codes` (code points, uint32) and `offsets` [n + 1]: text i is codes[offsets[i]:offsets[i + 1]].
"""

# mypy: disable-error-code="no-untyped-def, assignment"
# ruff: noqa: ANN001, ANN201
import numpy as np
from numba import float32, float64, int32, int64, types, uint32, uint64

from excise.data.compiled import kernel
from excise.data.unicode import ALONE, POINT, WORD

_codes = types.Array(uint32, 1, "C", readonly=True)
_offsets = types.Array(int64, 1, "C", readonly=True)
_features = types.Array(int32, 1, "C", readonly=True)
_floats = types.Array(float64, 1, "C", readonly=True)
_matrix = types.Array(float32, 2, "C", readonly=True)

_POINT, _WORD, _ALONE = np.uint32(POINT), np.uint32(WORD), np.uint32(ALONE)
_SEED = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: mix maps 0 to 0
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # splitmix64
_MIX_2 = np.uint64(0x94D049BB133111EB)
_BORDER = np.uint64(0x110000)  # before and after a word: no code point
_NONE = np.uint64(0x110001)


@kernel(uint64(uint64))
def mix(x):
    """splitmix64's finaliser."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel(uint64(uint64, uint64, uint64))
def gram(a, b, c):
    """Hash of three code points in a row."""
    return mix((a << np.uint64(42) | b << np.uint64(21) | c) + _SEED)


@kernel(int64(_codes, int64, int64, _codes, uint64[::1]))
def features(codes, start, stop, points, out):
    """Hashes of every three letters of a text's words, of its tokens of one letter, and of every two of those in a row.

    A word's borders count as letters: 'at' has ^at and at$. Whole words as well were tried: worse on short texts.

    Args:
        codes: Code points.
        start: First one of the text.
        stop: One past its last.
        points: Table of code points (unicode.points).
        out: At least 2 (stop - start) + 2 long.

    Returns:
        Number of hashes written to `out`, in order of appearance.
    """
    count = 0
    two, one = _NONE, _BORDER  # the two letters before in this word; in none where `two` is _NONE
    alone = _NONE  # the token of one letter just before
    for i in range(start, stop + 1):
        entry = points[codes[i]] if i < stop and codes[i] < points.size else np.uint32(0)
        point = np.uint64(entry & _POINT)
        if entry & _WORD:
            if two != _NONE:
                out[count] = gram(two, one, point)
                count += 1
            two, one = one, point
            alone = _NONE
            continue
        if two != _NONE:
            out[count] = gram(two, one, _BORDER)
            count += 1
            two, one = _NONE, _BORDER
        if not entry & _ALONE:
            alone = _NONE
            continue
        out[count] = gram(_NONE, _NONE, point)
        count += 1
        if alone != _NONE:
            out[count] = gram(_BORDER, alone, point)
            count += 1
        alone = point
    return count


@kernel(int64(_codes, _offsets, _codes, int64, uint64[::1], int32[::1], int32[::1], int32[::1], int64[::1]))
def bags(codes, offsets, points, bits, scratch, seen, buckets, counts, starts):
    """The hashed features of each text, and how often it has each.

    Args:
        codes: Code points.
        offsets: [n + 1].
        points: Table of code points.
        bits: There are 2^bits buckets.
        scratch: At least twice as long as the longest text, and 2.
        seen: Zeros [2^bits]; zeros again at the end.
        buckets: Features of the texts one after another, in order of appearance; at least 2 a code point and 2 a text.
        counts: As long as `buckets`.
        starts: [n + 1], written: text i has the features starts[i] to starts[i + 1].

    Returns:
        Features of all texts together.
    """
    end = 0
    starts[0] = 0
    shift = np.uint64(64 - bits)
    for text in range(offsets.size - 1):
        for i in range(features(codes, offsets[text], offsets[text + 1], points, scratch)):
            bucket = np.int64(scratch[i] >> shift)
            if seen[bucket] == 0:
                buckets[end] = bucket
                end += 1
            seen[bucket] += 1
        for k in range(starts[text], end):
            counts[k] = seen[buckets[k]]
            seen[buckets[k]] = 0
        starts[text + 1] = end
    return end


@kernel(types.void(_features, _features, _offsets, _floats, float64[::1]))
def weigh(buckets, counts, starts, rarity, weights):
    """TF-IDF: (1 + ln count) * rarity of each feature, of length 1 over a text; written to `weights`."""
    for text in range(starts.size - 1):
        square = 0.0
        for k in range(starts[text], starts[text + 1]):
            weights[k] = (1.0 + np.log(counts[k])) * rarity[buckets[k]]
            square += weights[k] * weights[k]
        for k in range(starts[text], starts[text + 1]):
            weights[k] /= np.sqrt(square)


@kernel(types.void(_features, _floats, _offsets, uint64, float32[:, ::1]))
def scatter(buckets, weights, starts, seed, out):
    """A random projection: every feature adds its weight to or takes it from each column of `out` [n, m], zeros before.

    Source: Achlioptas 2003, Database-friendly random projections (signs suffice).
    """
    for text in range(starts.size - 1):
        for k in range(starts[text], starts[text + 1]):
            weight = np.float32(weights[k])
            key = mix(np.uint64(buckets[k]) ^ seed)
            signs = key
            for column in range(out.shape[1]):
                if column & 63 == 0:
                    signs = mix(key + np.uint64(column))
                out[text, column] += weight if (signs >> np.uint64(column & 63)) & np.uint64(1) else -weight


@kernel(types.void(_features, _floats, _offsets, _features, _matrix, float32[:, ::1]))
def gather(buckets, weights, starts, rows, directions, out):
    """A learned projection: out [n, k] += weight * directions[row of the feature]; -1 is no row."""
    for text in range(starts.size - 1):
        for k in range(starts[text], starts[text + 1]):
            row = rows[buckets[k]]
            if row >= 0:
                weight = np.float32(weights[k])
                for column in range(out.shape[1]):
                    out[text, column] += weight * directions[row, column]

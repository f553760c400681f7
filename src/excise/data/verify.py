"""The true similarity of records that may be similar: their shingle sets, compared.

Unverified MinHash removes what it should not: on encyclopedia text 3 % of the pairs that share a band are similar.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.data import text
from excise.data.matches import chunked
from excise.data.minhash import SHINGLE
from excise.data.unicode import points

#: Text whose sets are collected at once, into eight times as much.
_COLLECT_BYTES = 1 << 20
#: Buckets of more records than this are compared through an index of rare shingles, smaller ones all with all.
_MANY = 64
#: In those each record is compared with this many others at most.
_MOST = 1000


def shingle_sets(texts: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The set of shingle hashes of each text.

    Returns:
        Ascending sets one after another, uint64, and where each starts [n + 1].

    Cost: 3 bytes of memory a byte of prose, at most 16, and of the longest text 8 more, at most 48.
    """
    sizes = np.diff(text.buffers(texts)[1])
    longest = int(sizes.max(initial=0)) + 1
    scratch, table = np.empty(longest, np.uint64), np.empty(5 * longest + 2, np.uint64)
    sets, starts = [np.zeros(0, np.uint64)], [np.zeros(1, np.int64)]
    for first, last in chunked(sizes, _COLLECT_BYTES):
        found, start = _collected(texts.slice(first, last - first), scratch, table)
        starts.append(start[1:] + starts[-1][-1])
        sets.append(found)
    return np.concatenate(sets), np.concatenate(starts)


def _collected(
    texts: pa.Array, scratch: NDArray[np.uint64], table: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """As `shingle_sets`, for texts of which each byte may become a shingle."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    texts = text.composed(texts)
    data, offsets = text.buffers(texts)
    longest = int(np.diff(offsets).max(initial=0)) + 1
    if longest > len(scratch):  # composed, some letters are two
        scratch, table = np.empty(longest, np.uint64), np.empty(5 * longest + 2, np.uint64)
    out = np.empty(int(offsets[-1] - offsets[0]) + len(texts) + 1, np.uint64)
    starts = np.empty(len(texts) + 1, np.int64)
    size = kernels.collect(data, offsets, points(), SHINGLE, scratch, table, out, starts)
    return out[:size].copy(), starts


def matches(
    texts: pa.Array, bounds: NDArray[np.int64], fixed: NDArray[np.bool_], threshold: float, limit: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], int]:
    """Which texts match an earlier one of their bucket.

    Args:
        texts: Of all buckets, bucket after bucket, the record to keep rather first.
        bounds: [buckets + 1], where each bucket starts in `texts`.
        fixed: bool [n], True for a text that stays whatever it matches.
        threshold: Least Jaccard similarity of a match.
        limit: Matches told of each text. With 1, a text that matches an earlier one is absorbed by it, and later ones
            are not compared with it.

    Returns:
        Index of the later text of each match, of the earlier one, their similarity, all [matches]; and the number of
        texts for which the search was ended.
    """
    from excise.data import set_kernels  # noqa: PLC0415 - compiles

    sets, starts = shingle_sets(texts)
    worse, better = np.empty(len(texts) * limit, np.int64), np.empty(len(texts) * limit, np.int64)
    redundancy = np.empty(len(texts) * limit, np.float64)
    found = set_kernels.absorb(sets, starts, bounds, fixed, _MANY, limit, threshold, worse, better, redundancy)
    ended = 0
    for bucket in np.flatnonzero(np.diff(bounds) > _MANY).tolist():
        here, there = int(bounds[bucket]), int(bounds[bucket + 1])
        where = starts[here : there + 1]
        elements, kinds = rare_first(sets[where[0] : where[-1]], where - where[0])
        rest = (worse[found:], better[found:], redundancy[found:])
        count, left = set_kernels.absorb_many(
            elements, where - where[0], fixed[here:there], kinds, _MOST, limit, threshold, *rest
        )
        for ends in rest[:2]:
            ends[:count] += here
        found, ended = found + count, ended + left
    return worse[:found], better[:found], redundancy[:found], ended


def rare_first(sets: NDArray[np.uint64], starts: NDArray[np.int64]) -> tuple[NDArray[np.uint64], int]:
    """The same sets with their elements numbered from the rarest up, each ascending, and how many kinds there are.

    Args:
        sets: Sets one after another.
        starts: [n + 1], set i is sets[starts[i]:starts[i + 1]].
    """
    _, kind, count = np.unique(sets, return_inverse=True, return_counts=True)
    number = np.empty(len(count), np.uint64)
    number[np.argsort(count, kind="stable")] = np.arange(len(count), dtype=np.uint64)
    owner = np.repeat(np.arange(len(starts) - 1, dtype=np.uint64), np.diff(starts))
    return np.sort(owner << np.uint64(40) | number[kind]) & np.uint64((1 << 40) - 1), len(count)

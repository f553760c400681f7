"""Buckets of records that share a band key, and the matches found inside them."""

import functools
import math
from collections import deque
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import minhash, verify
from excise.data.matches import chunked, matches_table
from excise.data.opened import Opened
from excise.data.threads import Mapped, in_order

#: Text compared at once by a core; its shingle sets take about four times as much. Less where there is little, so that
#: no core has nothing to do.
_COMPARE_BYTES, _COMPARE_BYTES_LEAST, _CHUNKS = 1 << 23, 1 << 19, 16
#: Blocks of half as much with which one is compared, where more than that stay in one bucket.
_BLOCKS = 32
_TABLE_ROWS = 1 << 16

#: Signatures are compared all with all in buckets of at most so many records, and where so many bins are filled.
_ALL_PAIRS, _FULL = 1000, 100

#: Of more keys, those with the same upper four bits are sorted by themselves.
_SORTED_AT_ONCE, _TOP_BITS = 1 << 20, np.uint64(60)
_GOLDEN, _NEVER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0)

Ints = NDArray[np.int64]
#: Index of the worse of each match, of the better one, their similarity, and how many searches were ended.
Found = tuple[Ints, Ints, NDArray[np.float64], int]


def _matched(opened: Opened, first_own: int, threshold: float, item: tuple[Ints, Ints, int]) -> Found:
    """Matches inside buckets that fit into memory together.

    Args:
        opened: The corpus.
        first_own: Position of the first record that may go.
        threshold: Least Jaccard similarity of a match.
        item: Positions of their members, bucket after bucket, where each bucket starts [buckets + 1], and the limit of
            `verify.matches`.
    """
    positions, bounds, limit = item
    return verify.matches(opened.at(positions), bounds, positions < first_own, threshold, limit)


def bucketed(
    keys: NDArray[np.uint64], alive: NDArray[np.bool_], fresh: NDArray[np.bool_], order: Ints
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Live nodes that share their key with another, where one of them is fresh.

    Args:
        keys: uint64 [nodes], of one band.
        alive: bool [nodes].
        fresh: bool [nodes]: those not yet compared with the others that are alive.
        order: int64 [nodes], the less the better; no two the same.

    Returns:
        Nodes by (key, order), and where each bucket starts [buckets + 1].

    Cost: 50 bytes of memory a node, where there are many 4.
    """
    members, lengths = [np.zeros(0, np.int64)], [np.zeros(1, np.int64)]
    bits = 4 if len(keys) > _SORTED_AT_ONCE else 0
    for part in range(1 << bits):
        live = np.flatnonzero(alive & (keys >> _TOP_BITS == part) if bits else alive)
        by_key = live[np.argsort(keys[live])]
        ordered = keys[by_key]
        same = ordered[1:] == ordered[:-1]
        paired = np.append(False, same) | np.append(same, False) if len(live) else np.zeros(0, np.bool_)
        nodes, labels = by_key[paired], ordered[paired]
        if len(nodes) == 0:
            continue
        by_order = np.lexsort((order[nodes], labels))
        nodes, labels = nodes[by_order], labels[by_order]
        starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
        wanted = np.logical_or.reduceat(fresh[nodes], starts)
        counts = np.diff(np.append(starts, len(nodes)))
        members.append(nodes[np.repeat(wanted, counts)])
        lengths.append(counts[wanted])
    return np.concatenate(members), np.cumsum(np.concatenate(lengths))


def adopted(orphans: Ints, heads: Ints, order: Ints) -> tuple[Ints, Ints]:
    """Nodes under those for which their absorbers went, which they mostly match too; returns as `bucketed`."""
    by_head = np.lexsort((order[orphans], heads))
    heads, orphans = heads[by_head], orphans[by_head]
    starts = np.flatnonzero(np.append(True, heads[1:] != heads[:-1]))[: len(heads)]
    return np.insert(orphans, starts, heads[starts]), np.append(starts, len(heads)) + np.arange(len(starts) + 1)


def likely(
    rough: NDArray[np.uint8], members: Ints, bounds: Ints, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Those members whose signature says that another one of their bucket may match them.

    Of two sets with Jaccard similarity t that fill k bins of a signature, k t values are equal, with a standard
    deviation of at most sqrt(k t (1 - t)); a pair five of them below is not read: one match in 3 million is lost.

    Args:
        rough: uint8 [nodes, BINS + 1], as of `minhash.Bands`.
        members: As of `bucketed`.
        bounds: As of `bucketed`.
        threshold: Least Jaccard similarity of a match.

    Returns:
        Members and bounds, as of `bucketed`; buckets in which none is left are gone.
    """
    from excise.data import set_kernels  # noqa: PLC0415 - compiles

    least = minhash.BINS * (threshold - 5 * math.sqrt(threshold * (1 - threshold) / _FULL))
    keep = np.empty(len(members), np.bool_)
    set_kernels.likely(rough, members, bounds, _ALL_PAIRS, _FULL, math.ceil(least - 1e-9), keep)
    ends = np.append(0, np.cumsum(keep))[bounds]
    return members[keep], np.unique(ends)


def unseen(members: Ints, bounds: Ints, seen: NDArray[np.uint64]) -> tuple[Ints, Ints, NDArray[np.uint64]]:
    """Buckets that were not compared before: records of one template meet in many bands.

    Those that were left in a bucket do not match one another, and those that were not are known to match.

    Args:
        members: As of `bucketed`.
        bounds: As of `bucketed`.
        seen: Prints of earlier buckets, ascending: 64 bits, so that two in a billion buckets share one with
            probability 0.03.

    Returns:
        Members and bounds, as of `bucketed`, and the prints of all buckets so far.
    """
    if len(members) == 0:
        return members, bounds, seen
    prints = np.add.reduceat(_spread(members.astype(np.uint64)), bounds[:-1])
    new = np.append(seen, _NEVER)[np.searchsorted(seen, prints)] != prints
    lengths = np.diff(bounds)
    seen = np.sort(np.append(seen, prints[new]))
    return members[np.repeat(new, lengths)], np.append(0, np.cumsum(lengths[new])), seen


def _spread(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64."""
    x = (x + _GOLDEN) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Nodes:
    """The records compared, and their verified matches so far.

    Attributes:
        ended: How many searches were ended because too many records were too much alike.
    """

    def __init__(
        self, corpus: Corpus, positions: Ints, sizes: Ints, order: Ints, threshold: float, mapped: Mapped = in_order
    ) -> None:
        self.ended = 0
        self._corpus, self._mapped = corpus, mapped
        self._positions, self._sizes, self._order = positions, sizes, order
        self._match = functools.partial(_matched, Opened(corpus), corpus.first_own, threshold)
        self._worse: list[Ints] = [np.zeros(0, np.int64)]
        self._better: list[Ints] = [np.zeros(0, np.int64)]
        self._redundancy: list[NDArray[np.float64]] = [np.zeros(0)]

    def compare(self, members: Ints, bounds: Ints, limit: int = 1) -> Iterator[Ints]:
        """Record the matches inside each bucket.

        Args:
            members: As of `bucketed`.
            bounds: As of `bucketed`.
            limit: As in `verify.matches`.

        Yields:
            The worse nodes of the matches: with a limit of 1 those that were absorbed, and others as often as they
            match.
        """
        weights = np.add.reduceat(self._sizes[members], bounds[:-1]) if len(members) else np.zeros(0, np.int64)
        large = np.flatnonzero(weights > _COMPARE_BYTES)
        for bucket in large.tolist():
            yield from self._streamed(members[bounds[bucket] : bounds[bucket + 1]], limit)
        weights[large] = 0
        size_bytes = min(_COMPARE_BYTES, max(_COMPARE_BYTES_LEAST, int(weights.sum()) // _CHUNKS))
        chunks: deque[Ints] = deque()

        def items() -> Iterator[tuple[Ints, Ints, int]]:
            for first, last in chunked(weights, size_bytes):
                chosen = np.arange(first, last)[weights[first:last] > 0]
                lengths = bounds[chosen + 1] - bounds[chosen]
                inner = np.append(0, np.cumsum(lengths))
                chunks.append(members[np.repeat(bounds[chosen] - inner[:-1], lengths) + np.arange(inner[-1])])
                yield self._positions[chunks[-1]], inner, limit

        for found in self._mapped(self._match, items()):
            yield self._add(chunks.popleft(), found)

    def _streamed(self, bucket: Ints, limit: int) -> Iterator[Ints]:
        """As `compare` for one bucket too large to be compared at once: block after block with those that stayed.

        Where more stay than fit into memory beside a block, they are compared block by block too, but with a number of
        them only.
        """
        full: list[Ints] = []
        staying = np.zeros(0, np.int64)
        for start, stop in chunked(self._sizes[bucket], _COMPARE_BYTES // 2):
            block = bucket[start:stop]
            for earlier in [*full[-_BLOCKS:], staying]:
                both = np.concatenate([earlier, block])
                gone = self._add(both, self._match((self._positions[both], np.array([0, len(both)]), limit)))
                if limit == 1:
                    block = block[~np.isin(block, gone)]
                yield gone
            self.ended += len(block) if len(full) > _BLOCKS else 0
            staying = np.concatenate([staying, block])
            if self._sizes[staying].sum() > _COMPARE_BYTES // 2:
                full.append(staying)
                staying = np.zeros(0, np.int64)

    def _add(self, members: Ints, found: Found) -> Ints:
        """Keep matches inside some members; returns the worse nodes."""
        worse, better, redundancy, ended = found
        self.ended += ended
        self._worse.append(members[worse])
        self._better.append(members[better])
        self._redundancy.append(redundancy)
        return members[worse]

    def anchors(self) -> Ints:
        """For each node a better one that stays and that it matches, or -1: it stays itself. [nodes]."""
        from excise.data import set_kernels  # noqa: PLC0415 - compiles

        anchors = np.full(len(self._positions), -1)
        worse, better = np.concatenate(self._worse), np.concatenate(self._better)
        order = np.lexsort((self._order[better], self._order[worse]))
        set_kernels.anchor(worse[order], better[order], anchors)
        return anchors

    def joined(self, some: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which nodes a chain of matches joins to one of these; [nodes]."""
        from excise.data import set_kernels  # noqa: PLC0415 - compiles

        head = np.arange(len(some))
        set_kernels.join(np.concatenate(self._worse), np.concatenate(self._better), head)
        touched = np.zeros(len(some), np.bool_)
        touched[head[some]] = True
        return touched[head]

    def heads(self, orphans: Ints) -> Ints:
        """For each node that was absorbed by one which goes itself: the one for which that goes."""
        absorber = np.full(len(self._positions), -1)
        absorber[np.concatenate(self._worse)] = np.concatenate(self._better)
        heads: Ints = self.anchors()[absorber[orphans]]
        return heads

    def findings(self) -> Iterator[pa.Table]:
        """All matches as FINDINGS, by (worse, better) from the best down; each once."""
        worse, better = np.concatenate(self._worse), np.concatenate(self._better)
        redundancy = np.concatenate(self._redundancy)
        order = np.lexsort((self._order[better], self._order[worse]))
        again = np.zeros(len(order), np.bool_)
        again[1:] = (np.diff(worse[order]) == 0) & (np.diff(better[order]) == 0)
        order = order[~again]
        for at in range(0, max(1, len(order)), _TABLE_ROWS):
            rows = order[at : at + _TABLE_ROWS]
            here, there = self._positions[worse[rows]], self._positions[better[rows]]
            yield matches_table(self._corpus, "near", here, there, redundancy[rows])

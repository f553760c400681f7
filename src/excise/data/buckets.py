"""Buckets of records that share a band key, and the matches found inside them."""

import functools
from collections import deque
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text, verify
from excise.data.matches import chunked, matches_table
from excise.data.threads import Mapped, in_order

#: Text compared at once by a core; its shingle sets take about four times as much.
_COMPARE_BYTES = 1 << 24
_TABLE_ROWS = 1 << 16

Ints = NDArray[np.int64]
#: Index of the worse of each match, of the better one, and their similarity.
Found = tuple[Ints, Ints, NDArray[np.float64]]


def _matched(corpus: Corpus, threshold: float, item: tuple[Ints, Ints]) -> Found:
    """Matches inside buckets that fit into memory together.

    Args:
        corpus: The records.
        threshold: Least Jaccard similarity of a match.
        item: Positions of their members, bucket after bucket, and where each bucket starts [buckets + 1].
    """
    positions, bounds = item
    order = np.argsort(positions)
    texts = text.records_at(corpus, positions[order], ["text"])["text"].take(pa.array(np.argsort(order)))
    partner, redundancy = verify.absorbed(texts, bounds, positions < corpus.first_own, threshold)
    worse = np.flatnonzero(partner >= 0)
    return worse, partner[worse], redundancy[worse]


def bucketed(
    keys: NDArray[np.uint64], alive: NDArray[np.bool_], fresh: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Live nodes that share their key with another, where one of them is fresh.

    Args:
        keys: uint64 [nodes], of one band.
        alive: bool [nodes].
        fresh: bool [nodes]: those not yet compared with the others that are alive.

    Returns:
        Nodes by (key, rank), and where each bucket starts [buckets + 1].
    """
    live = np.flatnonzero(alive)
    order = np.argsort(keys[live])
    ordered = keys[live[order]]
    same = ordered[1:] == ordered[:-1]
    paired = np.zeros(len(live), np.bool_)
    paired[1:] |= same
    paired[:-1] |= same
    members, labels = live[order[paired]], ordered[paired]
    order = np.lexsort((members, labels))
    members, labels = members[order], labels[order]
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1])) if len(labels) else np.zeros(0, np.int64)
    wanted = np.logical_or.reduceat(fresh[members], starts) if len(labels) else np.zeros(0, np.bool_)
    lengths = np.diff(np.append(starts, len(members)))
    return members[np.repeat(wanted, lengths)], np.insert(np.cumsum(lengths[wanted]), 0, 0)


def adopted(orphans: Ints, heads: Ints) -> tuple[Ints, Ints]:
    """Nodes under those for which their absorbers went, which they mostly match too; returns as `bucketed`."""
    order = np.lexsort((orphans, heads))
    heads, orphans = heads[order], orphans[order]
    starts = np.flatnonzero(np.append(True, heads[1:] != heads[:-1]))[: len(heads)]
    return np.insert(orphans, starts, heads[starts]), np.append(starts, len(heads)) + np.arange(len(starts) + 1)


class Nodes:
    """The records compared, numbered from the best rank down, and their verified matches so far."""

    def __init__(
        self, corpus: Corpus, positions: Ints, sizes: Ints, threshold: float, mapped: Mapped = in_order
    ) -> None:
        self._corpus, self._positions, self._sizes, self._mapped = corpus, positions, sizes, mapped
        self._match = functools.partial(_matched, corpus, threshold)
        self._worse: list[Ints] = [np.zeros(0, np.int64)]
        self._better: list[Ints] = [np.zeros(0, np.int64)]
        self._redundancy: list[NDArray[np.float64]] = [np.zeros(0)]

    def compare(self, members: Ints, bounds: Ints) -> Iterator[Ints]:
        """Record the matches inside each bucket; yields the nodes that were absorbed."""
        cuts, large = self._cuts(members, bounds)
        weights = np.add.reduceat(self._sizes[members], cuts[:-1]) if len(members) else np.zeros(0, np.int64)

        chunks: deque[Ints] = deque()

        def items() -> Iterator[tuple[Ints, Ints]]:
            for first, last in chunked(weights, _COMPARE_BYTES):
                inner = cuts[first : last + 1]
                chunks.append(members[inner[0] : inner[-1]])
                yield self._positions[chunks[-1]], inner - inner[0]

        gone = [np.zeros(0, np.int64)]
        for found in self._mapped(self._match, items()):
            gone.append(self._add(chunks.popleft(), found))
            yield gone[-1]
        for blocks in large:
            nodes = [members[start:stop] for start, stop in blocks]
            yield from self._across([block[~np.isin(block, np.concatenate(gone))] for block in nodes])

    def _cuts(self, members: Ints, bounds: Ints) -> tuple[Ints, list[list[tuple[int, int]]]]:
        """Bounds that also cut buckets too large to be compared at once, and the blocks of each of those."""
        large: list[list[tuple[int, int]]] = []
        ends = np.append(0, np.cumsum(self._sizes[members]))
        for bucket in np.flatnonzero(np.diff(ends[bounds]) > _COMPARE_BYTES).tolist():
            first, last = int(bounds[bucket]), int(bounds[bucket + 1])
            runs = chunked(self._sizes[members[first:last]], _COMPARE_BYTES // 2)
            large.append([(first + start, first + stop) for start, stop in runs])
        inner = [start for blocks in large for start, _ in blocks]
        return np.union1d(bounds, np.array(inner, np.int64)), large

    def _across(self, blocks: list[Ints]) -> Iterator[Ints]:
        """Matches between the blocks of one bucket, whose blocks were compared inside: two blocks at once."""
        for later in range(len(blocks)):
            for earlier in range(later):
                both = np.concatenate([blocks[earlier], blocks[later]])
                gone = self._add(both, self._match((self._positions[both], np.array([0, len(both)]))))
                blocks[later] = blocks[later][~np.isin(blocks[later], gone)]
                yield gone

    def _add(self, members: Ints, found: Found) -> Ints:
        """Keep matches inside some members; returns the worse nodes."""
        worse, better, redundancy = found
        self._worse.append(members[worse])
        self._better.append(members[better])
        self._redundancy.append(redundancy)
        return members[worse]

    def anchors(self) -> Ints:
        """For each node a better one that stays and that it matches, or -1: it stays itself. [nodes]."""
        anchors = np.full(len(self._positions), -1)
        worse, better = np.concatenate(self._worse), np.concatenate(self._better)
        order = np.lexsort((better, worse))
        for this, other in zip(worse[order].tolist(), better[order].tolist(), strict=True):
            if anchors[this] < 0 and anchors[other] < 0:
                anchors[this] = other
        return anchors

    def heads(self, orphans: Ints) -> Ints:
        """For each node that was absorbed by one which goes itself: the one for which that goes."""
        absorber = np.full(len(self._positions), -1)
        absorber[np.concatenate(self._worse)] = np.concatenate(self._better)
        heads: Ints = self.anchors()[absorber[orphans]]
        return heads

    def findings(self) -> Iterator[pa.Table]:
        """All matches as FINDINGS, by (worse, better)."""
        worse, better = np.concatenate(self._worse), np.concatenate(self._better)
        redundancy = np.concatenate(self._redundancy)
        order = np.lexsort((better, worse))
        for at in range(0, max(1, len(order)), _TABLE_ROWS):
            rows = order[at : at + _TABLE_ROWS]
            here, there = self._positions[worse[rows]], self._positions[better[rows]]
            yield matches_table(self._corpus, "near", here, there, redundancy[rows])

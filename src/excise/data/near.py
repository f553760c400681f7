"""Near duplicates: records that share most of their word sequences, each pair verified.

Signatures propose (minhash), shingle sets decide (verify), and only records that still stay are compared further: in
each bucket of records with one band key, from the best rank down, a record that matches one that stays is absorbed and
leaves. Where its absorber is itself removed for another record, it comes back and is compared again.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import minhash, text, verify
from excise.data.matches import chunked, matches_table
from excise.data.threads import in_order
from excise.errors import SettingError
from excise.journal import Progress, silent

_COMPARE_BYTES = 1 << 24
_TABLE_ROWS = 1 << 16


@dataclass(frozen=True)
class NearSettings:
    """What counts as a near duplicate.

    Attributes:
        threshold: Least Jaccard similarity of the sets of 5-token shingles, in (0, 1].
    """

    threshold: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise SettingError(
                f"threshold is {self.threshold}; it must be above 0 and at most 1. "
                "0.8 finds records that share four fifths of their word sequences."
            )


def find(
    corpus: Corpus,
    settings: NearSettings,
    *,
    skip: NDArray[np.bool_] | None = None,
    rank: NDArray[np.int64] | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """Records that nearly repeat another one that stays.

    Args:
        corpus: The records.
        settings: The threshold.
        skip: bool [records], True where a record takes no part, e.g. exact duplicates.
        rank: int64 [records], 0 = keep rather than any other (keep.ranks); None is the order of the corpus.
        folder: Where band files go, removed at the end; None is a temporary folder.
        progress: Told what is done.

    Yields:
        FINDINGS of finder 'near': the locus is the worse ranked record, the redundancy the true Jaccard similarity of
        the shingle sets. Of two records that stay, none was found to match the other.

    Cost: about 40 bytes of memory and 160 bytes of disk a record; each record of a bucket is read again once a band.
    """
    rank = np.arange(len(corpus)) if rank is None else rank
    with tempfile.TemporaryDirectory(prefix="near-", dir=folder) as spilled:
        shape = minhash.shape_for(settings.threshold)
        bands = minhash.spill(corpus, Path(spilled), shape, skip=skip, progress=progress)
        by_rank = np.argsort(rank[bands.positions], kind="stable")
        nodes = _Nodes(corpus, bands.positions[by_rank], bands.sizes[by_rank], settings.threshold)
        stays = fresh = np.ones(len(by_rank), np.bool_)
        while fresh.any():
            alive = stays.copy()
            for band in range(len(bands.files)):
                progress("comparing near duplicates", band, len(bands.files))
                members, bounds = _buckets(bands.keys(band)[by_rank], alive, fresh)
                for left in nodes.compare(members, bounds):
                    alive[left] = False
            stays = nodes.staying()
            fresh = stays & ~alive
    yield from nodes.findings()


def _buckets(
    keys: NDArray[np.uint64], alive: NDArray[np.bool_], fresh: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Live nodes that share their key with another, where one of them is fresh.

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


class _Nodes:
    """The records compared, numbered from the best rank down, and their verified matches so far."""

    def __init__(
        self, corpus: Corpus, positions: NDArray[np.int64], sizes: NDArray[np.int64], threshold: float
    ) -> None:
        self._corpus, self._positions, self._sizes, self._threshold = corpus, positions, sizes, threshold
        self._worse: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._better: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._redundancy: list[NDArray[np.float64]] = [np.zeros(0)]

    def compare(self, members: NDArray[np.int64], bounds: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Record the matches inside each bucket; yields the nodes that were absorbed."""
        weights = np.add.reduceat(self._sizes[members], bounds[:-1]) if len(members) else np.zeros(0, np.int64)
        chunks = chunked(weights, _COMPARE_BYTES)

        def work(chunk: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
            inner = bounds[chunk[0] : chunk[1] + 1]
            return self._absorbed(members[inner[0] : inner[-1]], inner - inner[0])

        for worse, better, redundancy in in_order(work, chunks):
            self._worse.append(worse)
            self._better.append(better)
            self._redundancy.append(redundancy)
            yield worse

    def _absorbed(
        self, members: NDArray[np.int64], bounds: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        positions = self._positions[members]
        order = np.argsort(positions)
        texts = text.records_at(self._corpus, positions[order], ["text"])["text"]
        partner, redundancy = verify.absorbed(texts.take(pa.array(np.argsort(order))), bounds, self._threshold)
        gone = partner >= 0
        return members[gone], members[partner[gone]], redundancy[gone]

    def staying(self) -> NDArray[np.bool_]:
        """Bool [nodes]: those that match no better node that stays."""
        stays = np.ones(len(self._positions), np.bool_)
        worse, better = np.concatenate(self._worse), np.concatenate(self._better)
        order = np.argsort(worse, kind="stable")
        for this, other in zip(worse[order].tolist(), better[order].tolist(), strict=True):
            if stays[other]:
                stays[this] = False
        return stays

    def findings(self) -> Iterator[pa.Table]:
        """All matches as FINDINGS, by (worse, better)."""
        worse, better = np.concatenate(self._worse), np.concatenate(self._better)
        redundancy = np.concatenate(self._redundancy)
        order = np.lexsort((better, worse))
        for at in range(0, len(order), _TABLE_ROWS):
            rows = order[at : at + _TABLE_ROWS]
            here, there = self._positions[worse[rows]], self._positions[better[rows]]
            yield matches_table(self._corpus, "near", here, there, redundancy[rows])

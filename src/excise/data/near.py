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
from excise.data import minhash
from excise.data.buckets import Nodes, adopted, bucketed
from excise.data.sketches import Sketch
from excise.data.threads import Mapped, in_order
from excise.errors import SettingError
from excise.journal import Progress, silent


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
    group: NDArray[np.int64] | None = None,
    folder: Path | None = None,
    sketch: Sketch | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """Records that nearly repeat another one that stays.

    Args:
        corpus: The records.
        settings: The threshold.
        skip: bool [records], True where a record takes no part, e.g. exact duplicates.
        rank: int64 [records], 0 = keep rather than any other (keep.ranks); None is the order of the corpus.
        group: int64 [records]; only records of one group are compared.
        folder: Where band files go, removed at the end; None is a temporary folder.
        sketch: Where the signatures of a source are kept, if they are.
        mapped: Engine.
        progress: Told what is done.

    Yields:
        FINDINGS of finder 'near': the locus is the worse ranked record, the redundancy the true Jaccard similarity of
        the shingle sets. Of two records that stay, none was found to match the other.

    Cost: about 40 bytes of memory and 160 bytes of disk a record; each record of a bucket is read again once a band.
    """
    rank = np.arange(len(corpus)) if rank is None else rank
    with tempfile.TemporaryDirectory(prefix="near-", dir=folder) as spilled:
        shape = minhash.shape_for(settings.threshold)
        bands = minhash.spill(
            corpus, Path(spilled), shape, skip=skip, group=group, sketch=sketch, mapped=mapped, progress=progress
        )
        by_rank = np.argsort(rank[bands.positions], kind="stable")
        nodes = Nodes(corpus, bands.positions[by_rank], bands.sizes[by_rank], settings.threshold, mapped)
        anchors = np.full(len(by_rank), -1)
        fresh = bands.positions[by_rank] >= corpus.first_own  # references are compared with, not among themselves
        while fresh.any():
            alive = anchors < 0
            for band in range(len(bands.files)):
                progress("comparing near duplicates", band, len(bands.files))
                for gone in nodes.compare(*bucketed(bands.keys(band)[by_rank], alive, fresh)):
                    alive[gone] = False
            orphans = np.flatnonzero((nodes.anchors() < 0) & ~alive)
            heads = nodes.heads(orphans)
            met = _met(bands, by_rank, orphans, heads)  # who shares no band never meets, in whatever order they came
            for _ in nodes.compare(*adopted(orphans[met], heads[met])):
                pass
            anchors = nodes.anchors()
            fresh = (anchors < 0) & ~alive
    yield from nodes.findings()


def _met(
    bands: minhash.Bands, by_rank: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which pairs of nodes share the key of a band."""
    met = np.zeros(len(one), np.bool_)
    for band in range(len(bands.files) if len(one) else 0):
        keys = bands.keys(band)[by_rank]
        met |= keys[one] == keys[other]
    return met

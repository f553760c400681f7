"""Near duplicates: records that share most of their word sequences, each pair verified.

Signatures propose (minhash), shingle sets decide (verify), and only records that still stay are compared further: in
each bucket of records with one band key, from the best rank down, a record that matches one that stays is absorbed and
leaves. Where its absorber is itself removed for another record, it comes back and is compared again.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import minhash
from excise.data.buckets import Nodes, adopted, bucketed, likely, unseen
from excise.data.sketches import Sketch
from excise.data.threads import Mapped, in_order
from excise.errors import SettingError
from excise.journal import Progress, silent

#: After so many rounds in which records that match leave at once, all records that matches join to one that came back
#: are compared anew and told this many matches each: in a chain of records that match their neighbours, one link at a
#: time would come to rest in a round.
_ROUNDS, _MATCHES = 3, 16


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


def unheard(message: str) -> None:
    """Takes a warning and says nothing."""


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
    warn: Callable[[str], None] = unheard,
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
        warn: Told where records were too much alike to be compared all with all.

    Yields:
        FINDINGS of finder 'near': the locus is the worse ranked record, the redundancy the true Jaccard similarity of
        the shingle sets. Of two records that stay, none was found to match the other.

    Cost: about 50 bytes of memory and 330 bytes of disk a record. Records are read again where others share a band with
        them and a signature that may match: once for each new group of such.
    """
    with tempfile.TemporaryDirectory(prefix="near-", dir=folder) as spilled:
        shape = minhash.shape_for(settings.threshold)
        bands = minhash.spill(
            corpus, Path(spilled), shape, skip=skip, group=group, sketch=sketch, mapped=mapped, progress=progress
        )
        order = bands.positions if rank is None else rank[bands.positions]
        nodes = Nodes(corpus, bands.positions, bands.sizes, order, settings.threshold, mapped)
        anchors = np.full(len(order), -1)
        own = bands.positions >= corpus.first_own  # references are compared with, not among themselves
        fresh = own
        seen: dict[int, NDArray[np.uint64]] = defaultdict(lambda: np.zeros(0, np.uint64))
        for limit in chain(repeat(1, _ROUNDS), repeat(_MATCHES)):
            if not fresh.any():
                break
            alive, counts = anchors < 0, np.zeros(len(order), np.int32)
            if limit > 1:
                fresh = nodes.joined(fresh) & own
                alive |= fresh
            taking_part = alive.copy()
            for band in range(len(bands.files)):
                progress("comparing near duplicates", band, len(bands.files))
                members, bounds = bucketed(bands.keys(band), alive, fresh, order)
                members, bounds = likely(bands.rough, members, bounds, settings.threshold)
                members, bounds, seen[limit] = unseen(members, bounds, seen[limit])
                for worse in nodes.compare(members, bounds, limit):
                    np.add.at(counts, worse, 1)
                    alive[worse] = limit > 1
            if limit == 1:
                orphans = np.flatnonzero((nodes.anchors() < 0) & ~alive)
                heads = nodes.heads(orphans)
                met = _met(bands, orphans, heads)  # who shares no band never meets, in whatever order they came
                for _ in nodes.compare(*adopted(orphans[met], heads[met], order)):
                    pass
            anchors = nodes.anchors()
            # Those come back whose absorber went, and those that may have matched more than was told.
            fresh = (anchors < 0) & (~alive if limit == 1 else ~taking_part | (counts >= limit))
        if nodes.ended:
            warn(
                f"Near duplicates: {nodes.ended:,} times a record was not compared with all that are like it, for it "
                "shares most of its parts with thousands. Some near duplicates may remain among them."
            )
    yield from nodes.findings()


def _met(bands: minhash.Bands, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of nodes share the key of a band."""
    met = np.zeros(len(one), np.bool_)
    for band in range(len(bands.files) if len(one) else 0):
        keys = bands.keys(band)
        met |= keys[one] == keys[other]
    return met

"""Semantic duplicates: records whose vectors point the same way, whatever their words.

From the best rank down, each record is compared with the nearest record that stays; it goes if their cosine reaches
the threshold, and else it stays and is compared with in turn. So nothing goes for a record that goes itself, and no
chain of small differences can form. Every cosine is computed from the vectors themselves, in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data.anchors import Anchors, Graph, Listed
from excise.data.embed import Vectors
from excise.data.matches import matches_table
from excise.errors import InputError, SettingError
from excise.journal import Progress, silent

#: Up to so many records all are compared with all: a minute at 256 dimensions on one core; a graph takes longer.
EXACT = 100_000
#: Records compared at once.
_BLOCK = 1024
#: Products of single precision are off by less; what they propose is computed again.
_SLACK = 1e-5
_ROWS = 1 << 14

Ints = NDArray[np.int64]
Found = tuple[Ints, Ints, NDArray[np.float64]]


@dataclass(frozen=True)
class SemanticSettings:
    """What counts as saying the same.

    Attributes:
        threshold: Least cosine of two vectors, in (0, 1]. With vectors of words, 0.9 has precision 0.77 and recall 0.22
            on stsbenchmark (scores from 4.5 of 5), 0.95 and 0.78 on DBLP-ACM; 0.8 has 0.47 and 0.49, 0.92 and 0.91
            (benchmarks/semantic.py). Below 0.9 records made from one template with other numbers match. An encoder has
            a scale of its own: look at pairs first.
    """

    threshold: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise SettingError(
                f"semantic.threshold is {self.threshold}; it must be above 0 and at most 1. 0.9 is the default."
            )


def find(
    corpus: Corpus,
    settings: SemanticSettings,
    vectors: Vectors,
    *,
    rank: Ints | None = None,
    skip: NDArray[np.bool_] | None = None,
    group: Ints | None = None,
    exact: int = EXACT,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """Records that say the same as another one that stays.

    Args:
        corpus: The records.
        settings: The threshold.
        vectors: float32 [records, d], rows of length 1 (embed.vectors); a row of zeros takes no part.
        rank: int64 [records], 0 = keep rather than any other (keep.ranks); None is the order of the corpus.
        skip: bool [records], True where a record takes no part.
        group: int64 [records]; only records of one group are compared.
        exact: Up to so many records are compared without a graph.
        progress: Told the records done.

    Yields:
        FINDINGS of finder 'semantic': the locus is the worse ranked record and never a reference, the partner the
        nearest record that stays, the redundancy their cosine. Up to `exact` records, no two that stay reach the
        threshold.

    Raises:
        InputError: The vectors are not one a record.
        MissingExtraError: There are more than `exact` records and usearch is not installed.

    Cost: exact: n^2 d operations, 4 d bytes of memory a record; else about 1 ms and 2 d + 200 bytes a record.
    """
    if len(vectors) != len(corpus):
        raise InputError(f"there are {len(vectors):,} vectors for {len(corpus):,} records; one a record is needed.")
    nodes, ends = _nodes(corpus, vectors, rank, skip, group)
    done = 0
    for members in np.split(nodes, ends):
        space = vectors.shape[1]
        anchors = Listed(len(members), space) if len(members) <= exact else Graph(space)
        for position, partner, cosine in _absorbed(vectors, members, corpus.first_own, anchors, settings.threshold):
            done += _BLOCK
            progress("comparing meanings", min(done, len(nodes)), len(nodes))
            if len(position):
                yield matches_table(corpus, "semantic", position, partner, cosine)


def _nodes(
    corpus: Corpus,
    vectors: Vectors,
    rank: Ints | None,
    skip: NDArray[np.bool_] | None,
    group: Ints | None,
) -> tuple[Ints, Ints]:
    """Positions by group, in each references first and then by rank, and where a group but the first begins."""
    taking = np.concatenate(
        [np.zeros(0, np.bool_), *(vectors[i : i + _ROWS].any(axis=1) for i in range(0, len(vectors), _ROWS))]
    )
    if skip is not None:
        taking &= ~skip
    nodes = np.flatnonzero(taking)
    order = np.arange(len(corpus)) if rank is None else rank
    groups = np.zeros(len(nodes), np.int64) if group is None else group[nodes]
    by = np.lexsort((order[nodes], nodes >= corpus.first_own, groups))
    return nodes[by], np.flatnonzero(np.diff(groups[by])) + 1


def _absorbed(vectors: Vectors, members: Ints, first_own: int, anchors: Anchors, threshold: float) -> Iterator[Found]:
    """Block by block the members that go, each with the nearest one that stays, and their cosine.

    Args:
        vectors: Of all records.
        members: Positions, those to keep rather first.
        first_own: Positions before it are references: they stay.
        anchors: Empty.
        threshold: Least cosine of a match.
    """
    staying = np.empty(len(members), np.int64)
    count = 0
    for at in range(0, len(members), _BLOCK):
        block = members[at : at + _BLOCK]
        rows = np.asarray(vectors[block])
        number = anchors.nearest(rows)
        partner = np.where(number >= 0, staying[number], -1)
        cosine = np.where(number >= 0, _cosines(rows, vectors[np.maximum(partner, 0)]), -1.0)
        inside = np.tril(rows @ rows.T, -1) - 2 * np.triu(np.ones((len(block), len(block)), np.float32))
        going = np.zeros(len(block), np.bool_)
        near = np.maximum(cosine, inside.max(axis=1)) >= threshold - _SLACK
        for i in np.flatnonzero(near & (block >= first_own)).tolist():
            alive = np.where(going, -2, inside[i])
            other = int(alive.argmax())
            if alive[other] >= threshold - _SLACK:
                value = _cosines(rows[i : i + 1], rows[other : other + 1])[0]
                if value > cosine[i]:
                    partner[i], cosine[i] = block[other], value
            going[i] = cosine[i] >= threshold
        anchors.add(rows[~going])
        left = block[~going]
        staying[count : count + len(left)] = left
        count += len(left)
        yield block[going], partner[going], cosine[going]


def _cosines(rows: Vectors, others: Vectors) -> NDArray[np.float64]:
    """Of each row [n, d] and its other [n, d], both of length 1."""
    products: NDArray[np.float64] = np.einsum("ij,ij->i", rows.astype(np.float64), others.astype(np.float64))
    return np.minimum(products, 1.0)

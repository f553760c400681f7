"""Folds: who is judged by which model, and what each model is learned from.

Equal records are in one fold: a copy of a record among those that a model learns from would give its wrong label back
as if it were right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Why a record is not judged.
NO_LABEL, SMALL_CLASS, NOTHING_KNOWN, GONE = "no label", "small class", "nothing to judge by", "gone already"

_BLOCK = 4096


def row_keys(features: NDArray[Any]) -> NDArray[np.uint64]:
    """Equal for equal rows."""
    keys = np.empty(len(features), np.uint64)
    for start in range(0, len(features), _BLOCK):
        for index, row in enumerate(np.ascontiguousarray(features[start : start + _BLOCK]), start):
            keys[index] = xxhash.xxh3_64_intdigest(row.tobytes())
    return keys


def joined(keys: NDArray[np.uint64], groups: Ints | None) -> Ints:
    """Groups of records that are equal or in one of the given groups, and so on from those.

    Returns:
        int64 [n]: the first record of each one's group.
    """
    _, first, ours = np.unique(keys, return_index=True, return_inverse=True)
    ours = ours.reshape(-1)
    if groups is None:
        return first[ours]
    theirs = np.unique(groups, return_inverse=True)[1].reshape(-1)
    head = np.arange(len(keys))
    while True:
        before = head
        for kind in (ours, theirs):
            least = np.full(int(kind.max(initial=-1)) + 1, len(keys))
            np.minimum.at(least, kind, head)
            head = least[kind]
        if np.array_equal(head, before):
            return head


def deal_out(labels: Ints, groups: Ints, folds: int, seed: int) -> Ints:
    """A fold for each record: every class evenly, each group in one.

    Args:
        labels: int64 [n]; -1 takes no part.
        groups: int64 [n].
        folds: Number of folds.
        seed: Of the order in which groups of one class and size are dealt.

    Returns:
        int64 [n] in [0, folds), or -1 where the label is -1 or its class has fewer groups than there are folds.
    """
    fold = np.full(len(labels), -1, np.int64)
    rows = np.flatnonzero(labels >= 0)
    if len(rows) == 0:
        return fold
    pairs = np.unique(np.stack([labels[rows], groups[rows]], 1), axis=0)
    large = np.bincount(pairs[:, 0]) >= folds
    rows = rows[large[labels[rows]]]
    if len(rows) == 0:
        return fold
    _, first, member, size = np.unique(groups[rows], return_index=True, return_inverse=True, return_counts=True)
    kind = labels[rows][first]
    draw = np.random.default_rng(seed).permutation(len(first))
    order = np.lexsort((draw, -size, kind))
    place = np.arange(len(order)) - np.searchsorted(kind[order], kind[order])
    lap, at = np.divmod(place, folds)
    there_and_back = np.where(lap % 2 == 0, at, folds - 1 - at)  # large groups come first
    dealt = np.empty(len(order), np.int64)
    dealt[order] = (there_and_back + kind[order]) % folds  # each class begins with another fold
    fold[rows] = dealt[member.reshape(-1)]
    return fold


@dataclass(frozen=True)
class Deal:
    """Who is judged by which model.

    Attributes:
        fold: int64 [n], -1 where a record is not judged.
        folds: How many.
        present: int64: the classes that are judged; columns of the models.
        learned: int64, ascending: the rows that are learned from.
        unjudged: [n], as in Judgement.
    """

    fold: Ints
    folds: int
    present: Ints
    learned: Ints
    unjudged: NDArray[np.object_]

    @classmethod
    def of(cls, labels: Ints, classes: int, groups: Ints, folds: int, seed: int, skip: Flags | None, most: int) -> Deal:
        """Deal records out.

        Args:
            labels: int64 [n] in [-1, k).
            classes: k.
            groups: int64 [n].
            folds: How many.
            seed: Of the deal and the sample.
            skip: bool [n]: neither judged nor learned from.
            most: Records that are learned from at most.
        """
        unjudged = np.full(len(labels), None, object)
        unjudged[labels < 0] = NO_LABEL
        given = labels
        if skip is not None:
            unjudged[skip] = GONE
            given = np.where(skip, -1, labels)
        fold = deal_out(given, groups, folds, seed)
        counts = np.zeros((folds, classes), np.int64)
        np.add.at(counts, (fold[fold >= 0], given[fold >= 0]), 1)
        # A class may be in one fold only, where its groups hold records of other classes: no model knows it then.
        alone = (counts > 0).sum(0) < 2
        rows = np.flatnonzero(fold >= 0)
        fold[rows[alone[given[rows]]]] = -1
        unjudged[(given >= 0) & (fold < 0)] = SMALL_CLASS
        rows = np.flatnonzero(fold >= 0)
        return cls(fold, folds, np.unique(given[rows]), rows[_sample(given[rows], most, seed)], unjudged)


def _sample(labels: Ints, most: int, seed: int) -> Ints:
    """Indices of at most so many labels, ascending: the small classes whole, of the others equally many."""
    counts = np.bincount(labels)
    low, high = 0, int(counts.max(initial=0))
    while low < high:  # the largest quota that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(counts, middle).sum() <= most else (low, middle - 1)
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    place = np.arange(len(order)) - np.searchsorted(labels[order], labels[order])
    return np.sort(order[place < low])

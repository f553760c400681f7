"""How odd each row of a matrix is: four measures, high = odd, none of which knows a threshold.

Chosen and compared on published sets in benchmarks/outliers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from excise.data.embed import Vectors
from excise.errors import MissingExtraError

Floats = NDArray[np.float64]
Rows = NDArray[Any]
Ints = NDArray[np.int64]

#: Rows compared with: all up to here, else a random sample of so many. 1e6 rows of 256 take three minutes a core.
REFERENCES = 20_000
#: Rows from which scales and trees are learned.
_LEARNED = 100_000
_BLOCK = 1 << 10
#: Spreads beyond which a value is not odder still: keeps squares within single precision.
_FAR = 1e4
#: Between the 10th and the 90th percentile of a normal distribution lie 2 * 1.2816 standard deviations.
_NORMAL = 2.5631
#: Random rows a draw, and draws. Sugiyama and Borgwardt show 20 to suffice; the mean of 50 draws takes the chance out.
DRAW, DRAWS = 20, 50
#: Trees and rows a tree, as published. Source: Liu, Ting, Zhou 2008, Isolation forest.
_TREES, _TREE_ROWS = 100, 256


def _sample(where: Ints, size: int, seed: int) -> Ints:
    """All of these indices, or a random sample in their order."""
    if len(where) <= size:
        return where
    return where[np.sort(np.random.default_rng(seed).choice(len(where), size, replace=False))]


@dataclass(frozen=True)
class RobustScale:
    """Where the columns of a matrix lie and how far they spread, little moved by outliers.

    Attributes:
        columns: int64 [k]: those that are not constant.
        centre: float64 [k], medians.
        spread: float64 [k]: of a normal distribution the standard deviation, measured between the 10th and the 90th
            percentile; where these are equal, the standard deviation. Quartiles were tried: they make rare values of
            nearly constant columns so odd that nothing else counts.
    """

    columns: Ints
    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, values: Rows, seed: int) -> RobustScale:
        """The scale of a matrix [n, d]; NaN and infinities are left out."""
        some = np.asarray(values[_sample(np.arange(len(values)), _LEARNED, seed)], np.float64)
        some = np.where(np.isfinite(some), some, np.nan)
        columns = np.flatnonzero(np.isfinite(some).any(axis=0))
        if not len(columns):
            return cls(columns, np.zeros(0), np.zeros(0))
        low, centre, high = np.nanpercentile(some[:, columns], (10, 50, 90), axis=0)
        spread = np.where(high > low, (high - low) / _NORMAL, np.nanstd(some[:, columns], axis=0))
        varied = spread > 1e-12 * np.abs(centre)  # rounding makes a constant column vary
        return cls(columns[varied], centre[varied], spread[varied])

    def apply(self, values: Rows) -> Vectors:
        """Rows [n, d] in spreads from the medians, float32 [n, k]; a missing value is at the median."""
        given = np.asarray(values[:, self.columns], np.float64)
        scaled = np.clip((given - self.centre) / self.spread, -_FAR, _FAR)
        return np.where(np.isnan(scaled), 0, scaled).astype(np.float32)


Transform = Callable[[Rows], Vectors]
Step = Callable[[int], None]


def as_they_are(values: Rows) -> Vectors:
    """The Transform of vectors, which have one scale."""
    return np.asarray(values, np.float32)


def blocks(rows: int) -> Iterator[slice]:
    """Runs of rows that are worked on at once."""
    for at in range(0, rows, _BLOCK):
        yield slice(at, min(at + _BLOCK, rows))


def squares(rows: Vectors, others: Vectors) -> Vectors:
    """Squared Euclidean distances [rows, others], less the square of each row's length; off by rounding."""
    found: Vectors = np.einsum("ij,ij->i", others, others) - 2 * rows @ others.T
    return found


def distances(rows: Vectors, others: Vectors) -> Floats:
    """Euclidean distances of rows [n, 1, d] and others [n, k, d]: [n, k]; those of equal rows are 0."""
    apart = rows - others
    found: Floats = np.sqrt(np.einsum("ijk,ijk->ij", apart, apart)).astype(np.float64)
    return found


def neighbours(
    values: Rows, where: Ints, transform: Transform, count: int, seed: int, step: Step
) -> tuple[Floats, Ints, Floats]:
    """Distance to the count-th nearest row.

    Args:
        values: [rows, d].
        where: Indices of the rows that are judged and compared with, ascending, [n].
        transform: Makes rows comparable.
        count: Which neighbour, >= 1; in a sample the one that would about be it among all.
        seed: Of the sample.
        step: Told the rows done.

    Returns:
        float64 [n], the index of the nearest row or -1 [n], and its distance [n]. NaN where there is no other row.

    Cost: 2 n d min(n, REFERENCES) operations.
    Source: Ramaswamy, Rastogi, Shim 2000, Efficient algorithms for mining outliers.
    """
    chosen = _sample(where, REFERENCES, seed)
    others = transform(values[chosen])
    among = min(max(1, round(count * len(chosen) / max(1, len(where)))), len(chosen) - 1)
    odd, least, nearest = np.full(len(where), np.nan), np.full(len(where), np.nan), np.full(len(where), -1)
    if among < 1:
        return odd, nearest, least
    for block in blocks(len(where)):
        rows = transform(values[where[block]])
        found = squares(rows, others)
        found[chosen == where[block, None]] = np.inf
        two = np.stack([found.argmin(axis=1), np.argpartition(found, among - 1, axis=1)[:, among - 1]], axis=1)
        nearest[block] = chosen[two[:, 0]]
        least[block], odd[block] = distances(rows[:, None], others[two]).T
        step(block.stop)
    return odd, nearest, least


def samples(values: Rows, where: Ints, transform: Transform, seed: int, step: Step) -> Floats:
    """Distance to the nearest of DRAW random rows, the mean over DRAWS draws.

    Args:
        values: [rows, d].
        where: Indices of the rows that are judged and compared with, [n].
        transform: Makes rows comparable.
        seed: Of the draws.
        step: Told the rows done.

    Returns:
        float64 [n]; NaN where there is no other row.

    Cost: 2,000 n d operations.
    Source: Sugiyama, Borgwardt 2013, Rapid distance-based outlier detection via sampling.
    Differs: a row is not compared with itself; the mean of several draws.
    """
    odd = np.full(len(where), np.nan)
    if len(where) < 2:
        return odd
    rng = np.random.default_rng(seed)
    size = min(DRAW, len(where))
    chosen = where[np.concatenate([rng.choice(len(where), size, replace=False) for _ in range(DRAWS)])]
    others = transform(values[chosen])
    for block in blocks(len(where)):
        rows = transform(values[where[block]])
        found = squares(rows, others)
        found[chosen == where[block, None]] = np.inf
        best = found.reshape(len(found), DRAWS, size).argmin(axis=2) + size * np.arange(DRAWS)
        odd[block] = distances(rows[:, None], others[best]).mean(axis=1)
        step(block.stop)
    return odd


def forest(values: Rows, where: Ints, transform: Transform, seed: int, step: Step) -> Floats:
    """How few random splits part a row from others: 2^(-mean depth / expected depth), in (0, 1).

    Args:
        values: [rows, d].
        where: Indices of the rows that are judged and learned from, [n].
        transform: Fills in what is missing.
        seed: Of the trees.
        step: Told the rows done.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    Cost: 100 trees of 256 rows; about 10 µs a row.
    Source: Liu, Ting, Zhou 2008, Isolation forest.
    """
    try:
        from sklearn.ensemble import IsolationForest  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("noise", "scikit-learn") from error
    odd = np.zeros(len(where))
    learned = transform(values[_sample(where, _LEARNED, seed)])
    if not learned.shape[1] or len(learned) < 2:
        return odd
    trees = IsolationForest(n_estimators=_TREES, max_samples=min(_TREE_ROWS, len(learned)), random_state=seed)
    trees.fit(learned)
    for block in blocks(len(where)):
        odd[block] = -trees.score_samples(transform(values[where[block]]))
        step(block.stop)
    return odd


def ecod(values: Rows, where: Ints, step: Step) -> Floats:
    """How far out in the tails: the largest of the sums over columns of -ln(share as low), (as high), (skewed side).

    Args:
        values: [rows, d]; a missing value says nothing, an infinite one counts as the outermost finite one.
        where: Indices of the rows that are judged, [n].
        step: Told the columns done.

    Returns:
        float64 [n], >= 0.

    Cost: d sorts of n.
    Source: Li, Zhao, Hu, Botta, Ionescu, Chen 2022, ECOD, algorithm 1.
    """
    left, right, skewed = np.zeros((3, len(where)))
    for column in range(values.shape[1]):
        given = np.asarray(values[where, column], np.float64)
        finite = given[np.isfinite(given)]
        if not len(finite) or finite.min() == finite.max():
            continue
        known = np.flatnonzero(~np.isnan(given))
        told = np.clip(given[known], finite.min(), finite.max())
        ascending = np.sort(told)
        low = -np.log(np.searchsorted(ascending, told, "right") / len(told))
        high = -np.log(1 - np.searchsorted(ascending, told, "left") / len(told))
        left[known] += low
        right[known] += high
        skewed[known] += low if ((told - told.mean()) ** 3).sum() < 0 else high
        step(column + 1)
    return np.maximum(np.maximum(left, right), skewed)

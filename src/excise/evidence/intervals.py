"""Intervals: how sure a before/after difference is.

Of quality, by the paired bootstrap: both models see the same documents, so a document's difficulty cancels; documents
are drawn with replacement and the statistic is computed anew on both models' sums over the same draw. Of speed, by the
order of the few rounds.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

#: Draws; the percentiles of a 95 % interval then rest on 50 draws on each side.
RESAMPLES = 2000
LEVEL = 0.95
#: Fewer units than this say nothing of how units differ: of one the interval would have no width at all.
MIN_UNITS = 10


def resampled_totals(units: Floats, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Column sums of `units` over draws with replacement.

    Args:
        units: [n, k], one row a resampling unit (document or window); sums, not means.
        seed: Of the draws.
        resamples: Number of draws R.

    Returns:
        [R, k]. Independent of the order of the rows: they are sorted first.

    Cost: O(R * n * k) time, O(n) memory beside the result.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    count = len(units)
    units = units[np.lexsort(units.T[::-1])]
    draw = np.random.default_rng(seed)
    totals = np.empty((resamples, units.shape[1]))
    for i in range(resamples):
        times = np.bincount(draw.integers(0, count, count), minlength=count)
        totals[i] = times @ units
    return totals


def percentile_interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The central `level` of resampled values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_intervals(totals: Floats, before: Statistic, after: Statistic) -> dict[str, tuple[float, float]]:
    """Intervals of a statistic of both models.

    Args:
        totals: [R, k] from `resampled_totals`.
        before: The statistic of BEFORE, a function of [R, k] totals giving [R].
        after: The statistic of AFTER.

    Returns:
        Intervals of `after`, `difference` (after - before) and `ratio` (after / before; left out where before is 0).
    """
    first, second = before(totals), after(totals)
    found = {
        "after": percentile_interval(second),
        "difference": percentile_interval(second - first),
    }
    if np.all(first != 0):
        found["ratio"] = percentile_interval(second / first)
    return found


def paired_medians(before: Floats, after: Floats) -> dict[str, tuple[float, float]]:
    """Intervals of the median over rounds that were measured in turn.

    Args:
        before: [n] measurements of BEFORE, one a round, > 0.
        after: [n] of AFTER, same rounds.

    Returns:
        Intervals of `after`, `difference` and `ratio`; difference and ratio are medians of the rounds' own, because
        the machine's slow moments hit both models of a round.
    """
    return {
        "after": median_interval(after),
        "difference": median_interval(after - before),
        "ratio": median_interval(after / before),
    }


def median_interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The distribution-free interval of a median: the k-th smallest and the k-th largest value.

    Args:
        values: [n] independent measurements.
        level: At least this coverage, where n allows it (n >= 6 for 95 %); else smallest and largest.

    Source: Conover, Practical Nonparametric Statistics (1999), section 3.2: the true median is below the k-th smallest
        of n values with probability P(Binomial(n, 1/2) < k).
    Differs: not the bootstrap, whose interval of a median holds the truth too seldom with so few values (n = 7: 87 %
        instead of 95 %), so that a model would now and then be called faster than itself.
    """
    ordered = np.sort(values)
    count, outside, k = len(ordered), 0.0, 0
    while k < count // 2:
        outside += math.comb(count, k) / 2**count
        if 2 * outside > 1 - level:
            break
        k += 1
    k = max(k, 1)
    return float(ordered[k - 1]), float(ordered[count - k])

"""Confident learning: which given labels are wrong, from probabilities of a model that has not seen the record.

The threshold of class j is the mean probability of j over the records labelled j: a record *counts as* the most
probable class among those whose threshold it reaches. The table of given label against counted class, calibrated to the
label counts, is the confident joint: an estimate of how many records labelled i are truly j. It says how many labels
are wrong, and the methods of the paper say which.

One more is ours. The model learned from noisy labels, so its probabilities are of the label that a record gets, not of
the one that is true. The joint says how often class j is labelled i; undoing that gives the probabilities of the true
class, and Bayes' rule the probability that the label is wrong. On planted errors this finds as many as `both`,
the best of the paper's, with a quarter fewer false alarms (benchmarks/labels.py), and the number means something.

Source: Northcutt, Jiang, Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels; undoing the noise:
Patrini and others 2017, Making Deep Neural Networks Robust to Label Noise.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from excise.errors import InputError, SettingError

Labels = NDArray[np.int64]
Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]

#: How the records are picked; `both` are those that noise_rate and class_count agree on.
Method = Literal["posterior", "joint", "noise_rate", "class_count", "both"]
METHODS: tuple[str, ...] = get_args(Method)

#: A row of probabilities may sum to 1 this far off: half precision and many classes.
_SLACK = 1e-2
#: A probability this far below its class's threshold still reaches it: means of equal numbers round differently.
_ROUNDING = 1e-6
#: Steps of undoing the noise: of 1, 2, 4, 8 and 16 the planted errors are found best with 8; 4 and 16 are as good
#: within 0.004 (F1).
_STEPS = 8
#: Below single precision: no probability is smaller.
_LEAST = 1e-9
_BLOCK = 1 << 12


def judged(labels: Labels, probabilities: Floats) -> Flags:
    """Which records can be judged: those with a label and a row of probabilities; refuses what is no probability.

    Args:
        labels: int [n], the class of each record's label; -1 where it has none.
        probabilities: [n, k], out-of-sample; a row that begins with NaN is left unjudged, and must be NaN throughout.

    Returns:
        bool [n].

    Raises:
        InputError: Another shape, a label outside [-1, k), a value outside [0, 1], a row that does not sum to 1.
    """
    if probabilities.ndim != 2 or len(probabilities) != len(labels):
        raise InputError(
            f"probabilities have the shape {list(probabilities.shape)} for {len(labels)} labels; "
            "they must be one row a record and one column a class."
        )
    count, classes = probabilities.shape
    if len(labels) and not -1 <= labels.min() <= labels.max() < classes:
        raise InputError(f"labels run from {labels.min()} to {labels.max()}; with {classes} columns of probabilities "
                         f"they must be from 0 to {classes - 1}, or -1 for none.")  # fmt: skip
    known = np.empty(count, np.bool_)
    for start in range(0, count, _BLOCK):
        rows = probabilities[start : start + _BLOCK]
        known[start : start + _BLOCK] = there = ~np.isnan(rows[:, :1]).all(1)
        bad = there & ~((rows >= -_ROUNDING) & (rows <= 1 + _ROUNDING)).all(1)
        bad |= ~there & ~np.isnan(rows).all(1)
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(
                f"probabilities of row {start + row} hold {_odd(rows[row])!r}; every value must be in [0, 1], "
                "or the whole row NaN where a record is not to be judged."
            )
        total = rows.sum(1, dtype=np.float64)
        off = there & ~(np.abs(total - 1) <= _SLACK)
        if off.any():
            row = int(np.argmax(off))
            raise InputError(
                f"probabilities of row {start + row} sum to {total[row]:.4g}; each row must sum to 1. "
                "Give probabilities, not logits or scores of independent classes."
            )
    return known & (labels >= 0)


def _odd(row: Floats) -> float:
    return float(row[np.argmax(~((row >= -_ROUNDING) & (row <= 1 + _ROUNDING)))])


def thresholds(labels: Labels, probabilities: Floats) -> NDArray[np.float64]:
    """t_j: the mean probability of class j over the records labelled j; infinite where none is.

    Args:
        labels: int [n] in [0, k).
        probabilities: [n, k].

    Returns:
        float64 [k].
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, own, minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def counted(probabilities: Floats, limits: NDArray[np.float64]) -> Labels:
    """The class each record counts as: the most probable of those whose threshold it reaches; -1 for none.

    Args:
        probabilities: [n, k].
        limits: [k], as of `thresholds`.
    """
    found = np.empty(len(probabilities), np.int64)
    for start in range(0, len(probabilities), _BLOCK):
        rows = probabilities[start : start + _BLOCK]
        reached = np.where(rows >= limits - _ROUNDING, rows, -1.0)
        found[start : start + _BLOCK] = np.where(reached.max(1) >= 0, reached.argmax(1), -1)
    return found


def joint(labels: Labels, counts_as: Labels, classes: int) -> NDArray[np.float64]:
    """The confident joint: how many records labelled i are truly j.

    Args:
        labels: int [n] in [0, classes).
        counts_as: int [n], as of `counted`.
        classes: k.

    Returns:
        float64 [k, k]: row i sums to the number of records labelled i. A class none of whose records counts as itself
        is taken to have one that does.
    """
    sure = counts_as >= 0
    table = np.bincount(labels[sure] * classes + counts_as[sure], minlength=classes * classes)
    table = table.reshape(classes, classes).astype(np.float64)
    np.fill_diagonal(table, np.maximum(table.diagonal(), 1))
    have = np.bincount(labels, minlength=classes)
    calibrated: NDArray[np.float64] = table / table.sum(1, keepdims=True) * have[:, None]
    return calibrated


def rounded(table: NDArray[np.float64]) -> Labels:
    """Whole numbers near the joint's with its row sums: the largest fractions, of equal ones the last, go up."""
    whole = np.floor(table + 1e-9)  # 3 * (1 / 3) is 1, not 0.999…
    missing = np.rint(table.sum(1) - whole.sum(1)).astype(np.int64)
    order = np.argsort(np.round(table - whole, 9), axis=1, kind="stable")[:, ::-1]
    up = np.arange(table.shape[1]) < missing[:, None]
    np.put_along_axis(whole, order, np.take_along_axis(whole, order, 1) + up, 1)
    return whole.astype(np.int64)


def noise_matrix(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(given = i | true = j) from the confident joint.

    Args:
        table: float64 [k, k], as of `joint`.

    Returns:
        float64 [k, k]: column j sums to 1; NaN where no record is truly j.
    """
    truly = table.sum(0, dtype=np.float64)
    shares: NDArray[np.float64] = np.full(table.shape, np.nan)
    np.divide(table, truly, out=shares, where=truly > 0)
    return shares


def wrong(labels: Labels, probabilities: Floats, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that each record's label is wrong: 1 - P(i | i) q(i) / sum over j of P(i | j) q(j).

    i is the given label, P(i | j) the noise matrix, and q the probabilities of the true class, which the noise turns
    into the model's: p = P q. They are found by steps that keep them positive, from p, and are stopped early: the
    inverse of P would make p's own errors larger.

    Args:
        labels: int [n] in [0, k).
        probabilities: [n, k], p: of the given labels, out-of-sample.
        table: float64 [k, k], as of `joint`.

    Returns:
        float64 [n] in [0, 1].

    Cost: O(16 n k²); memory O(k²) beyond the result.
    Source: Richardson 1972, Lucy 1974 (the steps).
    """
    noise = noise_matrix(table)
    noise = np.where(np.isnan(noise), np.eye(len(noise)), noise)
    found = np.empty(len(labels))
    for start in range(0, len(labels), _BLOCK):
        given = labels[start : start + _BLOCK]
        seen = np.maximum(probabilities[start : start + _BLOCK].astype(np.float64), _LEAST)
        true = seen.copy()
        for _ in range(_STEPS):
            true *= (seen / np.maximum(true @ noise.T, _LEAST)) @ noise
        true *= noise[given]
        right, either = true[np.arange(len(given)), given], true.sum(1)
        share = np.divide(right, either, out=np.zeros(len(given)), where=either > 0)
        found[start : start + _BLOCK] = 1 - np.clip(share, 0, 1)
    return found


def suggested(labels: Labels, probabilities: Floats) -> Labels:
    """The most probable class other than the given one; -1 where there is one class only."""
    if probabilities.shape[1] < 2:
        return np.full(len(labels), -1, np.int64)
    best = np.empty(len(labels), np.int64)
    for start in range(0, len(labels), _BLOCK):
        rows = np.array(probabilities[start : start + _BLOCK])
        rows[np.arange(len(rows)), labels[start : start + _BLOCK]] = -1
        best[start : start + _BLOCK] = rows.argmax(1)
    return best


def self_confidence(labels: Labels, probabilities: Floats) -> NDArray[np.float64]:
    """Probability of the given label; low = probably wrong."""
    return probabilities[np.arange(len(labels)), labels].astype(np.float64)


def normalised_margin(labels: Labels, probabilities: Floats) -> NDArray[np.float64]:
    """(1 + p(given) - p(most probable other)) / 2, in [0, 1]; low = probably wrong."""
    own = self_confidence(labels, probabilities)
    other = suggested(labels, probabilities)
    rival = np.where(other < 0, 0.0, probabilities[np.arange(len(labels)), other])
    return (1 + own - rival) / 2


def issues(labels: Labels, probabilities: Floats, method: Method = "posterior") -> Flags:
    """Which given labels are wrong.

    Args:
        labels: int [n] in [0, k).
        probabilities: [n, k], out-of-sample, all of them judged.
        method: `posterior`: those most probably wrong, as many as the probabilities of being wrong (`wrong`) sum up to.
            `joint`: those that count as another class than their label (the off-diagonal of the joint).
            `noise_rate`: for i and j as many as the joint has there, with the largest margin p(j) - p(i).
            `class_count`: for i as many as the joint's row has off the diagonal, with the smallest p(i), of equal ones
            those with the largest rival.
            `both`: those that noise_rate and class_count agree on.

    Returns:
        bool [n]; never True where no other class is more probable than the given one.

    Raises:
        SettingError: No such method.

    Cost: O(n k²) for posterior, O(n k log n) at worst for noise_rate, else O(n k); memory O(n) beyond the
        probabilities.
    """
    if method not in METHODS:
        raise SettingError(f"method is {method!r}; it must be one of {', '.join(METHODS)}.")
    classes = probabilities.shape[1]
    own, other = self_confidence(labels, probabilities), suggested(labels, probabilities)
    if classes < 2 or len(labels) == 0:
        return np.zeros(len(labels), np.bool_)
    doubtful: Flags = probabilities[np.arange(len(labels)), other] > own
    counts_as = counted(probabilities, thresholds(labels, probabilities))
    if method == "joint":
        doubtful &= (counts_as >= 0) & (counts_as != labels)
    table = joint(labels, counts_as, classes)
    if method in {"noise_rate", "both"}:
        doubtful &= _by_noise_rate(labels, probabilities, rounded(table))
    if method in {"class_count", "both"}:
        rival = probabilities[np.arange(len(labels)), other]
        doubtful &= _by_class_count(labels, own, rival, rounded(table))
    if method == "posterior":
        doubtful &= _most_wrong(wrong(labels, probabilities, table), own)
    return doubtful


def _most_wrong(chances: NDArray[np.float64], own: NDArray[np.float64]) -> Flags:
    found = np.zeros(len(own), np.bool_)
    found[np.lexsort((own, -chances))[: round(float(chances.sum()))]] = True
    return found


def _by_noise_rate(labels: Labels, probabilities: Floats, table: Labels) -> Flags:
    found = np.zeros(len(labels), np.bool_)
    for given, row in enumerate(table):
        members = np.flatnonzero(labels == given)
        if len(members) < 2:
            continue  # the last record of a class stays
        for true in np.flatnonzero(row):
            if true != given:
                margin = probabilities[members, true] - probabilities[members, given]
                found[members[np.argsort(-margin, kind="stable")[: row[true]]]] = True
    return found


def _by_class_count(labels: Labels, own: NDArray[np.float64], rival: Floats, table: Labels) -> Flags:
    found = np.zeros(len(labels), np.bool_)
    for given, row in enumerate(table):
        members = np.flatnonzero(labels == given)
        if len(members) >= 2:
            order = np.lexsort((-rival[members], own[members]))
            found[members[order[: len(members) - row[given]]]] = True
    return found

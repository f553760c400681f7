"""Wrong values: records whose number is far from what a model says that has not seen them.

The model is a ridge regression on features, learned twice: the second time without the records that the first one is
far off, for wrong values are often off by factors and would bend it. What counts as far is measured in the usual
deviation of held-out records (1.4826 times the median absolute one), which wrong values do not move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data.deviation import usual
from excise.data.folds import GONE, NOTHING_KNOWN, deal_out, joined, row_keys
from excise.data.labels import labels_of
from excise.data.noisy import noisy_table, shown
from excise.data.scale import Scale
from excise.errors import InputError, SettingError
from excise.journal import Progress, silent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What is measured of each record. `z`: how many usual deviations the value is from the prediction, with its sign.
MEASURED = pa.schema(
    [
        pa.field("given", pa.float64()),
        pa.field("predicted", pa.float64()),
        pa.field("z", pa.float64()),
        pa.field("unjudged", pa.string()),
    ]
)
NO_NUMBER, TOO_FEW = "no number", "too few records"

#: Penalties on squared coefficients by record, tried on the first fold; rows have length 1 on average.
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
#: The second model is learned without records more than so many usual deviations off.
_FAR = 3.5
#: No usual deviation is smaller than this share of the values: rounding is no error.
_ROUNDING = 1e-6
_MOST, _NUMBERS = 200_000, 1 << 26
_BLOCK = 4096


@dataclass(frozen=True)
class ValuesSettings:
    """Which values count as wrong.

    Attributes:
        threshold: Usual deviations from the prediction, above 1. At 5, of values that are normally distributed one in
            1.7 million is found, and of any distribution at most one in 25 (Chebyshev).
        folds: From 2 to 50.
        seed: Of the deal of records into folds.
    """

    MEASURED: ClassVar[tuple[str, ...]] = ("folds", "seed")

    threshold: float = 5.0
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.threshold > 1:
            raise SettingError(f"values.threshold is {self.threshold}; it must be above 1. 5 is the default.")
        if not 2 <= self.folds <= 50:
            raise SettingError(f"values.folds is {self.folds}; it must be between 2 and 50. 5 is the default.")
        if self.seed < 0:
            raise SettingError(f"values.seed is {self.seed}; it must not be negative.")


def measure(
    corpus: Corpus,
    settings: ValuesSettings,
    *,
    features: NDArray[Any],
    groups: Ints | None = None,
    skip: NDArray[np.bool_] | None = None,
    progress: Progress = silent,
) -> pa.Table:
    """How far each record's number is from its prediction.

    Args:
        corpus: The records; their labels are the numbers.
        settings: Folds and seed.
        features: [own records, d]: embeddings or columns of a table, as in `classify.by_features`.
        groups: int64 [own records]: records of one group are judged by a model that has seen none of them.
        skip: bool [own records]: those that go already are neither judged nor learned from.
        progress: Told what is done.

    Returns:
        MEASURED, one row a record from `first_own` on.

    Raises:
        InputError: No label is a number, or the features do not fit.

    Cost: O(folds n d²), from at most 200,000 records; memory 4 d bytes for each of those.
    """
    given = numbers(labels_of(corpus))
    if len(given) and np.isnan(given).all():
        raise InputError("no record's label is a number. Name the field that holds it: --label FIELD.")
    if features.ndim != 2 or len(features) != len(given):
        raise InputError(
            f"features have the shape {list(features.shape)} for {len(given)} records; they must be one row a record."
        )
    skipped = np.zeros(len(given), np.bool_) if skip is None else skip
    known = ~np.isnan(given) & ~skipped
    fold = deal_out(np.where(known, 0, -1), joined(row_keys(features), groups), settings.folds, settings.seed)
    predicted = _predicted(features, given, fold, settings, progress)

    unjudged = np.full(len(given), None, object)
    unjudged[np.isnan(predicted)] = NOTHING_KNOWN
    unjudged[fold < 0] = TOO_FEW
    unjudged[np.isnan(given)] = NO_NUMBER
    unjudged[skipped] = GONE
    return pa.table(
        {
            "given": pa.array(given, from_pandas=True),
            "predicted": pa.array(predicted, from_pandas=True),
            "z": pa.array(deviations(given, predicted), from_pandas=True),
            "unjudged": pa.array(unjudged.tolist(), pa.string()),
        },
        schema=MEASURED,
    )


def numbers(labels: pa.Array) -> Floats:
    """Labels as float64 [n]; NaN where one is no finite number."""

    def number(label: str | None) -> float:
        try:
            value = float(label) if label is not None else np.nan
        except ValueError:
            return np.nan
        return value if np.isfinite(value) else np.nan

    return np.array([number(label) for label in labels.to_pylist()], np.float64)


def deviations(given: Floats, predicted: Floats) -> Floats:
    """(residual - median residual) / usual residual, float64 [n]; NaN where either is not known."""
    residual = given - predicted
    known = residual[~np.isnan(residual)]
    if len(known) == 0:
        return residual
    least = _ROUNDING * float(np.median(np.abs(given[~np.isnan(residual)])))
    scale = max(usual(known), least)
    z: Floats = (residual - np.median(known)) / scale if scale > 0 else residual * 0
    return z


def _predicted(
    features: NDArray[Any], given: Floats, fold: Ints, settings: ValuesSettings, progress: Progress
) -> Floats:
    """The prediction of each record by a model that has not seen it; NaN for fold -1 and rows of NaN."""
    predicted = np.full(len(given), np.nan)
    rows = np.flatnonzero(fold >= 0)
    if len(rows) == 0:
        return predicted
    most = max(settings.folds, min(_MOST, _NUMBERS // max(features.shape[1], 1)))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(settings.seed).permutation(rows)[:most])
    scale = Scale.of(features, rows)
    scaled, own, held = scale.scaled(features[rows]), given[rows], fold[rows]

    chosen: float | None = None
    models = []
    for index in range(settings.folds):
        train = held != index
        if chosen is None:
            losses = [
                np.abs(own[~train] - _applied(scaled[~train], _robust(scaled[train], own[train], penalty)))
                for penalty in PENALTIES
            ]
            chosen = PENALTIES[int(np.argmin([np.median(loss) if len(loss) else 0 for loss in losses]))]
        models.append(_robust(scaled[train], own[train], chosen))
        progress("learning values", index + 1, settings.folds)
    for start in range(0, len(given), _BLOCK):
        block = features[start : start + _BLOCK]
        here, at = scale.scaled(block), fold[start : start + _BLOCK]
        unknown = np.isnan(block).all(1)
        for index, model in enumerate(models):
            some = np.flatnonzero((at == index) & ~unknown)
            predicted[start + some] = _applied(here[some], model)
    return predicted


def _applied(scaled: NDArray[np.float32], model: Floats) -> Floats:
    out: Floats = scaled @ model[:-1] + model[-1]
    return out


def _robust(scaled: NDArray[np.float32], own: Floats, penalty: float) -> Floats:
    """Coefficients [d + 1] of a ridge regression, the intercept last; learned twice."""
    if len(own) == 0:
        return np.zeros(scaled.shape[1] + 1)
    middle, far = float(np.median(own)), _FAR * usual(own)
    model = _ridge(scaled, np.clip(own, middle - far, middle + far), penalty)
    residual = own - _applied(scaled, model)
    near = np.abs(residual - np.median(residual)) <= _FAR * usual(residual)
    return _ridge(scaled[near], own[near], penalty) if near.any() and not near.all() else model


def _ridge(scaled: NDArray[np.float32], own: Floats, penalty: float) -> Floats:
    """(XᵀX + n penalty I)⁻¹ Xᵀy about the means, float64."""
    count, width = scaled.shape
    middle, mean = scaled.mean(0, dtype=np.float64), float(own.mean())
    gram, cross = np.zeros((width, width)), np.zeros(width)
    for start in range(0, count, _BLOCK):
        block = scaled[start : start + _BLOCK] - middle
        gram += block.T @ block
        cross += block.T @ (own[start : start + _BLOCK] - mean)
    gram.flat[:: width + 1] += count * penalty
    coefficients = np.linalg.solve(gram, cross)
    return np.append(coefficients, mean - middle @ coefficients)


def redundancy(z: Floats) -> Floats:
    """1 - 1/z², 0 up to 1: at least this share of any distribution lies nearer to its mean (Chebyshev)."""
    return 1 - 1 / np.maximum(np.abs(z), 1) ** 2


def judge(measured: pa.Table, corpus: Corpus, settings: ValuesSettings) -> Iterator[pa.Table]:
    """Records whose number is probably wrong.

    Args:
        measured: MEASURED.
        corpus: The records.
        settings: Threshold.

    Yields:
        FINDINGS of finder 'values': redundancy is 1 - 1/z², value the predicted number.
    """
    z = np.nan_to_num(measured["z"].to_numpy().astype(np.float64), nan=0.0)
    found = np.flatnonzero(np.abs(z) >= settings.threshold)
    some = measured.take(pa.array(found))
    told = list(zip(some["given"].to_pylist(), some["predicted"].to_pylist(), np.abs(z[found]).tolist(), strict=True))
    yield noisy_table(
        corpus,
        "values",
        corpus.first_own + found,
        redundancy(z[found]),
        [_reason(*one, settings.threshold) for one in told],
        [f"{predicted:.6g}" for _, predicted, _ in told],
    )


def _reason(given: float, predicted: float, z: float, threshold: float) -> str:
    far, limit = shown(z, threshold)
    return (
        f"its value is {given:.6g}, but a model that has not seen it says {predicted:.6g}: "
        f"{far} times the usual deviation (limit {limit})"
    )

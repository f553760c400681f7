"""Outliers: records whose vector or numbers lie apart from those of all others, and in what.

An outlier is alone. A foreign group (2 % of newswire among news) has neighbours of its own and is not found so: that is
what `unlike` is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import oddness, text
from excise.data.deviation import usual
from excise.data.oddness import Floats, RobustScale, Rows
from excise.errors import InputError, SettingError
from excise.finding import findings_table
from excise.journal import Progress, silent

#: Features that a reason names.
NAMED = 3
#: Spreads from the median beyond which a number is worth naming beside the first one.
_FAR_OUT = 2
#: Oddness is measured in single precision: less than this part above the median is the median.
_SAME = 1e-4
Method = Literal["auto", "neighbours", "samples", "forest", "ecod"]
METHODS = ("auto", "neighbours", "samples", "forest", "ecod")


@dataclass(frozen=True)
class OutliersSettings:
    """Which records are outliers.

    Attributes:
        method: How oddness is measured. neighbours: distance to the `neighbours`-th nearest record; samples: mean
            distance to the nearest of 20 random records; forest: isolation forest (scikit-learn); ecod: tails of the
            columns. auto is samples for numbers and neighbours for vectors of texts, chosen on the first half of 14
            published sets and on out-of-scope queries (benchmarks/outliers.py).
        neighbours: Which nearest record counts, at least 1. Few find single oddities, many also small groups of them.
        share: Of the records that are called outliers, in [0, 1): the oddest ones. Nothing says that a corpus has
            outliers; the share is yours.
        threshold: In place of `share`: oddness in usual deviations (1.4826 times the median one) above its median,
            above 0. 3.5 is customary for numbers (Iglewicz, Hoaglin 1993); vectors of texts all lie far
            apart and hardly ever reach it.
        seed: Of random samples.
    """

    method: Method = "auto"
    neighbours: int = 20
    share: float = 0.01
    threshold: float | None = None
    seed: int = 0

    MEASURED: ClassVar[tuple[str, ...]] = ("method", "neighbours", "seed")

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SettingError(f"outliers.method is {self.method!r}; it must be one of {', '.join(METHODS)}.")
        if self.neighbours < 1:
            raise SettingError(f"outliers.neighbours is {self.neighbours}; it must be at least 1. 20 is the default.")
        if not 0 <= self.share < 1:
            raise SettingError(f"outliers.share is {self.share}; it must be at least 0 and below 1. 0.01 is 1 %.")
        if self.threshold is not None and not self.threshold > 0:
            raise SettingError(f"outliers.threshold is {self.threshold}; it must be above 0. 3.5 is customary.")
        if self.seed < 0:
            raise SettingError(f"outliers.seed is {self.seed}; it must not be negative.")


def measure(
    corpus: Corpus,
    settings: OutliersSettings,
    values: Rows,
    *,
    names: Sequence[str] | None = None,
    progress: Progress = silent,
) -> pa.Table:
    """How odd each record is.

    Args:
        corpus: The records.
        settings: Method, neighbours and seed; what decides is not looked at.
        values: [own records, d], vectors of texts (embed.vectors) or numbers; NaN is a missing number.
        names: Of the d numbers; None for vectors of texts, whose columns have no meaning and one scale.
        progress: Told the rows done.

    Returns:
        One row a record from corpus.first_own on: `oddness` float64, high = odd, null where there is nothing to judge
        (a vector of zeros, a single record); `nearest` position and `distance`, where neighbours were looked for; and
        of the three numbers farthest from their medians `feature_i`, `value_i`, and `spreads_i` from the median.

    Raises:
        InputError: The values are not one row a record, or the names not one a column.
        MissingExtraError: The method is forest and scikit-learn is not installed.

    Cost: of `oddness`; 100 bytes of memory a record.
    """
    _check(corpus, values, names)
    scale = None if names is None else RobustScale.of(values, settings.seed)
    transform = oddness.as_they_are if scale is None else scale.apply
    judged = np.arange(len(values)) if names is not None else _with_direction(values)

    def step(done: int) -> None:
        progress("measuring outliers", done, len(judged))

    method = settings.method
    if method == "auto":
        method = "neighbours" if names is None else "samples"
    nearest, distance = np.full(len(judged), -1), np.full(len(judged), np.nan)
    if method == "neighbours":
        odd, nearest, distance = oddness.neighbours(values, judged, transform, settings.neighbours, settings.seed, step)
    elif method == "samples":
        odd = oddness.samples(values, judged, transform, settings.seed, step)
    elif method == "forest":
        odd = oddness.forest(values, judged, transform, settings.seed, step)
    else:
        odd = oddness.ecod(values, judged, lambda column: progress("measuring outliers", column, values.shape[1]))
    columns = {
        "oddness": _spread_out(odd, judged, len(values)),
        "nearest": _spread_out(nearest + corpus.first_own, judged, len(values), nearest >= 0),
        "distance": _spread_out(distance, judged, len(values)),
    }
    return pa.table({**columns, **_standing_out(values, scale, names)})


def _check(corpus: Corpus, values: Rows, names: Sequence[str] | None) -> None:
    records = len(corpus) - corpus.first_own
    if values.ndim != 2 or len(values) != records:
        raise InputError(f"the values have shape {values.shape}; {records:,} rows are needed, one a record.")
    if names is not None and len(names) != values.shape[1]:
        raise InputError(f"there are {len(names)} names for {values.shape[1]} columns; one a column is needed.")


def _with_direction(vectors: Rows) -> NDArray[np.int64]:
    """Rows that are not all zeros."""
    return np.flatnonzero(
        np.concatenate([np.zeros(0, np.bool_), *(vectors[b].any(axis=1) for b in oddness.blocks(len(vectors)))])
    )


def _spread_out(
    found: NDArray[np.generic], where: NDArray[np.int64], count: int, valid: NDArray[np.bool_] | None = None
) -> pa.Array:
    """An array [count] with what was found for some rows, null elsewhere and where it is NaN or not valid."""
    valid = ~np.isnan(found) if valid is None else valid
    whole, null = np.zeros(count, found.dtype), np.ones(count, np.bool_)
    whole[where], null[where] = found, ~valid
    return pa.array(whole, mask=null)


def _standing_out(values: Rows, scale: RobustScale | None, names: Sequence[str] | None) -> dict[str, pa.Array]:
    """The numbers of each row that are farthest from their medians: feature_i, value_i, spreads_i."""
    most = 0 if scale is None else min(NAMED, len(scale.columns))
    column = np.zeros((len(values), most), np.int64)
    value, spreads = np.zeros((2, len(values), most))
    if scale is not None and most:
        for block in oddness.blocks(len(values)):
            scaled = scale.apply(values[block])
            best = np.argsort(-np.abs(scaled), axis=1, kind="stable")[:, :most]
            column[block] = scale.columns[best]
            spreads[block] = np.take_along_axis(scaled, best, axis=1)
            value[block] = np.take_along_axis(np.asarray(values[block], np.float64), column[block], axis=1)
    named = pa.array(list(names or ()), pa.string())
    found: dict[str, pa.Array] = {}
    for i in range(NAMED):
        there = i < most
        found[f"feature_{i}"] = named.take(pa.array(column[:, i])) if there else pa.nulls(len(values), pa.string())
        found[f"value_{i}"] = pa.array(value[:, i]) if there else pa.nulls(len(values), pa.float64())
        found[f"spreads_{i}"] = pa.array(spreads[:, i]) if there else pa.nulls(len(values), pa.float64())
    return found


def judge(measured: pa.Table, corpus: Corpus, settings: OutliersSettings) -> Iterator[pa.Table]:
    """The outliers.

    Args:
        measured: Of `measure`.
        corpus: The records.
        settings: share or threshold.

    Yields:
        FINDINGS of finder 'outliers', in the order of the corpus: the redundancy is the share of the judged records
        that are less odd, the partner the nearest record, where one was looked for. No record that is not odder than
        the median is among them.
    """
    odd = measured["oddness"].to_numpy()
    judged = np.flatnonzero(~np.isnan(odd))
    chosen = judged[_chosen(odd[judged], settings)]
    if not len(chosen):
        return
    less = np.searchsorted(np.sort(odd[judged]), odd[chosen]) / len(judged)
    some = measured.take(pa.array(chosen))
    position, nearest = chosen + corpus.first_own, some["nearest"].combine_chunks()
    locus, ids = text.ids_at(corpus, position, nearest.fill_null(position[0]).to_numpy())
    partner = pc.if_else(nearest.is_valid(), ids, None)
    told = zip(less.tolist(), some.to_pylist(), partner.to_pylist(), strict=True)
    yield findings_table(
        "outliers",
        locus,
        less,
        [reason(*one) for one in told],
        position=position,
        partner=partner,
        partner_position=nearest,
    )


def _chosen(odd: Floats, settings: OutliersSettings) -> NDArray[np.int64]:
    """Indices of the outliers, ascending."""
    if not len(odd):
        return np.zeros(0, np.int64)
    median = float(np.median(odd))
    if settings.threshold is None:
        found = np.argsort(-odd, kind="stable")[: round(settings.share * len(odd))]
    else:
        found = np.flatnonzero(odd >= median + settings.threshold * usual(odd))
    return np.sort(found[odd[found] > (1 + _SAME) * median])


def reason(less: float, row: Mapping[str, Any], partner: str | None) -> str:
    """Why a record is an outlier: the number farthest out, others that are far out, or how far the nearest record is.

    Args:
        less: Share of the records that are less odd, in [0, 1].
        row: Of `measure`.
        partner: Id of the nearest record, or None.
    """
    told = [
        f"{row[f'feature_{i}']} is {row[f'value_{i}']:.6g} ({row[f'spreads_{i}']:+.1f} spreads from the median)"
        for i in range(NAMED)
        if row[f"feature_{i}"] is not None and (i == 0 or abs(row[f"spreads_{i}"]) >= _FAR_OUT)
    ]
    if not told and partner is not None:
        told = [f"even the nearest record, {partner}, is {row['distance']:.2f} away (opposite ones are 2)"]
    return f"is odder than {100 * less:.4g} % of the records" + (f": {', '.join(told)}" if told else "")

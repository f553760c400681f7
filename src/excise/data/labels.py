"""Wrong labels: records whose label a model that has not seen them finds improbable, by confident learning.

The probabilities come from the built-in classifier (classify) or are the user's own. They must be out-of-sample: a
model that was trained on a record gives its label back, right or wrong, and nothing in the numbers shows that.
Finding never relabels: the suggested label is the finding's value, and what is done about it is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import classify, confident
from excise.data.classify import Probabilities
from excise.data.confident import METHODS, Method
from excise.data.folds import GONE, NO_LABEL, SMALL_CLASS
from excise.data.noisy import noisy_table
from excise.data.threads import Mapped, in_order
from excise.errors import InputError, SettingError
from excise.journal import Progress, silent

#: What is measured of each record. `own`, `other`: probabilities of the given and of the suggested label; `wrong`: that
#: the given one is wrong; `counts_as`: the class it counts as in the confident joint, if any; the flags: which methods
#: pick it; `unjudged`: why it is not judged.
MEASURED = pa.schema(
    [
        pa.field("given", pa.string()),
        pa.field("own", pa.float64()),
        pa.field("suggested", pa.string()),
        pa.field("other", pa.float64()),
        pa.field("wrong", pa.float64()),
        pa.field("counts_as", pa.string()),
        pa.field("posterior", pa.bool_(), nullable=False),
        pa.field("joint", pa.bool_(), nullable=False),
        pa.field("noise_rate", pa.bool_(), nullable=False),
        pa.field("class_count", pa.bool_(), nullable=False),
        pa.field("unjudged", pa.string()),
    ]
)
#: Methods whose flags are measured; `both` follows from two of them.
FLAGS: tuple[Method, ...] = ("posterior", "joint", "noise_rate", "class_count")
_NOT_TOLD = "no probabilities"
#: Probabilities that are held in memory at most: records times labels.
_NUMBERS = 1 << 30


@dataclass(frozen=True)
class LabelsSettings:
    """Which labels count as wrong.

    Attributes:
        method: As in `confident.issues`: 'posterior', or one of Northcutt and others 2021: 'joint', 'noise_rate',
            'class_count', 'both'.
        threshold: Least probability that the label is wrong, in [0, 1]. 0 leaves all to the method; at 0.5 an eighth of
            what 'posterior' finds is lost, and a third of its false alarms (benchmarks/labels.py).
        folds: Of the built-in classifier, from 2 to 50; a class with fewer different records is not judged.
        seed: Of its deal of records into folds.
    """

    MEASURED: ClassVar[tuple[str, ...]] = ("folds", "seed")

    method: Method = "posterior"
    threshold: float = 0.0
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SettingError(f"labels.method is {self.method!r}; it must be one of {', '.join(METHODS)}.")
        if not 0 <= self.threshold <= 1:
            raise SettingError(f"labels.threshold is {self.threshold}; it must be between 0 and 1.")
        if not 2 <= self.folds <= 50:
            raise SettingError(f"labels.folds is {self.folds}; it must be between 2 and 50. 5 is the default.")
        if self.seed < 0:
            raise SettingError(f"labels.seed is {self.seed}; it must not be negative.")


def measure(
    corpus: Corpus,
    settings: LabelsSettings,
    *,
    features: NDArray[Any] | None = None,
    probabilities: Probabilities | None = None,
    groups: NDArray[np.int64] | None = None,
    skip: NDArray[np.bool_] | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> pa.Table:
    """How probable each record's label is.

    Args:
        corpus: The records, with labels.
        settings: Folds and seed.
        features: [own records, d]: judge by these numbers (embeddings, pixels, columns of a table), not by words.
        probabilities: The user's own, a row a record; no classifier is learned then.
        groups: int64 [own records]: records of one group are judged by a model that has seen none of them.
        skip: bool [own records]: those that go already are neither judged nor learned from.
        mapped: Engine.
        progress: Told what is done.

    Returns:
        MEASURED, one row a record from `first_own` on.

    Raises:
        InputError: No record has a label, or the probabilities do not fit the records or their labels.
    """
    given = labels_of(corpus)
    if given.null_count == len(given) and len(given):
        raise InputError("no record has a label. Name the field that holds it: --label FIELD.")
    if probabilities is not None:
        codes = codes_in(given, probabilities.classes)
        judged = confident.judged(codes, fitting(probabilities, len(given)).values)
        why = np.full(len(given), None, object)
        why[~judged] = _NOT_TOLD
        why[codes < 0] = NO_LABEL
        if skip is not None:
            why[skip], judged = GONE, judged & ~skip
        return _measured(given, codes, probabilities, judged, why)
    counts = pc.value_counts(given.drop_null())
    large = counts.filter(pc.greater_equal(counts.field("counts"), settings.folds)).field("values")
    classes = tuple(sorted(large.to_pylist()))
    if len(given) * len(classes) > _NUMBERS:
        raise InputError(
            f"{len(given):,} records with {len(classes):,} labels are {len(given) * len(classes):.2g} probabilities; "
            f"{_NUMBERS:,} are the most (4 GiB). Name a field with fewer different labels, or clean a part at a time."
        )
    codes = _codes(given, classes)
    asked: dict[str, Any] = {"folds": settings.folds, "seed": settings.seed, "groups": groups, "skip": skip}
    told = (
        classify.by_words(corpus, codes, classes, **asked, mapped=mapped, progress=progress)
        if features is None
        else classify.by_features(features, codes, classes, **asked, progress=progress)
    )
    why = told.unjudged
    why[(why == NO_LABEL) & given.is_valid().to_numpy(zero_copy_only=False)] = SMALL_CLASS
    return _measured(given, codes, told.probabilities, np.array([one is None for one in why], np.bool_), why)


def labels_of(corpus: Corpus) -> pa.Array:
    """The labels of a corpus's own records, string [n]."""
    return pa.chunked_array([batch["label"] for batch in corpus.own.batches()], pa.string()).combine_chunks()


def codes_in(labels: pa.Array, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """The index of each label in the names of classes; -1 for none.

    Raises:
        InputError: A label is none of the classes.
    """
    codes = _codes(labels, classes)
    strange = np.flatnonzero((codes < 0) & labels.is_valid().to_numpy(zero_copy_only=False))
    if len(strange):
        shown = ", ".join(repr(name) for name in classes[:5]) + (", …" if len(classes) > 5 else "")
        raise InputError(
            f"label of record {strange[0]} is {labels[int(strange[0])].as_py()!r}; the probabilities have the classes "
            f"{shown}. Name each column after its label."
        )
    return codes


def _codes(labels: pa.Array, classes: tuple[str, ...]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = pc.fill_null(pc.index_in(labels, pa.array(classes, pa.string())), -1).to_numpy()
    return found.astype(np.int64)


def fitting(probabilities: Probabilities, records: int) -> Probabilities:
    """The same, if names and shape fit.

    Raises:
        InputError: Two classes of one name, or another number of columns or rows.
    """
    classes, values = probabilities.classes, probabilities.values
    if len(set(classes)) != len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise InputError(f"the class {twice!r} is named twice in the probabilities; each must be one column.")
    if values.ndim != 2 or values.shape != (records, len(classes)):
        raise InputError(
            f"probabilities have the shape {list(values.shape)}; with {records:,} records and {len(classes)} classes "
            f"it must be [{records}, {len(classes)}]."
        )
    return probabilities


def _measured(
    given: pa.Array,
    codes: NDArray[np.int64],
    probabilities: Probabilities,
    judged: NDArray[np.bool_],
    why: NDArray[np.object_],
) -> pa.Table:
    rows = np.flatnonzero(judged)
    everyone = len(rows) == len(codes)
    labels, values = codes[rows], probabilities.values if everyone else probabilities.values[rows]
    names = pa.array(probabilities.classes, pa.string())
    other = confident.suggested(labels, values)
    counts_as = confident.counted(values, confident.thresholds(labels, values))
    table = confident.joint(labels, counts_as, len(probabilities.classes))
    columns: dict[str, Any] = {
        "own": confident.self_confidence(labels, values),
        "suggested": _named(names, other),
        "other": np.where(other < 0, np.nan, values[np.arange(len(rows)), other]) if values.shape[1] else other,
        "wrong": confident.wrong(labels, values, table),
        "counts_as": _named(names, counts_as),
        **{name: confident.issues(labels, values, name) for name in FLAGS},
    }
    place = np.full(len(codes), -1, np.int64)
    place[rows] = np.arange(len(rows))
    where = pa.array(place, mask=~judged)
    out: dict[str, Any] = {"given": given, "unjudged": pa.array(why.tolist(), pa.string())}
    for name, column in columns.items():
        taken = pa.array(column, MEASURED.field(name).type, from_pandas=True).take(where)
        out[name] = pc.fill_null(taken, False) if taken.type == pa.bool_() else taken
    return pa.table({name: out[name] for name in MEASURED.names}, schema=MEASURED)


def _named(names: pa.Array, codes: NDArray[np.int64]) -> pa.Array:
    return names.take(pa.array(codes, mask=codes < 0))


def judge(measured: pa.Table, corpus: Corpus, settings: LabelsSettings) -> Iterator[pa.Table]:
    """Records whose label is probably wrong.

    Args:
        measured: MEASURED.
        corpus: The records.
        settings: Method and threshold.

    Yields:
        FINDINGS of finder 'labels': redundancy is the probability that the label is wrong, value the suggested one.
    """
    flags = (
        [measured[name].to_numpy() for name in ("noise_rate", "class_count")]
        if settings.method == "both"
        else [measured[settings.method].to_numpy()]
    )
    wrong = measured["wrong"].to_numpy()
    found = np.flatnonzero(np.logical_and.reduce(flags) & (wrong >= settings.threshold))
    some = measured.take(pa.array(found))
    told = zip(*(some[name].to_pylist() for name in ("given", "own", "suggested", "other")), strict=True)
    yield noisy_table(
        corpus,
        "labels",
        corpus.first_own + found,
        wrong[found],
        [reason(*one) for one in told],
        some["suggested"].to_pylist(),
    )


def reason(given: str, own: float, suggested: str, other: float) -> str:
    """Why a label is probably wrong; probabilities in [0, 1]."""
    return (
        f"labelled {given!r}, but a model that has not seen it says {suggested!r} with {_percent(other)} "
        f"(its own label: {_percent(own)})"
    )


def _percent(probability: float) -> str:
    if probability < 0.01:
        return "under 1 %"
    return "over 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def summary(measured: pa.Table) -> Mapping[str, Any]:
    """What the labels look like as a whole.

    Args:
        measured: MEASURED.

    Returns:
        Plain values. `classes`: by label `records`, `judged`, `wrong` (estimated number of its labels that are wrong)
        and `wrong_fraction` of those judged. `confusion`: the pairs with the most estimated errors, most first:
        `given`, `true`, `records`, and `fraction` of the records truly of that class that bear this label. `wrong`:
        errors estimated in all. `unjudged`: records by why they were not judged. `agreement`: fraction of the judged
        whose label is the most probable one; 1 is what a model gives that has seen the labels.
    """
    given, is_judged = measured["given"].combine_chunks(), measured["unjudged"].combine_chunks().is_null()
    counts_as = measured["counts_as"].combine_chunks().filter(is_judged)
    known = given.filter(is_judged)
    classes = tuple(sorted(pc.unique(known).to_pylist()))
    estimate = confident.joint(_codes(known, classes), _codes(counts_as, classes), len(classes))
    shares, table = confident.noise_matrix(estimate), confident.rounded(estimate)
    wrong = table.sum(1) - table.diagonal()
    found = dict(zip(classes, zip(table.sum(1).tolist(), wrong.tolist(), strict=True), strict=True))
    records = sorted((one["values"], one["counts"]) for one in pc.value_counts(given.drop_null()).to_pylist())
    order = [
        (given, true)
        for given, true in np.argwhere(table > 0)[np.argsort(-table[table > 0], kind="stable")].tolist()
        if given != true
    ]
    own, other = (measured[name].combine_chunks().filter(is_judged).to_numpy() for name in ("own", "other"))
    reasons = pc.value_counts(measured["unjudged"].combine_chunks().drop_null()).to_pylist()
    return {
        "classes": [_class(name, count, *found.get(name, (0, 0))) for name, count in records],
        "confusion": [
            {
                "given": classes[given],
                "true": classes[true],
                "records": int(table[given, true]),
                "fraction": round(float(shares[given, true]), 6),
            }
            for given, true in order
        ],
        "wrong": int(wrong.sum()),
        "unjudged": {one["values"]: one["counts"] for one in sorted(reasons, key=lambda one: str(one["values"]))},
        "agreement": round(float((own >= np.nan_to_num(other, nan=0.0)).mean()), 6) if len(own) else None,
    }


def _class(name: str, records: int, judged: int, wrong: int) -> Mapping[str, Any]:
    share = round(wrong / judged, 6) if judged else None
    return {"label": name, "records": records, "judged": judged, "wrong": wrong, "wrong_fraction": share}

"""The built-in classifier: probabilities of each record's classes by a model that has not seen the record.

The records are dealt into folds, each class evenly and equal records together; a model learned from all folds but one
judges that one. Features are words (vocabulary) or what the user has: embeddings, pixels, columns of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text, vocabulary
from excise.data.folds import NOTHING_KNOWN, Deal, joined, row_keys
from excise.data.logistic import Dense, Design, Matrix, Words, fit
from excise.data.scale import Scale
from excise.data.threads import Mapped, in_order
from excise.data.vocabulary import Bags, Vocabulary
from excise.errors import InputError
from excise.journal import Progress, silent

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Strengths of the penalty that are tried on the first fold, strongest first, until the probabilities get worse.
STRENGTHS = (1.0, 10.0, 100.0)
#: Records a model is learned from at most (a sample of more): bounds its time and memory.
_MOST = 100_000
#: Coefficients of a model at most, and numbers of dense features learned from: 16 and 256 MB.
_COEFFICIENTS, _NUMBERS = 1 << 22, 1 << 26
_COLUMNS = 1 << 16
_PIECE_BYTES = 1 << 21
_BLOCK = 4096
#: Records from which the temperature is taken.
_CALIBRATION = 20_000


@dataclass(frozen=True)
class Probabilities:
    """Out-of-sample probabilities of records.

    Attributes:
        classes: Names, in the order of the columns.
        values: float32 [n, k], rows sum to 1; a row of NaN is not judged.
    """

    classes: tuple[str, ...]
    values: Matrix


@dataclass(frozen=True)
class Judgement:
    """What the built-in classifier says.

    Attributes:
        probabilities: Of each record.
        unjudged: [n], None or why a record is not judged: one of the reasons in folds.
        strength: C of the penalty that was chosen.
        temperature: What the models' linear functions were divided by, so that the probabilities are right on average.
    """

    probabilities: Probabilities
    unjudged: NDArray[np.object_]
    strength: float
    temperature: float


def by_words(
    corpus: Corpus,
    labels: Ints,
    classes: tuple[str, ...],
    *,
    folds: int = 5,
    seed: int = 0,
    groups: Ints | None = None,
    skip: Flags | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> Judgement:
    """Judge records by their words.

    Args:
        corpus: The records; references are left out.
        labels: int64 [own records] in [-1, k), -1 = none.
        classes: k names.
        folds: At least 2.
        seed: Of the deal and the sample.
        groups: int64 [own records]: records of one group are in one fold, as equal ones are (near duplicates).
        skip: bool [own records]: neither judged nor learned from.
        mapped: Engine of the passes over the text.
        progress: Told what is done.

    Cost: 20 news groups (7,500 long texts) about 10 s on one core; memory 4 (k + 4) bytes a record and at most 1 GB for
        the models.
    """
    columns = min(_COLUMNS, max(1024, _COEFFICIENTS // max(len(classes), 1)))
    words, keys = vocabulary.learn(corpus, columns, mapped=mapped, progress=progress)
    deal = Deal.of(labels, len(classes), joined(keys, groups), folds, seed, skip, max(folds, _MOST))
    first = corpus.first_own
    wanted = np.zeros(len(labels), np.bool_)
    wanted[deal.learned] = True

    def pieces(label: str, what: NDArray[Any]) -> Iterator[tuple[text.Piece, NDArray[Any]]]:
        for piece in text.pieces(corpus, _PIECE_BYTES, progress, label, own=True):
            at = piece.position - first
            yield piece, what[at : at + piece.count]

    def bags(item: tuple[text.Piece, Flags]) -> Bags:
        piece, kept = item
        return words.bags(piece.texts().filter(pa.array(kept)))

    design = Words.of(Bags.joined(mapped(bags, pieces("reading words", wanted))), words.rarity)
    models = _learned(design, labels, deal, progress)
    judge = _judged_by(words, models.coefficients)
    return _judgement(classes, labels, deal, models, mapped(judge, pieces("judging labels", deal.fold)))


def _judged_by(words: Vocabulary, models: list[Matrix]) -> Callable[[tuple[text.Piece, Ints]], Matrix]:
    def judge(item: tuple[text.Piece, Ints]) -> Matrix:
        piece, fold = item
        design = Words.of(words.bags(piece.texts()), words.rarity)
        linear = _out_of_fold(design, fold, models)
        linear[np.diff(design.bags.starts) == 0] = np.nan
        return linear

    return judge


def by_features(
    features: NDArray[Any],
    labels: Ints,
    classes: tuple[str, ...],
    *,
    folds: int = 5,
    seed: int = 0,
    groups: Ints | None = None,
    skip: Flags | None = None,
    progress: Progress = silent,
) -> Judgement:
    """Judge records by numbers: embeddings, pixels, columns of a table.

    Args:
        features: [n, d], any numeric type, may be memory-mapped; NaN counts as the mean of its column. A row of NaN
            only is left unjudged.
        labels: int64 [n] in [-1, k), -1 = none.
        classes: k names.
        folds: At least 2.
        seed: Of the deal and the sample.
        groups: int64 [n]: records of one group are in one fold, as equal ones are.
        skip: bool [n]: neither judged nor learned from.
        progress: Told what is done.

    Raises:
        InputError: Another shape, or infinity.
    """
    if features.ndim != 2 or len(features) != len(labels):
        raise InputError(
            f"features have the shape {list(features.shape)} for {len(labels)} labels; they must be one row a record."
        )
    most = max(folds, min(_MOST, _NUMBERS // max(features.shape[1], 1)))
    deal = Deal.of(labels, len(classes), joined(row_keys(features), groups), folds, seed, skip, most)
    scale = Scale.of(features, deal.learned)
    models = _learned(Dense(scale.scaled(features[deal.learned])), labels, deal, progress)

    def judged() -> Iterator[Matrix]:
        for start in range(0, len(features), _BLOCK):
            block = features[start : start + _BLOCK]
            linear = _out_of_fold(Dense(scale.scaled(block)), deal.fold[start : start + _BLOCK], models.coefficients)
            linear[np.isnan(block).all(1)] = np.nan
            progress("judging labels", start + len(block), len(features))
            yield linear

    return _judgement(classes, labels, deal, models, judged())


@dataclass(frozen=True)
class _Models:
    coefficients: list[Matrix]
    strength: float


def _learned(design: Design, labels: Ints, deal: Deal, progress: Progress) -> _Models:
    """A model a fold, learned from the others; the strength is chosen on the first fold."""
    if len(deal.present) == 0:
        return _Models([], 0.0)
    own = np.searchsorted(deal.present, labels[deal.learned])
    fold = deal.fold[deal.learned]

    def of(held: int, strength: float, start: Matrix | None = None) -> Matrix:
        return fit(design, np.flatnonzero(fold != held), own, len(deal.present), strength, start)

    rows = np.flatnonzero(fold == 0)[:_CALIBRATION]
    best, first, strength, start = np.inf, None, STRENGTHS[0], None
    for tried in STRENGTHS:
        progress("learning labels", 0, deal.folds)
        start = of(0, tried, start)
        loss = _calibrated(design.linear(rows, start), own[rows])[1]
        if loss >= best:
            break
        best, first, strength = loss, start, tried
    first = start if first is None else first  # the first fold may be empty
    models = [] if first is None else [first]
    for model in in_order(lambda held: of(held, strength), range(1, deal.folds)):
        models.append(model)
        progress("learning labels", len(models), deal.folds)
    # Large classes are rarer in the sample than they are: a logistic model makes up for that in its intercept.
    all_of_them = np.bincount(np.searchsorted(deal.present, labels[deal.fold >= 0]), minlength=len(deal.present))
    for model in models:
        model[-1] += np.log(all_of_them / np.bincount(own, minlength=len(deal.present)))
    return _Models(models, strength)


def _out_of_fold(design: Design, fold: Ints, models: list[Matrix]) -> Matrix:
    """Linear functions [n, k] of each row by the model that has not seen it; NaN for fold -1."""
    linear = np.full((len(fold), models[0].shape[1] if models else 0), np.nan, np.float32)
    for held, model in enumerate(models):
        rows = np.flatnonzero(fold == held)
        if len(rows):
            linear[rows] = design.linear(rows, model)
    return linear


def _judgement(
    classes: tuple[str, ...], labels: Ints, deal: Deal, models: _Models, blocks: Iterable[Matrix]
) -> Judgement:
    values = np.full((len(labels), len(classes)), np.nan, np.float32)
    at = 0
    for linear in blocks:
        values[at : at + len(linear), deal.present] = linear
        at += len(linear)
    judged = deal.fold >= 0
    judged[judged] = ~np.isnan(values[judged, labels[judged]])
    unjudged = deal.unjudged.copy()
    unjudged[~judged & (deal.fold >= 0)] = NOTHING_KNOWN
    rows = np.flatnonzero(judged)
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _CALIBRATION)).astype(np.int64)]
    held_out = values[np.ix_(some, deal.present)]
    temperature = _calibrated(held_out, np.searchsorted(deal.present, labels[some]))[0]
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        shares = softmax(values[np.ix_(some, deal.present)] / temperature)
        values[some] = 0
        values[np.ix_(some, deal.present)] = shares
    return Judgement(Probabilities(classes, values), unjudged, models.strength, temperature)


def softmax(linear: NDArray[Any]) -> NDArray[Any]:
    """Probabilities [n, k] from linear functions."""
    share = np.exp(linear - linear.max(1, keepdims=True, initial=-np.inf))
    out: NDArray[Any] = share / share.sum(1, keepdims=True)
    return out


def _calibrated(linear: Matrix, labels: Ints) -> tuple[float, float]:
    """The temperature at which held-out labels are most probable, and their mean -ln p there.

    Source: Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks.
    """
    if len(labels) == 0:
        return 1.0, np.inf
    rows = linear.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = rows / np.exp(log_temperature)
        scaled -= scaled.max(1, keepdims=True)
        chosen = scaled[np.arange(len(labels)), labels]
        return float((np.log(np.exp(scaled).sum(1)) - chosen).mean())

    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(25):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = loss(right)
    best = (low + high) / 2
    return float(np.exp(best)), loss(best)

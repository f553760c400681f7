"""The built-in classifier: probabilities of each record's classes by a model that has not seen the record.

The records are dealt into folds, each class evenly; a model learned from all folds but one judges that one. Equal
records are in one fold: a copy of a record in the training folds would give its wrong label back as if it were right.
Features are words (vocabulary) or what the user has: embeddings, pixels, columns of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text, vocabulary
from excise.data.logistic import Dense, Design, Matrix, Words, fit
from excise.data.threads import Mapped, in_order
from excise.data.vocabulary import Bags, Vocabulary
from excise.errors import InputError
from excise.journal import Progress, silent

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Strengths of the penalty that are tried on the first fold, strongest first, until the probabilities get worse.
STRENGTHS = (1.0, 10.0, 100.0)
#: Records a model is learned from at most (a random sample of more): bounds its time and memory.
_MOST = 100_000
#: Coefficients of a model at most, and numbers of dense features learned from: 16 and 256 MB.
_COEFFICIENTS, _NUMBERS = 1 << 22, 1 << 26
_COLUMNS = 1 << 16
_PIECE_BYTES = 1 << 21
_BLOCK = 4096
#: Records from which the temperature is taken.
_CALIBRATION = 20_000

#: Why a record is not judged.
NO_LABEL, SMALL_CLASS, NOTHING_KNOWN, GONE = "no label", "small class", "nothing to judge by", "gone already"


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
        unjudged: [n], None or why a record is not judged: one of NO_LABEL, SMALL_CLASS, NOTHING_KNOWN, GONE.
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
    deal = _Deal.of(labels, len(classes), joined(keys, groups), folds, seed, skip)
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
    deal = _Deal.of(labels, len(classes), joined(row_keys(features), groups), folds, seed, skip, features.shape[1])
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
class Scale:
    """How features are centred and scaled: columns of mean 0 and one variance, rows of length 1 on average.

    Attributes:
        mean: float64 [d].
        factor: float64 [d]; 0 where a column is constant.
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[Any], rows: Ints) -> Scale:
        """From some rows, a block at a time.

        Raises:
            InputError: A value is infinite.
        """
        width = features.shape[1]
        count, total, square = np.zeros(width), np.zeros(width), np.zeros(width)
        middle = None
        for start in range(0, len(rows), _BLOCK):
            block = np.asarray(features[rows[start : start + _BLOCK]], np.float64)
            if np.isinf(block).any():
                raise InputError(
                    f"features of row {rows[start + int(np.argmax(np.isinf(block).any(1)))]} hold infinity; every "
                    "value must be finite, or NaN where it is not known."
                )
            known = ~np.isnan(block)
            if middle is None:  # squares are taken from near the mean, so that large offsets cost no digits
                middle = np.where(known, block, 0).sum(0) / np.maximum(known.sum(0), 1)
            off = np.where(known, block - middle, 0)
            count, total, square = count + known.sum(0), total + off.sum(0), square + (off**2).sum(0)
        middle = np.zeros(width) if middle is None else middle
        mean = total / np.maximum(count, 1)
        spread = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0))
        varies = spread > 1e-9 * np.maximum(np.abs(middle + mean), 1e-30)
        used = max(int(varies.sum()), 1)
        factor = np.divide(1 / np.sqrt(used), spread, out=np.zeros(width), where=varies)
        return cls(middle + mean, factor)

    def scaled(self, block: NDArray[Any]) -> Matrix:
        """float32 rows; NaN becomes 0, the mean."""
        out = (np.asarray(block, np.float64) - self.mean) * self.factor
        return np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)


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
class _Deal:
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
    def of(
        cls, labels: Ints, classes: int, groups: Ints, folds: int, seed: int, skip: Flags | None, width: int = 1
    ) -> _Deal:
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
        known = counts.sum(0) - counts > 0
        fold[(fold >= 0) & ~known[fold, given]] = -1
        unjudged[(given >= 0) & (fold < 0)] = SMALL_CLASS
        rows = np.flatnonzero(fold >= 0)
        most = max(folds, min(_MOST, _NUMBERS // max(width, 1)))
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
        return cls(fold, folds, np.flatnonzero(counts.sum(0)), rows, unjudged)


@dataclass(frozen=True)
class _Models:
    coefficients: list[Matrix]
    strength: float


def _learned(design: Design, labels: Ints, deal: _Deal, progress: Progress) -> _Models:
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
    classes: tuple[str, ...], labels: Ints, deal: _Deal, models: _Models, blocks: Iterable[Matrix]
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

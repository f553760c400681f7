"""Records unlike a target corpus: irrelevant to what a model is trained for.

Two measures of likeness, both out of sample, both per unit of text so that length does not count. The difference of
cross-entropies: how many bits a byte more a model of the target needs than a model of the corpus itself. The importance
weight: how much likelier the record's words and pairs of words are, hashed, in the target than in the corpus.

What is too unlike is learnt from the target: a quarter of it is held out, and the limit is what all but a small share
of that quarter keeps.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.ngram_model import NgramModel, dealt, lots, train
from excise.data.noisy import noisy_table, shown
from excise.data.threads import Mapped, in_order
from excise.data.unicode import points
from excise.errors import InputError, SettingError
from excise.journal import Progress, silent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Buckets of the hashed features. Source: Xie and others 2023.
BUCKETS = 10_000
_FOLDS = 2
_HELD_OUT = 0.25
#: Fewest held-out records of the target: of 20 the worst stands for one in twenty.
_FEWEST = 20
_PIECE_BYTES = 1 << 22
_SAMPLE, _TARGET = 2, 3  # salts of the lots
_KEPT_QUANTILES = 1001
_MEASURED = pa.schema([("difference", pa.float64()), ("importance", pa.float64()), ("size_bytes", pa.int64())])


@dataclass(frozen=True)
class UnlikeSettings:
    """How unlike the target a record may be.

    Attributes:
        by: 'difference': cross-entropy difference in bits a byte (Moore, Lewis 2010); 'importance': importance weight
            in nats a word or pair of words (Xie and others 2023).
        false_alarms: Share of records like the target that may go, in [0, 1): sets the limit by the target's held-out
            quarter, where neither `limit` nor `keep` is given.
        limit: Largest difference, or least importance, that stays; any number.
        keep: Share of the records that stay, the most like the target, in (0, 1].
        sample_bytes: Text that each model is trained on at most, evenly drawn, >= 1.
    """

    by: Literal["difference", "importance"] = "difference"
    false_alarms: float = 0.01
    limit: float | None = None
    keep: float | None = None
    sample_bytes: int = 1 << 25

    MEASURED: ClassVar[tuple[str, ...]] = ("sample_bytes",)

    def __post_init__(self) -> None:
        if self.by not in {"difference", "importance"}:
            raise SettingError(f"unlike.by is {self.by!r}; it must be difference or importance.")
        if not 0 <= self.false_alarms < 1:
            raise SettingError(
                f"unlike.false_alarms is {self.false_alarms}; it must be at least 0 and below 1. "
                "0.01 risks one good record in a hundred."
            )
        if self.keep is not None and not 0 < self.keep <= 1:
            raise SettingError(f"unlike.keep is {self.keep}; it must be above 0 and at most 1. 0.5 keeps half.")
        if self.limit is not None and self.keep is not None:
            raise SettingError(
                f"unlike.limit is {self.limit} and unlike.keep is {self.keep}; both say what stays. Give one."
            )
        if self.limit is not None and not abs(self.limit) < np.inf:
            raise SettingError(f"unlike.limit is {self.limit}; it must be a number.")
        if self.sample_bytes < 1:
            raise SettingError(f"unlike.sample_bytes is {self.sample_bytes}; it must be 1 or more.")


class _Likeness(NamedTuple):
    """All that scoring needs; of a size that does not grow with the corpus.

    `target`, `corpus`: models; one of the corpus by fold. `ratios`: nats by fold and bucket.
    """

    target: NgramModel
    corpus: list[NgramModel]
    ratios: Floats


def measure(
    corpus: Corpus,
    settings: UnlikeSettings,
    *,
    like: Corpus,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> pa.Table:
    """Both measures of every record, and of the target's held-out records.

    Args:
        corpus: The records; references are left out.
        settings: Of these, MEASURED.
        like: The target: records as they should be, none of them among the others. Some hundreds are few; 1 MB is
            enough for a language or a genre.
        mapped: The engine.
        progress: Told what is done.

    Returns:
        A row a record: `difference` in bits a byte, high = unlike, NaN for the empty text; `importance` in nats a
        feature, high = like, NaN without words; `size_bytes`. The metadata hold quantiles of both on the target.

    Raises:
        InputError: The target is too small to hold anything out.

    Cost: both texts are read twice, at about 5 MB/s a core; 70 MB of memory, 24 bytes a record,
        and the target's held-out quarter as much.
    """
    aside = sum(int(held_out(piece).sum()) for piece in text.pieces(like, _PIECE_BYTES, silent, "", own=True))
    if aside < _FEWEST:
        raise InputError(
            f"the target has {len(like.own)} records, of which {aside} are held out; {_FEWEST} are needed. "
            f"Give a target of {2 * round(_FEWEST / _HELD_OUT)} records or more."
        )
    models = _learnt(corpus, like, settings, mapped, progress)

    def scored(piece: text.Piece) -> pa.RecordBatch:
        return _scores(piece.texts(), dealt(piece, _FOLDS), models)

    def held(piece: text.Piece) -> pa.RecordBatch:
        texts = piece.texts().filter(pa.array(held_out(piece)))
        return _scores(texts, np.zeros(len(texts), np.int64), models)

    target = text.pieces(like, _PIECE_BYTES, progress, "scoring the target", own=True)
    clean = pa.Table.from_batches(mapped(held, target), _MEASURED)
    own = text.pieces(corpus, _PIECE_BYTES, progress, "comparing with the target", own=True)
    table = pa.Table.from_batches(mapped(scored, own), _MEASURED)
    return table.replace_schema_metadata({name: _quantiles(clean[name]) for name in ("difference", "importance")})


def _quantiles(values: pa.ChunkedArray) -> str:
    """Of the numbers that are known, evenly spaced from the least to the largest, as JSON."""
    known = values.to_numpy()
    known = known[~np.isnan(known)]
    return json.dumps(np.quantile(known, np.linspace(0, 1, _KEPT_QUANTILES)).tolist() if len(known) else [])


def judge(measured: pa.Table, corpus: Corpus, settings: UnlikeSettings) -> Iterator[pa.Table]:
    """Records too unlike the target.

    Args:
        measured: From `measure`.
        corpus: The same records.
        settings: Measure and limit.

    Yields:
        FINDINGS of finder 'unlike': value is a weight in (0, 1), how likely the record is under the target against one
        at the limit, a byte or a feature; redundancy is 1 - weight. Records without a word of their own are not judged.
    """
    value = measured[settings.by].to_numpy()
    limit = limit_of(measured, settings)
    sign = 1.0 if settings.by == "difference" else -1.0
    with np.errstate(invalid="ignore"):
        found = np.flatnonzero(sign * (value - limit) > 0)
    over = sign * (value[found] - limit)
    weight = np.exp2(-over) if settings.by == "difference" else np.exp(-over)
    reasons = []
    for one in value[found]:
        number, rule = shown(float(one), limit, learnt=settings.limit is None)
        reasons.append(
            f"a model of the target needs {number} bits a byte more for it than a model of this corpus; at most {rule}"
            if settings.by == "difference"
            else f"its words are exp({number}) times as likely in the target as here, on average; at least exp({rule})"
        )
    values = [f"{w:.6g}" for w in weight]
    yield noisy_table(corpus, "unlike", corpus.first_own + found, 1 - weight, reasons, values)


def limit_of(measured: pa.Table, settings: UnlikeSettings) -> float:
    """The limit in the unit of the measure: as given, or that keeps a share, or that the target's own records keep."""
    sign = 1 if settings.by == "difference" else -1
    if settings.limit is not None:
        return settings.limit
    if settings.keep is not None:
        value = np.sort(sign * measured[settings.by].to_numpy())  # NaN last
        judged = int((~np.isnan(value)).sum())
        return sign * float(value[max(1, round(settings.keep * judged)) - 1]) if judged else 0.0
    quantiles = json.loads(measured.schema.metadata[settings.by.encode()])
    share = 1 - settings.false_alarms if sign > 0 else settings.false_alarms
    return float(np.interp(share, np.linspace(0, 1, len(quantiles)), quantiles))


def held_out(piece: text.Piece) -> NDArray[np.bool_]:
    """Which records of the target no model sees."""
    return lots(piece, _TARGET) < _HELD_OUT


def _learnt(corpus: Corpus, like: Corpus, settings: UnlikeSettings, mapped: Mapped, progress: Progress) -> _Likeness:
    """The models: of the target's larger part, and of each fold's other records, a text as long as the target's."""
    target_bytes = max(1, text.size_bytes(like, own=True)) * (1 - _HELD_OUT)
    target_share = settings.sample_bytes / target_bytes
    wanted = min(settings.sample_bytes, max(target_bytes, 1 << 20))
    corpus_share = wanted / max(1, text.size_bytes(corpus, own=True)) * _FOLDS / (_FOLDS - 1)

    def model(fold: int) -> NgramModel:
        def of_target(piece: text.Piece) -> NDArray[np.bool_]:
            return ~held_out(piece) & (lots(piece, _SAMPLE) < target_share)

        def outside(piece: text.Piece) -> NDArray[np.bool_]:
            others: NDArray[np.bool_] = dealt(piece, _FOLDS) != fold
            return others & (lots(piece, _SAMPLE) < corpus_share)

        source, chosen = (like, of_target) if fold < 0 else (corpus, outside)
        return train(text.pieces(source, _PIECE_BYTES, silent, "", own=True), chosen)

    def tallied(piece: text.Piece) -> Ints:
        return _tally(piece, dealt(piece, _FOLDS))

    def tallied_target(piece: text.Piece) -> Ints:
        return _tally(piece, np.where(held_out(piece), -1, 0))

    models = []
    for one in mapped(model, range(-1, _FOLDS)):
        models.append(one)
        progress("training models of corpus and target", len(models), _FOLDS + 1)
    label = "counting words of corpus and target"
    counts = sum(mapped(tallied, text.pieces(corpus, _PIECE_BYTES, progress, label, own=True)), _none())
    target = sum(mapped(tallied_target, text.pieces(like, _PIECE_BYTES, progress, label, own=True)), _none())[0]
    others = counts.sum(axis=0) - counts
    return _Likeness(models[0], models[1:], _nats(target[None]) - _nats(others))


def _none() -> Ints:
    return np.zeros((_FOLDS, BUCKETS), np.int64)


def _tally(piece: text.Piece, groups: Ints) -> Ints:
    from excise.data import bag_kernels  # noqa: PLC0415 - compiles

    data, offsets = text.buffers(piece.texts())
    counts = _none()
    bag_kernels.tally(data, offsets, groups, points(), _scratch(offsets), counts)
    return counts


def _scratch(offsets: Ints) -> Ints:
    return np.empty(2 * int(np.diff(offsets).max(initial=0)) + 2, np.int64)


def _nats(counts: Ints) -> Floats:
    """Log probability by row and bucket; each bucket starts with a count of one (Laplace)."""
    shares: Floats = (counts + 1.0) / (counts.sum(axis=1, keepdims=True) + BUCKETS)
    return np.log(shares)


def _scores(texts: pa.Array, fold: Ints, models: _Likeness) -> pa.RecordBatch:
    """Difference, importance and bytes of each text (_MEASURED); the corpus models used are those of its fold."""
    from excise.data import bag_kernels  # noqa: PLC0415 - compiles

    data, offsets = text.buffers(texts)
    sizes = np.diff(offsets)
    bits = models.target.bits(texts)
    for index, model in enumerate(models.corpus):
        bits[fold == index] -= model.bits(texts.filter(pa.array(fold == index)))
    sums, counts = np.empty(len(texts)), np.empty(len(texts), np.int64)
    bag_kernels.weigh(data, offsets, fold, points(), _scratch(offsets), models.ratios, sums, counts)
    difference, importance = np.full(len(texts), np.nan), np.full(len(texts), np.nan)
    np.divide(bits, sizes, out=difference, where=sizes > 0)
    np.divide(sums, counts, out=importance, where=counts > 0)
    return pa.record_batch([difference, importance, sizes], schema=_MEASURED)

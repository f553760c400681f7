"""Records that a small language model finds too surprising (garbage) or too predictable (repetition, boilerplate).

Scores are out of sample: the records are dealt into FOLDS, and each is scored by a model of the others. What occurs in
several records is predictable all the same, so exact duplicates should be gone before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.ngram_model import NgramModel, dealt, lots, train
from excise.data.noisy import beyond, noisy_table, shown
from excise.data.threads import Mapped, in_order
from excise.errors import InputError, SettingError
from excise.journal import Progress, silent

Floats = NDArray[np.float64]

#: Two models, which two cores train at once; each sees half of the records, up to `sample_bytes`.
FOLDS = 2
_PIECE_BYTES = 1 << 22
_SAMPLE = 2  # salt of the lots
_MEASURED = pa.schema([("bits_per_byte", pa.float64()), ("size_bytes", pa.int64())])


@dataclass(frozen=True)
class PerplexitySettings:
    """From where a record is noise.

    Attributes:
        upper: Bits a byte above which a record is garbage, > 0; None leaves it to `upper_quantile`.
        lower: Bits a byte below which a record is repetition or boilerplate, >= 0; None leaves it to `lower_quantile`.
        upper_quantile: The limit as a quantile of the judged records, in [0, 1]; None is no upper limit. The default
            takes at most one record in a hundred, from clean data too.
        lower_quantile: The same below.
        min_length: Bytes of UTF-8 below which a text is not judged, >= 0: a few words are surprising or not by chance.
        sample_bytes: Text that a model is trained on at most, evenly drawn, >= 1; more does not fit its table.
    """

    upper: float | None = None
    lower: float | None = None
    upper_quantile: float | None = 0.99
    lower_quantile: float | None = 0.01
    min_length: int = 100
    sample_bytes: int = 1 << 25

    MEASURED: ClassVar[tuple[str, ...]] = ("sample_bytes",)

    def __post_init__(self) -> None:
        for name in ("upper", "lower", "min_length"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise SettingError(f"perplexity.{name} is {value}; it must not be below 0.")
        for name in ("upper_quantile", "lower_quantile"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise SettingError(f"perplexity.{name} is {value}; it must be from 0 to 1. 0.99 is one in a hundred.")
        if self.sample_bytes < 1:
            raise SettingError(f"perplexity.sample_bytes is {self.sample_bytes}; it must be 1 or more.")
        if self.upper is not None and self.lower is not None and self.lower > self.upper:
            raise SettingError(
                f"perplexity.lower is {self.lower}, above perplexity.upper, {self.upper}. Exchange them."
            )


def measure(
    corpus: Corpus,
    settings: PerplexitySettings,
    *,
    like: Corpus | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> pa.Table:
    """Bits a byte of every record.

    Args:
        corpus: The records; references are left out.
        settings: Of these, MEASURED.
        like: Texts to train the model on instead; they should not be among the records.
        mapped: The engine.
        progress: Told what is done.

    Returns:
        A row a record: `bits_per_byte`, NaN for the empty text; `size_bytes`.

    Cost: the text is read twice, at 7 to 25 MB/s a core; 16 MB of memory a model, 16 bytes a record.
    """
    models = _models(like if like is not None else corpus, 1 if like is not None else FOLDS, settings, mapped, progress)

    def scored(piece: text.Piece) -> pa.RecordBatch:
        texts = piece.texts()
        sizes = np.diff(text.buffers(texts)[1])
        bits = np.empty(len(texts))
        fold = dealt(piece, len(models))
        for index, model in enumerate(models):
            bits[fold == index] = model.bits(texts.filter(pa.array(fold == index)))
        return pa.record_batch([np.where(sizes > 0, bits / np.maximum(sizes, 1), np.nan), sizes], schema=_MEASURED)

    pieces = text.pieces(corpus, _PIECE_BYTES, progress, "measuring surprise", own=True)
    return pa.Table.from_batches(mapped(scored, pieces), _MEASURED)


def measure_with(
    corpus: Corpus, score: Callable[[list[str]], Sequence[float]], *, progress: Progress = silent
) -> pa.Table:
    """As `measure`, by a model of the user's.

    Args:
        corpus: The records; references are left out.
        score: From texts to bits per byte of UTF-8, one each, >= 0.
        progress: Told the records read.

    Raises:
        InputError: It gave another number of scores, or one that is no bits per byte.
    """

    def scored(piece: text.Piece) -> pa.RecordBatch:
        texts = piece.texts()
        bits = np.asarray(score(texts.to_pylist()), np.float64)
        if bits.shape != (piece.count,):
            raise InputError(f"score gave {bits.shape} values for {piece.count} texts; it must give one each.")
        if not (bits >= 0).all():
            bad = int(np.flatnonzero(~(bits >= 0))[0])
            raise InputError(
                f"score gave {bits[bad]} for record {piece.position + bad}; bits per byte are never below 0 or NaN."
            )
        return pa.record_batch([bits, np.diff(text.buffers(texts)[1])], schema=_MEASURED)

    pieces = text.pieces(corpus, _PIECE_BYTES, progress, "measuring surprise", own=True)
    return pa.Table.from_batches(map(scored, pieces), _MEASURED)


def judge(measured: pa.Table, corpus: Corpus, settings: PerplexitySettings) -> Iterator[pa.Table]:
    """Records beyond a limit.

    Args:
        measured: From `measure` or `measure_with`.
        corpus: The same records.
        settings: The limits.

    Yields:
        FINDINGS of finder 'perplexity'; redundancy says how far the value lies beyond its limit.
    """
    value = measured["bits_per_byte"].to_numpy()
    lower, upper = limits(measured, settings)
    value = np.where(measured["size_bytes"].to_numpy() >= settings.min_length, value, np.nan)
    over = np.zeros((2, len(value)))
    for side, limit in enumerate((lower, upper)):
        if limit is not None:
            over[side] = beyond(value, limit, at_most=side == 1)
    found = np.flatnonzero(over.max(axis=0, initial=0) > 0)
    reasons = []
    for i in found:
        surprising = bool(over[1, i] > 0)
        edge, given = (upper, settings.upper) if surprising else (lower, settings.lower)
        number, rule = shown(float(value[i]), float(edge or 0), learnt=given is None)
        bound, word = ("most", "surprising") if surprising else ("least", "predictable")
        reasons.append(f"it is too {word}: {number} bits a byte under the model of the other texts; at {bound} {rule}")
    yield noisy_table(corpus, "perplexity", corpus.first_own + found, over[:, found].max(axis=0, initial=0), reasons)


def limits(measured: pa.Table, settings: PerplexitySettings) -> tuple[float | None, float | None]:
    """(lower, upper) limit in bits a byte; None for no limit, also where nothing is judged."""
    value = measured["bits_per_byte"].to_numpy()
    value = value[(measured["size_bytes"].to_numpy() >= settings.min_length) & ~np.isnan(value)]
    lower, upper = settings.lower, settings.upper
    if lower is None and settings.lower_quantile is not None and len(value):
        lower = float(np.quantile(value, settings.lower_quantile, method="lower"))
    if upper is None and settings.upper_quantile is not None and len(value):
        upper = float(np.quantile(value, settings.upper_quantile, method="higher"))
    return lower, upper


def _models(
    source: Corpus, folds: int, settings: PerplexitySettings, mapped: Mapped, progress: Progress
) -> list[NgramModel]:
    """Of each fold, a model of the records outside it; one model of all for one fold."""
    share = (
        settings.sample_bytes / max(1, text.size_bytes(source, own=True)) * (folds / (folds - 1) if folds > 1 else 1)
    )

    def outside(fold: int) -> NgramModel:
        def chosen(piece: text.Piece) -> NDArray[np.bool_]:
            others = dealt(piece, folds) != fold
            learnt: NDArray[np.bool_] = (others if folds > 1 else ~others) & (lots(piece, _SAMPLE) < share)
            return learnt

        return train(text.pieces(source, _PIECE_BYTES, silent, "", own=True), chosen)

    models = []
    progress("training models of the text", 0, folds)
    for model in mapped(outside, range(folds)):
        models.append(model)
        progress("training models of the text", len(models), folds)
    return models

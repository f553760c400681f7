"""Records in another language than wanted, by py3langid's model of 140 languages, run by a kernel of our own.

What it says, as measured (tests): a text in two languages is given one, usually the one with more bytes, and a smaller
probability; source code is given 'zxx' (no language) or, with comments, that of the comments; single words and names
are guesses, which is why short texts are not judged.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.noisy import noisy_table, shown
from excise.data.threads import Mapped, in_order
from excise.errors import MissingExtraError, SettingError
from excise.journal import Progress, silent

#: Kept with a language: what the model takes standard texts for. Of 1,279 articles of the Chinese Wikipedia it calls
#: 133 Wu and 7 Cantonese, of 96,339 of the English one 2,904 (mostly short) Nigerian Pidgin.
KIN = {"zh": ("wuu", "yue"), "en": ("pcm",)}
_PIECE_BYTES = 1 << 22
_LANGUAGES = b"languages"  # key of the measured table's metadata


@dataclass(frozen=True)
class LanguageSettings:
    """Which languages stay.

    Attributes:
        keep: ISO 639 codes of the languages wanted, as 'en', 'zh'; KIN stay with them. Norwegian is 'no' and 'nn'.
        min_probability: From which probability of another language a record goes, in [0, 1].
        min_length: Bytes of UTF-8 below which a text is not judged, >= 0; a Chinese character, which says as much as
            several letters, has three.
        beginning: Code points of a text that are looked at, from its first on, >= 1. A page of text says what it is;
            a long file that begins with another language is misjudged.
    """

    keep: tuple[str, ...] = ("en", "zh")
    min_probability: float = 0.5
    min_length: int = 60
    beginning: int = 1000

    MEASURED: ClassVar[tuple[str, ...]] = ("beginning",)

    def __post_init__(self) -> None:
        if not self.keep:
            raise SettingError("language.keep names none; give one or more, such as en,zh.")
        if not 0 <= self.min_probability <= 1:
            raise SettingError(f"language.min_probability is {self.min_probability}; it must be from 0 to 1.")
        if self.min_length < 0:
            raise SettingError(f"language.min_length is {self.min_length}; it must not be below 0.")
        if self.beginning < 1:
            raise SettingError(f"language.beginning is {self.beginning}; it must be 1 or more. 1000 is a page.")


class _Model(NamedTuple):
    """py3langid's model as arrays for the kernel."""

    names: tuple[str, ...]
    moves: NDArray[np.uint32]
    rows: NDArray[np.uint16]
    features: NDArray[np.int32]
    table: NDArray[np.float32]
    prior: NDArray[np.float32]
    same: NDArray[np.int32]


@cache
def _model() -> _Model:
    """Loaded once a process: 0.6 s, 110 MB.

    Raises:
        MissingExtraError: py3langid is not installed.
    """
    try:
        langid = import_module("py3langid.langid")  # an extra, without types
    except ImportError:
        raise MissingExtraError("noise", "py3langid, the model of languages") from None
    given = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
    names = tuple(given.nb_classes)
    return _Model(
        names,
        np.asarray(given.tk_nextmove, np.uint32),
        np.asarray(given.tk_row, np.uint16),
        np.asarray(given.tk_output, np.int32),
        np.ascontiguousarray(given.nb_ptc, np.float32),
        np.ascontiguousarray(given.nb_pc, np.float32),
        np.array([names.index(name) for name in names], np.int32),
    )


def measure(
    corpus: Corpus, settings: LanguageSettings, *, mapped: Mapped = in_order, progress: Progress = silent
) -> pa.Table:
    """The language of every record.

    Args:
        corpus: The records; references are left out.
        settings: Of these, MEASURED.
        mapped: The engine.
        progress: Told the records read.

    Returns:
        A row a record: `language`, null where the text has nothing to go by; `probability` of it; `size_bytes` of the
        text. The languages known are in the schema's metadata.

    Raises:
        MissingExtraError: py3langid is not installed.

    Cost: about 30 microseconds a record of 1,000 letters, a tenth of py3langid's own loop; 110 MB for the model,
        20 bytes a record.
    """
    names = _model().names
    beginning = settings.beginning
    schema = pa.schema(
        [
            ("language", pa.dictionary(pa.int32(), pa.string())),
            ("probability", pa.float64()),
            ("size_bytes", pa.int64()),
        ],
        {_LANGUAGES: json.dumps(sorted(set(names)))},
    )

    def identified(piece: text.Piece) -> pa.RecordBatch:
        language, probability, sizes = spoken(piece.texts(), beginning)
        codes = pa.DictionaryArray.from_arrays(pa.array(language, mask=language < 0), pa.array(names))
        return pa.record_batch([codes, probability, sizes], schema=schema)

    pieces = text.pieces(corpus, _PIECE_BYTES, progress, "telling languages", own=True)
    return pa.Table.from_batches(mapped(identified, pieces), schema)


def spoken(texts: pa.Array, beginning: int) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
    """Language (index, -1 for none), probability and bytes of each text."""
    from excise.data import language_kernels  # noqa: PLC0415 - compiles

    sizes = np.diff(text.buffers(texts)[1])
    heads = pc.utf8_normalize(pc.utf8_slice_codeunits(texts, 0, beginning), form="NFC")
    shouted = pc.utf8_is_upper(heads)
    if pc.any(shouted).as_py():
        heads = pc.if_else(shouted, pc.utf8_lower(heads), heads)
    data, offsets = text.buffers(heads)
    language, probability = np.empty(len(heads), np.int32), np.empty(len(heads))
    counts = np.zeros(len(_model().table), np.int32)
    language_kernels.identify(data, offsets, *_model()[1:], counts, language, probability)
    return language, probability, sizes


def judge(measured: pa.Table, corpus: Corpus, settings: LanguageSettings) -> Iterator[pa.Table]:
    """Records of other languages.

    Args:
        measured: From `measure`.
        corpus: The same records.
        settings: What stays.

    Yields:
        FINDINGS of finder 'language': redundancy is the probability of the other language.

    Raises:
        SettingError: A language to keep is not known.
    """
    known = json.loads(measured.schema.metadata[_LANGUAGES])
    for code in settings.keep:
        if code not in known:
            near = get_close_matches(code, known, 3, 0)
            raise SettingError(
                f"language.keep has {code!r}, which is not known; give ISO 639 codes. Nearest: {', '.join(near)}."
            )
    languages, probability = measured["language"], measured["probability"].to_numpy()
    staying = [code for wanted in settings.keep for code in (wanted, *KIN.get(wanted, ()))]
    wanted = pc.is_in(languages.cast(pa.string()), pa.array(staying)).to_numpy(zero_copy_only=False)
    judged = languages.is_valid().to_numpy(zero_copy_only=False)
    judged &= measured["size_bytes"].to_numpy() >= settings.min_length
    other = np.flatnonzero(judged & ~wanted & (probability >= settings.min_probability))
    kept = " or ".join(settings.keep)
    told = zip(languages.take(pa.array(other)).to_pylist(), probability[other].tolist(), strict=True)
    reasons = [
        f"it is {name} rather than {kept}, with probability {shown(p, settings.min_probability)[0]}" for name, p in told
    ]
    yield noisy_table(corpus, "language", corpus.first_own + other, probability[other], reasons)

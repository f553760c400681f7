"""The text view of records: as Arrow buffers, folded and normalised, and what is a token.

Normalised text is NFKC, lower case, runs of white space one blank. Tokens are words of letters and digits; in scripts
that put no blanks between words (Han, kana, Thai, Lao, Khmer, Myanmar, …) every code point is a token, for a Chinese
text split at blanks is one token and repeats nothing. Hangul has blanks and stays words. Punctuation separates.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.journal import Progress

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

#: Code points that are tokens by themselves where Unicode calls them letters, marks or numbers.
_ALONE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x3007),  # Han iteration and closing marks, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x312F),  # kana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo
    (0x31F0, 0x31FF),  # kana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),  # Yi
    (0xA980, 0xA9FF),  # Javanese, Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xF900, 0xFAFF),  # Han
    (0x1AFF0, 0x1B16F),  # kana
)
_HAN_PLANES = (0x20000, 0x40000)
SEPARATES, WORD, ALONE = 0, 1, 2


@cache
def classes() -> Bytes:
    """SEPARATES, WORD or ALONE by code point, up to the Han planes; what lies above separates.

    Returns:
        uint8 [0x40000]. Letters, marks, numbers and '_' make words; variation selectors do not.
    """
    kinds = np.zeros(_HAN_PLANES[1], np.uint8)
    categories = "".join(unicodedata.category(chr(p))[0] for p in range(_HAN_PLANES[0]))
    kinds[: _HAN_PLANES[0]] = np.isin(np.frombuffer(categories.encode(), np.uint8), list(b"LMN"))
    kinds[ord("_")] = WORD
    kinds[0xFE00:0xFE10] = SEPARATES
    for first, last in _ALONE:
        kinds[first : last + 1] *= ALONE
    kinds[_HAN_PLANES[0] :] = ALONE
    kinds.setflags(write=False)
    return kinds


def buffers(texts: pa.Array) -> tuple[Bytes, Ints]:
    """The bytes of a large_string array and its offsets [n + 1], without a copy; slices too; null is empty."""
    if texts.type != pa.large_string():
        texts = texts.cast(pa.large_string())
    if texts.null_count:
        texts = pc.fill_null(texts, "")
    if len(texts) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, where, data = texts.buffers()
    offsets = np.frombuffer(where, np.int64, len(texts) + 1, texts.offset * 8)
    return np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), offsets


def folded(texts: pa.Array) -> pa.Array:
    """NFKC and lower case for the texts that are not plain ASCII; those are left as they are.

    Lower case comes before NFKC too: 'H' with a macron below has no composed form, 'h' has.
    """
    plain = pc.string_is_ascii(texts)
    if pc.all(plain).as_py() is not False:
        return texts
    other = pc.invert(plain)
    changed = pc.utf8_lower(pc.utf8_normalize(pc.utf8_lower(texts.filter(other)), form="NFKC"))
    return pc.replace_with_mask(texts, other, changed)


def normalised(texts: pa.Array) -> pa.Array:
    """NFKC, lower case, each run of white space one blank, none at either end."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    data, offsets = buffers(folded(texts))
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    starts = np.empty(len(offsets), np.int64)
    size = kernels.collapse(data, offsets, out, starts)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(starts), pa.py_buffer(out[:size]))


def pieces(corpus: Corpus, size_bytes: int, progress: Progress, label: str) -> Iterator[tuple[int, pa.Array]]:
    """The texts of a corpus in pieces of about so many bytes, each with the position of its first record."""
    position, total = 0, len(corpus)
    for batch in corpus.batches():
        texts = batch["text"]
        _, offsets = buffers(texts)
        first = 0
        while first < len(texts):
            last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + size_bytes, "right")) - 1)
            yield position + first, texts.slice(first, last - first)
            first = last
            progress(label, position + first, total)
        position += len(texts)


def records_at(corpus: Corpus, positions: Ints, columns: Sequence[str]) -> dict[str, pa.Array]:
    """Columns of the records at these positions.

    Args:
        corpus: Where they are; only the sources and pages that hold one are read.
        positions: Ascending.
        columns: Names of BATCH columns.

    Returns:
        An array a column, in the order of the positions.
    """
    parts: dict[str, list[Any]] = {name: [] for name in columns}
    at = 0
    while at < len(positions):
        source = corpus.source_of(int(positions[at]))
        first = corpus.first_position(source)
        for batch in corpus.batches_of(source):
            stop = int(np.searchsorted(positions, first + len(batch)))
            if stop > at:
                rows = pa.array(positions[at:stop] - first)
                for name in columns:
                    parts[name].append(batch[name].take(rows))
                at = stop
            first += len(batch)
            if at == len(positions) or corpus.source_of(int(positions[at])) != source:
                break
    return {name: pa.concat_arrays(arrays) if arrays else pa.array([], pa.string()) for name, arrays in parts.items()}

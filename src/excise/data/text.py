"""The text view of records: as Arrow buffers, in pieces, by position, and normalised."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data.unicode import points
from excise.journal import Progress

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


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


def composed(texts: pa.Array) -> pa.Array:
    """NFKC and lower case for the texts that hold an entangled code point; the kernels fold the others as they read.

    Lower case comes before NFKC too: 'H' with a macron below has no composed form, 'h' has.
    """
    from excise.data import kernels  # noqa: PLC0415 - compiles

    found = np.empty(len(texts), np.bool_)
    kernels.entangled(*buffers(texts), points(), found)
    if not found.any():
        return texts
    mask = pa.array(found)
    changed = pc.utf8_lower(pc.utf8_normalize(pc.utf8_lower(texts.filter(mask)), form="NFKC"))
    return pc.replace_with_mask(texts, mask, changed)


def normalised(texts: pa.Array) -> pa.Array:
    """NFKC, lower case, each run of white space one blank, none at either end."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    data, offsets = buffers(composed(texts))
    out = np.empty(int(offsets[-1] - offsets[0]) + 8, np.uint8)
    starts = np.empty(len(offsets), np.int64)
    size = kernels.normalise(data, offsets, points(), out, starts)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(starts), pa.py_buffer(out[:size]))


@dataclass(frozen=True)
class Piece:
    """Where a run of texts is: small, so that it can be handed to another process.

    Attributes:
        position: Of its first record.
        view: File of a source's batches, or the batches.
        batch: Index of the batch.
        first: Row in the batch.
        count: Number of records.
    """

    position: int
    view: Path | tuple[pa.RecordBatch, ...]
    batch: int
    first: int
    count: int

    def texts(self) -> pa.Array:
        """The texts, large_string [count]; memory-mapped where the view is a file."""
        return self.column("text")

    def column(self, name: str) -> pa.Array:
        """A BATCH column of these records."""
        if isinstance(self.view, tuple):
            batch = self.view[self.batch]
        else:
            with pa.memory_map(str(self.view)) as mapped:
                batch = pa.ipc.open_file(mapped).get_batch(self.batch)
        return batch[name].slice(self.first, self.count)


def pieces(corpus: Corpus, size_bytes: int, progress: Progress, label: str, *, own: bool = False) -> Iterator[Piece]:
    """A corpus in pieces of about so many bytes of text.

    Args:
        corpus: The records.
        size_bytes: Of text; a piece of one record may be larger.
        progress: Told the records handed out.
        label: What is done with them.
        own: Leave out the references.
    """
    total = len(corpus)
    for index in range(corpus.references if own else 0, len(corpus.sources)):
        position = corpus.first_position(index)
        for number, batch in enumerate(corpus.batches_of(index)):
            _, offsets = buffers(batch["text"])
            first = 0
            while first < len(batch):
                last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + size_bytes, "right")) - 1)
                yield Piece(position + first, corpus.views[index], number, first, last - first)
                first = last
                progress(label, position + first, total)
            position += len(batch)


def size_bytes(corpus: Corpus, *, own: bool = False) -> int:
    """Bytes of all texts; with `own` without the references'."""
    ends = (buffers(batch["text"])[1] for batch in (corpus.own if own else corpus).batches())
    return sum(int(offsets[-1] - offsets[0]) for offsets in ends)


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


def ids_at(corpus: Corpus, *positions: Ints) -> list[pa.Array]:
    """The ids of the records at some lists of positions in any order, an array a list."""
    named = np.unique(np.concatenate(positions))
    ids = records_at(corpus, named, ["id"])["id"]
    return [ids.take(pa.array(np.searchsorted(named, some))) for some in positions]

"""The texts of a corpus, open, for those who read many of them again and again, wherever they are."""

from __future__ import annotations

import functools
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import BATCH, Corpus
from excise.data import text

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

#: Unpacked batches that are kept: those of an index have about a megabyte.
_KEPT = 64
_TEXT = BATCH.get_field_index("text")


class Opened:
    """Reads texts by position. Travels to another process as its corpus, and is opened there anew.

    Cost: about a kilobyte of memory a batch. Of files that are compressed, as an index's, the texts of 64 batches
        beside, about 64 MB; each call unpacks those batches it needs that are not among them, at 250 MB/s.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __reduce__(self) -> tuple[type[Opened], tuple[Corpus]]:
        return Opened, (self._corpus,)

    @functools.cached_property
    def _batches(self) -> tuple[Ints, list[tuple[Bytes, Ints] | tuple[Path, int]]]:
        """Position of the first record of each batch, and its bytes and offsets, or where it lies compressed."""
        lengths: list[int] = []
        batches: list[tuple[Bytes, Ints] | tuple[Path, int]] = []
        for index, view in enumerate(self._corpus.views):
            packed = view if isinstance(view, Path) and _packed(view) else None
            for number, batch in enumerate(self._corpus.batches_of(index)):
                lengths.append(len(batch))
                batches.append((packed, number) if packed else text.buffers(batch["text"]))
        return np.cumsum([0, *lengths[:-1]])[: len(lengths)], batches

    @functools.cached_property
    def _unpacked(self) -> functools._lru_cache_wrapper[pa.Array]:
        """The texts of a compressed batch; of this object, for the file may be another one when the next is made."""
        return functools.lru_cache(_KEPT)(_unpacked)

    def _rows(self, batch: int, rows: Ints) -> tuple[Ints, Bytes, Ints]:
        """Where these rows of a batch are: rows, bytes and offsets; of a compressed one the rows alone, copied."""
        found = self._batches[1][batch]
        if isinstance(found[0], Path):
            return np.arange(len(rows)), *text.buffers(self._unpacked(*found).take(pa.array(rows)))
        return rows, *found

    def at(self, positions: Ints) -> pa.Array:
        """The texts at these positions, in any order; large_string [n]."""
        from excise.data import kernels  # noqa: PLC0415 - compiles

        starts = self._batches[0]
        order = np.argsort(positions, kind="stable")
        batch = np.searchsorted(starts, positions[order], "right") - 1
        borders = np.flatnonzero(np.append(True, batch[1:] != batch[:-1]))[: len(batch)]
        runs = [
            (order[a:b], *self._rows(int(batch[a]), positions[order[a:b]] - starts[batch[a]]))
            for a, b in pairwise([*borders.tolist(), len(batch)])
        ]
        offsets = np.zeros(len(positions) + 1, np.int64)
        for places, rows, _, ends in runs:
            offsets[places + 1] = ends[rows + 1] - ends[rows]
        np.cumsum(offsets, out=offsets)
        out = np.empty(int(offsets[-1]), np.uint8)
        for places, rows, data, ends in runs:
            kernels.gather(data, ends, rows, offsets, places, out)
        return pa.LargeStringArray.from_buffers(len(positions), pa.py_buffer(offsets), pa.py_buffer(out))


def _packed(view: Path) -> bool:
    """Whether the batches of a file are compressed: their texts lie outside the mapped file then."""
    with pa.memory_map(str(view)) as mapped:
        reader = pa.ipc.open_file(mapped)
        whole = mapped.read_buffer(mapped.size())
        for number in range(reader.num_record_batches):
            data = reader.get_batch(number)["text"].buffers()[2]
            if data is not None and data.size:
                return not whole.address <= data.address < whole.address + whole.size
    return False


def _unpacked(view: Path, number: int) -> pa.Array:
    options = pa.ipc.IpcReadOptions(included_fields=[_TEXT])
    with pa.memory_map(str(view)) as mapped:
        return pa.ipc.open_file(mapped, options=options).get_batch(number)["text"]

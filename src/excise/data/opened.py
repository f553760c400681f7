"""The texts of a corpus, open, for those who read many of them again and again, wherever they are."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text

Ints = NDArray[np.int64]


class Opened:
    """Reads texts by position. Travels to another process as its corpus, and is opened there anew.

    Cost: about a kilobyte of memory a batch, once it was read from.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __reduce__(self) -> tuple[type[Opened], tuple[Corpus]]:
        return Opened, (self._corpus,)

    @functools.cached_property
    def _batches(self) -> tuple[Ints, list[tuple[NDArray[np.uint8], Ints]]]:
        """Position of the first record of each batch, and its bytes and offsets."""
        batches = [batch["text"] for batch in self._corpus.batches()]
        lengths = np.array([len(texts) for texts in batches], np.int64)
        return np.cumsum(lengths) - lengths, [text.buffers(texts) for texts in batches]

    def at(self, positions: Ints) -> pa.Array:
        """The texts at these positions, in any order; large_string [n]."""
        from excise.data import kernels  # noqa: PLC0415 - compiles

        starts, batches = self._batches
        order = np.argsort(positions, kind="stable")
        batch = np.searchsorted(starts, positions[order], "right") - 1
        borders = np.flatnonzero(np.append(True, batch[1:] != batch[:-1]))[: len(batch)]
        runs = [
            (order[a:b], positions[order[a:b]] - starts[batch[a]], *batches[batch[a]])
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

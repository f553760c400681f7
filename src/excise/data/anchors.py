"""The vectors of records that stay, and which of them is nearest: exactly, or by a graph where there are many."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from excise.data.embed import Vectors
from excise.data.threads import workers
from excise.errors import MissingExtraError

#: Neighbours a node, and nodes looked at when one is added or looked for. Of 100,000 short texts all 1,938 were found
#: that go at 0.9 (benchmarks/semantic.py, `recall_of_graph`).
_CONNECTIVITY, _EXPANSION = 16, 128
#: Anchors compared at once.
_COLUMNS = 1 << 14


class Anchors(Protocol):
    """Numbered vectors, growing."""

    def add(self, rows: Vectors) -> None:
        """Add rows [n, d] of length 1; they are numbered on from those before."""

    def nearest(self, rows: Vectors) -> NDArray[np.int64]:
        """The number of the anchor with the greatest cosine to each row, [n]; -1 while there is none."""


class Listed:
    """All anchors in one array, compared with one after another: exact.

    Cost: a product of 2 d operations for each row and anchor; 4 d bytes an anchor.
    """

    def __init__(self, most: int, dimensions: int) -> None:
        self._rows = np.empty((most, dimensions), np.float32)
        self._count = 0

    def add(self, rows: Vectors) -> None:
        """As of Anchors."""
        self._rows[self._count : self._count + len(rows)] = rows
        self._count += len(rows)

    def nearest(self, rows: Vectors) -> NDArray[np.int64]:
        """As of Anchors; the first of equals."""
        number, cosine = np.full(len(rows), -1), np.full(len(rows), -np.inf, np.float32)
        for first in range(0, self._count, _COLUMNS):
            found = rows @ self._rows[first : min(first + _COLUMNS, self._count)].T
            best = found.argmax(axis=1)
            value = found[np.arange(len(rows)), best]
            better = value > cosine
            number[better], cosine[better] = first + best[better], value[better]
        return number


class Graph:
    """Anchors in a graph of neighbours (HNSW), 16-bit numbers: nearly always the nearest.

    Added by one thread, for the graph depends on the order; looked for by all.

    Cost: 0.5 to 1 ms to look for one and add it, the logarithm of their number; 2 d + 200 bytes of memory an anchor.
    Source: Malkov, Yashunin 2018, in usearch.

    Raises:
        MissingExtraError: usearch is not installed.
    """

    def __init__(self, dimensions: int) -> None:
        try:
            from usearch.index import Index  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError("semantic", "usearch") from error
        self._index: Any = Index(
            ndim=dimensions,
            metric="ip",
            dtype="f16",
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION,
            expansion_search=_EXPANSION,
            enable_key_lookups=False,
        )

    def add(self, rows: Vectors) -> None:
        """As of Anchors."""
        first = len(self._index)
        self._index.add(np.arange(first, first + len(rows)), rows, threads=1)

    def nearest(self, rows: Vectors) -> NDArray[np.int64]:
        """As of Anchors, nearly always."""
        if not len(self._index) or not len(rows):
            return np.full(len(rows), -1)
        found = self._index.search(rows, 1, threads=workers())
        keys: NDArray[np.int64] = found.keys.reshape(-1).astype(np.int64)  # of one row it gives no matrix
        return keys

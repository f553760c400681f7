"""Rows of 64-bit numbers on disk, spread over files so that each of them can be sorted in memory by itself."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text

#: Bytes a file is meant to hold, and the most files: each is opened anew for every addition, so handles do not run out.
_PART_BYTES, _MOST_PARTS = 1 << 24, 1024


def text_bytes(corpus: Corpus) -> int:
    """Bytes of all texts."""
    ends = (text.buffers(batch["text"])[1] for batch in corpus.batches())
    return sum(int(offsets[-1] - offsets[0]) for offsets in ends)


def parts_for(size_bytes: float) -> int:
    """How many files for rows of so many bytes in all."""
    return int(min(max(size_bytes // _PART_BYTES, 1), _MOST_PARTS))


def by_key(keys: NDArray[np.uint64], parts: int) -> NDArray[np.int64]:
    """The file of each key, by its upper bits: they must be spread evenly. [n] in [0, parts)."""
    return ((keys >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32)).astype(np.int64)


class Spill:
    """Rows in files; those of one file stay in the order in which they came.

    Args:
        folder: Exists.
        name: The files' names begin with it.
        parts: Number of files.
        columns: Numbers a row.
    """

    def __init__(self, folder: Path, name: str, parts: int, columns: int) -> None:
        self.files = tuple(folder / f"{name}-{part:04d}.u64" for part in range(parts))
        self._columns = columns

    def add(self, part: NDArray[np.int64], rows: NDArray[np.uint64]) -> None:
        """Append each row [n, columns] to the file of its part [n]."""
        order = np.argsort(part.astype(np.uint16), kind="stable")  # of 16 bits: by radix
        rows = rows[order]
        ends = np.cumsum(np.bincount(part, minlength=len(self.files))).tolist()
        start = 0
        for path, stop in zip(self.files, ends, strict=True):
            if stop > start:
                with path.open("ab") as file:
                    file.write(rows[start:stop].data)
            start = stop

    def read(self, part: int) -> NDArray[np.uint64]:
        """The rows of one file, [n, columns]; the file is removed."""
        return read(self.files[part], self._columns)


def read(path: Path, columns: int) -> NDArray[np.uint64]:
    """The rows of a file [n, columns]; none where nothing was written."""
    if not path.exists():
        return np.zeros((0, columns), np.uint64)
    return np.fromfile(path, np.uint64).reshape(-1, columns)

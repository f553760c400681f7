"""Rows of 64-bit numbers on disk, spread over files so that each of them can be sorted in memory by itself."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Bytes a file is meant to hold, and the most files.
_PART_BYTES, _MOST_PARTS = 1 << 24, 1024
#: Rows that wait for being written: a file is opened anew for each writing, so that handles do not run out.
_WAITING_BYTES = 1 << 24


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

    Cost: 70 MB of memory at most, or four times the largest addition.
    """

    def __init__(self, folder: Path, name: str, parts: int) -> None:
        self._files = tuple(folder / f"{name}-{part:04d}.u64" for part in range(parts))
        self._waiting: list[tuple[NDArray[np.uint16], NDArray[np.uint64]]] = []
        self._waiting_bytes = 0

    def add(self, part: NDArray[np.int64], rows: NDArray[np.uint64]) -> None:
        """Append each row [n, columns] to the file of its part [n]."""
        self._waiting.append((part.astype(np.uint16), rows))
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= _WAITING_BYTES:
            self._write()

    def written(self) -> tuple[Path, ...]:
        """The files, with all that was added; a part without rows has none."""
        self._write()
        return self._files

    def _write(self) -> None:
        if not self._waiting:
            return
        part, rows = (np.concatenate(columns) for columns in zip(*self._waiting, strict=True))
        self._waiting, self._waiting_bytes = [], 0
        rows = rows[np.argsort(part, kind="stable")]  # of 16 bits: by radix
        ends = np.cumsum(np.bincount(part, minlength=len(self._files))).tolist()
        start = 0
        for path, stop in zip(self._files, ends, strict=True):
            if stop > start:
                with path.open("ab") as file:
                    file.write(rows[start:stop].data)
            start = stop


def read(path: Path, columns: int) -> NDArray[np.uint64]:
    """The rows of a file [n, columns]; none where nothing was written."""
    if not path.exists():
        return np.zeros((0, columns), np.uint64)
    return np.fromfile(path, np.uint64).reshape(-1, columns)

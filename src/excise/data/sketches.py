"""Sketches: what is measured of each source once, so that another threshold or another day need not read it again.

A sketch is an array with one row a record of one source. It depends on the source's texts and on how it is measured,
which its kind names with a version; never on a threshold.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from excise.journal import written_aside


class Sketch(Protocol):
    """Where sketches come from: made anew, or kept from an earlier run."""

    def __call__(self, kind: str, source: int, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The sketch of this kind of one source of a corpus, by its index."""


def unkept(kind: str, source: int, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """A Sketch that keeps nothing."""
    return make()


def kept(folders: Sequence[Path]) -> Sketch:
    """A Sketch that keeps them as `<kind>.npy`, memory-mapped when read.

    Args:
        folders: One a source of the corpus.
    """

    def sketch(kind: str, source: int, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        path = folders[source] / f"{kind}.npy"
        if not path.is_file():
            with written_aside(path) as file:
                np.save(file, make(), allow_pickle=False)
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return found

    return sketch

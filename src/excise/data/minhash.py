"""MinHash signatures of a corpus, in bands, on disk: which records may be similar without comparing all with all.

Two records whose shingle sets have Jaccard similarity J agree in one value of their signatures with probability J, in
a band of r values with J^r, and so in at least one of b bands with 1 - (1 - J^r)^b.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.threads import in_order
from excise.data.unicode import points
from excise.journal import Progress, silent

#: Tokens a shingle; a text with fewer is one shingle.
SHINGLE = 5
#: Values a signature: 480 bytes in 32 bits. What goes to disk are the 64-bit keys of its bands: 160 bytes at 20 x 6.
BINS = 120
#: Least probability that two records just at the threshold meet in a band. 20 x 6 at 0.8: 1-(1-0.8^6)^20 = 0.998.
FOUND = 0.99
_SLICE_BYTES = 1 << 22


def probability_found(similarity: float, bands: int, rows: int) -> float:
    """1 - (1 - J^rows)^bands: the chance that a pair of this Jaccard similarity is looked at."""
    return float(1 - (1 - similarity**rows) ** bands)


def shape_for(threshold: float) -> tuple[int, int]:
    """Bands and rows: as many rows as still find a pair at the threshold with probability FOUND.

    More rows mean fewer pairs looked at in vain. 0.8 gives 20 x 6, 0.7 gives 30 x 4, 0.9 gives 12 x 10.
    """
    fitting = [r for r in range(1, BINS + 1) if BINS % r == 0 and probability_found(threshold, BINS // r, r) >= FOUND]
    rows = max(fitting, default=1)
    return BINS // rows, rows


@dataclass(frozen=True)
class Bands:
    """Where the band keys are.

    Attributes:
        positions: int64 [n], ascending: the records that have tokens and were not skipped.
        sizes: int64 [n]: bytes of their texts.
        files: One a band: uint64 [n] keys in the order of `positions`.
    """

    positions: NDArray[np.int64]
    sizes: NDArray[np.int64]
    files: tuple[Path, ...]

    def keys(self, band: int) -> NDArray[np.uint64]:
        """The keys of one band, uint64 [n]."""
        return np.fromfile(self.files[band], np.uint64)


def signatures(
    texts: pa.Array, bands: int, rows: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint64], NDArray[np.bool_]]:
    """Signatures [n, BINS], band keys [n, bands], and which texts have a token [n]."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    data, offsets = text.buffers(text.composed(texts))
    scratch = np.empty(int(np.diff(offsets).max(initial=0)) + 1, np.uint64)
    values = np.empty((len(texts), BINS), np.uint32)
    keys = np.empty((len(texts), bands), np.uint64)
    present = np.empty(len(texts), np.bool_)
    kernels.sign(data, offsets, points(), SHINGLE, rows, scratch, values, keys, present)
    return values, keys, present


def spill(
    corpus: Corpus,
    folder: Path,
    shape: tuple[int, int],
    *,
    skip: NDArray[np.bool_] | None = None,
    progress: Progress = silent,
) -> Bands:
    """Sign every record and write the keys of its bands to `folder`.

    Args:
        corpus: The records.
        folder: Exists; gets a file a band.
        shape: Bands, rows.
        skip: bool [records], True where a record takes no part.
        progress: Told the records done.

    Cost: 8 bytes of memory and 8 * bands bytes of disk a record, beside a few slices of text.
    """
    bands, rows = shape
    files = tuple(folder / f"band-{band:03d}.u64" for band in range(bands))
    positions: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    sizes: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]

    def signed(piece: tuple[int, pa.Array]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
        first, texts = piece
        _, keys, present = signatures(texts, bands, rows)
        if skip is not None:
            present &= ~skip[first : first + len(texts)]
        lengths = np.diff(text.buffers(texts)[1])[present]
        return first + np.flatnonzero(present), lengths, np.ascontiguousarray(keys[present].T)

    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(path.open("wb")) for path in files]
        pieces = text.pieces(corpus, _SLICE_BYTES, progress, "reading for near duplicates")
        for where, lengths, keys in in_order(signed, pieces):
            positions.append(where)
            sizes.append(lengths)
            for stream, column in zip(streams, keys, strict=True):
                stream.write(column)
    return Bands(np.concatenate(positions), np.concatenate(sizes), files)

"""MinHash signatures of a corpus, in bands, on disk: which records may be similar without comparing all with all.

Two records whose shingle sets have Jaccard similarity J agree in one value of their signatures with probability J, in
a band of r values with J^r, and so in at least one of b bands with 1 - (1 - J^r)^b.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.sketches import Sketch
from excise.data.threads import Mapped, in_order
from excise.data.unicode import points
from excise.journal import Progress, silent

Number = TypeVar("Number", np.uint8, np.int64, np.uint64)

#: Tokens a shingle; a text with fewer is one shingle.
SHINGLE = 5
#: Values a signature: 480 bytes in 32 bits. To disk go the 64-bit keys of its bands and a byte of each value: 313 bytes
#: at 24 x 5.
BINS = 120
#: Least probability that two records just at the threshold meet in a band. 24 x 5 at 0.8: 1-(1-0.8^5)^24 = 0.99993.
FOUND = 0.999
#: Of the signatures: tokens, shingles, hashes. Kept ones of another version are not used.
VERSION = 2
_SLICE_BYTES, _SLICE_ROWS = 1 << 22, 1 << 14
_MOST = np.uint32(0xFFFFFFFF)
#: Odd, so that groups never share a key by accident.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


def probability_found(similarity: float, bands: int, rows: int) -> float:
    """1 - (1 - J^rows)^bands: the chance that a pair of this Jaccard similarity is looked at."""
    return float(1 - (1 - similarity**rows) ** bands)


def shape_for(threshold: float) -> tuple[int, int]:
    """Bands and rows: as many rows as still find a pair at the threshold with probability FOUND.

    More rows mean fewer pairs looked at in vain. 0.8 gives 24 x 5, 0.7 gives 30 x 4, 0.9 gives 15 x 8.
    """
    fitting = [r for r in range(1, BINS + 1) if BINS % r == 0 and probability_found(threshold, BINS // r, r) >= FOUND]
    rows = max(fitting, default=1)
    return BINS // rows, rows


@dataclass(frozen=True)
class Bands:
    """Where the band keys are.

    Attributes:
        positions: int64 [n], ascending, memory-mapped: the records that have tokens and were not skipped.
        sizes: int64 [n], memory-mapped: bytes of their texts.
        files: One a band: uint64 [n] keys in the order of `positions`.
        rough: uint8 [n, BINS + 1], memory-mapped: the lowest byte of each value, and the number of filled bins.
    """

    positions: NDArray[np.int64]
    sizes: NDArray[np.int64]
    files: tuple[Path, ...]
    rough: NDArray[np.uint8]

    def keys(self, band: int) -> NDArray[np.uint64]:
        """The keys of one band, uint64 [n], memory-mapped."""
        return _mapped(self.files[band], np.uint64)


def signatures(texts: pa.Array) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Signatures [n, BINS], and how many bins have a value of their own [n]; 0 where a text has no token."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    data, offsets = text.buffers(text.composed(texts))
    scratch = np.empty(int(np.diff(offsets).max(initial=0)) + 1, np.uint64)
    values = np.empty((len(texts), BINS), np.uint32)
    filled = np.empty(len(texts), np.uint8)
    kernels.sign(data, offsets, points(), SHINGLE, scratch, values, filled)
    return values, filled


def band_keys(values: NDArray[np.uint32], shape: tuple[int, int]) -> NDArray[np.uint64]:
    """Keys [bands, n] of signatures [n, BINS]."""
    from excise.data import kernels  # noqa: PLC0415 - compiles

    bands, rows = shape
    keys = np.empty((bands, len(values)), np.uint64)
    kernels.bands(values, rows, keys)
    return keys


def spill(
    corpus: Corpus,
    folder: Path,
    shape: tuple[int, int],
    *,
    skip: NDArray[np.bool_] | None = None,
    group: NDArray[np.int64] | None = None,
    sketch: Sketch | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> Bands:
    """Sign every record and write the keys of its bands to `folder`.

    Args:
        corpus: The records.
        folder: Exists; gets a file a band.
        shape: Bands, rows.
        skip: bool [records], True where a record takes no part.
        group: int64 [records]; records of different groups share no key.
        sketch: Where the signatures of a source are kept, if they are.
        mapped: Engine.
        progress: Told the records done.

    Cost: 8 * bands + BINS + 17 bytes of disk a record, and memory for a few slices of text; kept signatures 488 bytes
        of disk a record.
    """
    files = tuple(folder / f"band-{band:03d}.u64" for band in range(shape[0]))
    others = {name: folder / name for name in ("positions.i64", "sizes.i64", "rough.u8")}
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(path.open("wb")) for path in (*files, *others.values())]
        for index in range(len(corpus.sources)):
            at = corpus.first_position(index)
            for part in _parts(corpus.part(index), index, shape, sketch, mapped, progress):
                here = slice(at, at + len(part.sizes))
                at = here.stop
                chosen = part.rough[:, BINS] > 0
                if skip is not None:
                    chosen &= ~skip[here]
                keys = part.keys if group is None else part.keys + group[here].astype(np.uint64) * _SPREAD
                columns = [column[chosen] for column in keys]
                columns += [here.start + np.flatnonzero(chosen), part.sizes[chosen], part.rough[chosen]]
                for stream, column in zip(streams, columns, strict=True):
                    stream.write(column.data)
    return Bands(
        _mapped(others["positions.i64"], np.int64),
        _mapped(others["sizes.i64"], np.int64),
        files,
        _mapped(others["rough.u8"], np.uint8).reshape(-1, BINS + 1),
    )


def _mapped(path: Path, kind: type[Number]) -> NDArray[Number]:
    """A file of numbers; nothing to map where it is empty."""
    return np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind)


@dataclass(frozen=True)
class _Part:
    """Keys [bands, n], sizes in bytes [n], and rough signatures as of Bands, of a run of records."""

    keys: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    rough: NDArray[np.uint8]


def _parts(
    corpus: Corpus, index: int, shape: tuple[int, int], sketch: Sketch | None, mapped: Mapped, progress: Progress
) -> Iterator[_Part]:
    """A source's parts, from its texts or from its kept signatures."""
    pieces = text.pieces(corpus, _SLICE_BYTES, progress, "reading for near duplicates")
    if sketch is None:
        yield from mapped(functools.partial(_keyed, shape), pieces)
        return
    empty = np.zeros((0, BINS + 2), np.uint32)
    rows = sketch(f"signatures-{VERSION}", index, lambda: np.concatenate([empty, *mapped(_signed, pieces)]))
    for start in range(0, len(rows), _SLICE_ROWS):
        yield _part(shape, np.ascontiguousarray(rows[start : start + _SLICE_ROWS]))
        progress("reading for near duplicates", min(start + _SLICE_ROWS, len(rows)), len(rows))


def _part(shape: tuple[int, int], rows: NDArray[np.uint32]) -> _Part:
    return _Part(band_keys(rows, shape), rows[:, BINS + 1].astype(np.int64), rows[:, : BINS + 1].astype(np.uint8))


def _keyed(shape: tuple[int, int], piece: text.Piece) -> _Part:
    return _part(shape, _signed(piece))


def _signed(piece: text.Piece) -> NDArray[np.uint32]:
    """Signatures; in the last columns the number of filled bins, and sizes in bytes. [n, BINS + 2]."""
    texts = piece.texts()
    sizes = np.minimum(np.diff(text.buffers(texts)[1]), _MOST).astype(np.uint32)
    values, filled = signatures(texts)
    return np.column_stack([values, filled.astype(np.uint32), sizes])

"""Write: the cuts of each source, the cleaned file, and the proof that the original can be put back."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from excise.adapters.files import columnar
from excise.adapters.files.containers import CHUNK, decoded, encoded
from excise.adapters.files.read import Content, Reading
from excise.corpus import Source
from excise.errors import ArtefactError, ExciseError, InputError
from excise.journal import fingerprint_of, written_aside
from excise.ledger import CUTS, Cut, cuts_in, replay, undo

Int64s = NDArray[np.int64]

#: Decoded bytes read at a time while writing, so that slow compressors can say how far they are.
_PIECE = 1 << 20

_CHANGED = "the file was changed while it was being read; run the command again"

#: Bytes of removed records in one row group of removed.parquet.
_GROUP_BYTES = 1 << 23


def spans_to_cut(reading: Reading, index: int, gone: Int64s) -> Iterator[tuple[int, int, int]]:
    """(row, start, stop) of what is cut from a source, by place.

    Args:
        reading: The corpus.
        index: Which source.
        gone: int64, ascending: rows that go, records that could not be read among them.
    """
    rows, starts, stops = _all_spans(reading, index)
    removed = np.isin(rows, gone, assume_unique=True)
    if reading.corpus.sources[index].format == "json":
        starts, stops = _with_commas(starts, stops, removed)
    yield from zip(rows[removed].tolist(), starts[removed].tolist(), stops[removed].tolist(), strict=True)


def _all_spans(reading: Reading, index: int) -> tuple[Int64s, Int64s, Int64s]:
    """Row, start and stop of every record of a source, readable or not, by row."""
    parts = [*reading.corpus.batches_of(index), reading.rejects_of(index)]
    columns = [
        np.concatenate([np.zeros(0, np.int64), *(part[name].to_numpy() for part in parts)])
        for name in ("row", "start", "stop")
    ]
    order = np.argsort(columns[0], kind="stable")
    rows, starts, stops = (column[order] for column in columns)
    return rows, starts, stops


def _with_commas(starts: Int64s, stops: Int64s, removed: NDArray[np.bool_]) -> tuple[Int64s, Int64s]:
    """Spans of array elements widened so that no comma is left over.

    Up to the last element that stays, an element takes along what is between it and the next one; behind that, what is
    between it and the one before. Where none stays, only the white space around the elements is left.
    """
    kept = np.flatnonzero(~removed)
    last = int(kept[-1]) if len(kept) else len(starts)
    place = np.arange(len(starts))
    next_start = np.append(starts[1:], stops[-1:])
    stop_before = np.append(starts[:1], stops[:-1])
    return np.where(place > last, stop_before, starts), np.where(place > last, stops, next_start)


def _taken_out(chunks: Iterable[bytes], spans: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, bytes]]:
    """(row, start, bytes) of each span of a stream."""
    at, held = 0, b""
    stream = iter(chunks)

    def following() -> bytes:
        for chunk in stream:
            return chunk
        raise ArtefactError("the source ends before its last record")

    for row, start, stop in spans:
        while at + len(held) <= start:  # skip whole chunks in front of the span
            at += len(held)
            held = following()
        pieces = [held[start - at : stop - at]]
        while at + len(held) < stop:
            at += len(held)
            held = following()
            pieces.append(held[: stop - at])
        yield row, start, b"".join(pieces)


@contextlib.contextmanager
def _unchanged(source: Source) -> Iterator[None]:
    """Says that the source is no longer the one that was read, where that is why something failed."""
    try:
        yield
    except (ExciseError, FileNotFoundError) as error:
        path = Path(source.path)
        if not path.is_file() or fingerprint_of(path) != source.fingerprint:
            raise InputError(_CHANGED, source.name) from error
        raise


def collect(reading: Reading, gone: Mapping[str, Int64s], path: Path) -> dict[str, int]:
    """Write removed.parquet: what is cut from each source that is a stream of bytes.

    Args:
        reading: The corpus.
        gone: Rows that go, by source name.
        path: The file.

    Returns:
        Bytes removed, by source name.

    Raises:
        InputError: A source was changed since it was read.
    """
    sizes: dict[str, int] = {}
    with (
        written_aside(path) as file,
        pq.ParquetWriter(file, CUTS, compression="zstd", use_dictionary=["source"]) as writer,
    ):
        for index, source in enumerate(reading.corpus.sources):
            rows = gone.get(source.name)
            if rows is None or not len(rows) or source.format == "parquet":
                continue
            chunks = decoded(Path(source.path), source.compression, source.name)
            cuts: list[tuple[int, int, bytes]] = []
            size = total = 0
            with _unchanged(source):
                for cut in _taken_out(chunks, spans_to_cut(reading, index, rows)):
                    cuts.append(cut)
                    size, total = size + len(cut[2]), total + len(cut[2])
                    if size >= _GROUP_BYTES:
                        writer.write_table(_cut_table(source.name, cuts))
                        cuts, size = [], 0
            if cuts:
                writer.write_table(_cut_table(source.name, cuts))
            sizes[source.name] = total
    return sizes


def _cut_table(name: str, cuts: list[tuple[int, int, bytes]]) -> pa.Table:
    rows, starts, originals = zip(*cuts, strict=True)
    nothing = pa.array([b""] * len(cuts), pa.large_binary())
    columns = [pa.repeat(name, len(cuts)), pa.array(rows), pa.array(starts)]
    return pa.table([*columns, pa.array(originals, pa.large_binary()), nothing], schema=CUTS)


def write_source(
    source: Source,
    content: Content,
    gone: Int64s,
    data: Path,
    ledger: Path,
    promise: Literal["bytes", "content"],
    told: Callable[[int], None],
) -> dict[str, Any]:
    """Write one cleaned file, prove that its original can be put back, and keep what that takes.

    Args:
        source: Where it was read.
        content: What is in it.
        gone: int64, ascending: rows that go.
        data: Folder of the cleaned files.
        ledger: Folder of the ledger; removed.parquet is written already.
        promise: Whether the file must come back bit for bit, or its records only.
        told: Told how many of its decoded bytes are dealt with.

    Returns:
        How it is restored ('same', 'cuts', 'original' or 'content'), the cleaned file's fingerprint and size, and the
        bytes in the ledger that this costs.

    Raises:
        InputError: The source was changed since it was read.
        ArtefactError: The original could not be rebuilt from what was written.
    """
    path, original = data / source.name, Path(source.path)
    if not len(gone):
        _copy(original, path, source)
        return _told("same", path)
    price = 0
    with _unchanged(source):
        if source.format == "parquet":
            price = _write_rows(source, gone, path, ledger / "rows" / source.name)
        else:
            _write_bytes(source, content, path, ledger, told)
    if source.format != "parquet" and not source.compression:
        return _told("cuts", path)
    if promise == "content":
        return _told("content", path, price)
    _copy(original, ledger / "originals" / source.name, source)  # no link: who writes into theirs would change ours
    return _told("original", path, price + source.size_bytes)


def _write_bytes(source: Source, content: Content, path: Path, ledger: Path, told: Callable[[int], None]) -> None:
    def cuts() -> Iterator[Cut]:
        return cuts_in(ledger / "removed.parquet", source.name)

    def prove(aside: Path) -> None:
        digest = xxhash.xxh3_128()
        for piece in undo(decoded(aside, source.compression, source.name), cuts()):
            digest.update(piece)
        if digest.hexdigest() != content.fingerprint:
            raise ArtefactError(f"{source.name}: the original could not be rebuilt from what was written")

    def cleaned() -> Iterator[bytes | memoryview]:
        done = 0
        for piece in replay(decoded(Path(source.path), source.compression, source.name, size=_PIECE), cuts()):
            yield piece
            done += len(piece)
            told(done)

    with written_aside(path, prove) as file:
        for piece in encoded(cleaned(), source.compression):
            file.write(piece)


def _write_rows(source: Source, gone: Int64s, path: Path, rows: Path) -> int:
    """Write kept and dropped rows, prove that they make up the original; bytes of the dropped ones."""
    original = Path(source.path)
    with written_aside(rows) as dropped, written_aside(path) as kept:
        columnar.drop_rows(original, str(original), gone, kept, dropped)
    whole = columnar.same_rows(original, columnar.merged(path, rows, gone))
    if not whole or fingerprint_of(original) != source.fingerprint:
        raise ArtefactError(f"{source.name}: the rows could not be put together again")
    return rows.stat().st_size


def _told(restore: str, path: Path, ledger_bytes: int = 0) -> dict[str, Any]:
    return {
        "restore": restore,
        "cleaned": fingerprint_of(path),
        "cleaned_bytes": path.stat().st_size,
        "ledger_bytes": ledger_bytes,
    }


def _copy(original: Path, path: Path, source: Source) -> None:
    def prove(aside: Path) -> None:
        if fingerprint_of(aside) != source.fingerprint:
            raise InputError(_CHANGED, source.name)

    with written_aside(path, prove) as file, original.open("rb") as stream:
        shutil.copyfileobj(stream, file, CHUNK)

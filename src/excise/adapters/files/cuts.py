"""Cuts: the bytes of each source that go or change, into the ledger's removed.parquet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from excise.adapters.files import columnar
from excise.adapters.files.changes import Changes, Int64s
from excise.adapters.files.containers import decoded
from excise.adapters.files.proof import Proof
from excise.adapters.files.read import Reading
from excise.adapters.files.rewrite import FORMS, CannotEditError, rewritten
from excise.corpus import Source
from excise.errors import ArtefactError, ExciseError, InputError
from excise.journal import fingerprint_of, written_aside
from excise.ledger import CUTS

CHANGED = "the file was changed while it was being read; run the command again"

#: Bytes of removed records, and cuts, in one row group of removed.parquet.
_GROUP_BYTES, _GROUP_CUTS = 1 << 23, 1 << 16


class SourceCut(NamedTuple):
    """A row of CUTS without its source."""

    row: int
    start: int
    original: bytes
    replacement: bytes
    finder: str


def collect(reading: Reading, changes: Mapping[str, Changes | Int64s], path: Path) -> dict[str, int]:
    """Write removed.parquet: what is cut and changed in each source that is a stream of bytes.

    Args:
        reading: The corpus.
        changes: What is done to each source, by its name.
        path: The file.

    Returns:
        By how many bytes each source becomes smaller, by its name.

    Raises:
        InputError: A source was changed since it was read, or an edit lies in a list or an object.
        ArtefactError: A record, changed, does not read as it should.
    """
    sizes: dict[str, int] = {}
    with (
        written_aside(path) as file,
        pq.ParquetWriter(file, CUTS, compression="zstd", use_dictionary=["source", "finder"]) as writer,
    ):
        groups = _Groups(writer)
        for index, source in enumerate(reading.corpus.sources):
            done = Changes.of(changes.get(source.name, Changes.none()))
            if not len(done) or source.format in columnar.FORMATS:
                continue
            with unchanged(source):
                sizes[source.name] = groups.add(source.name, cuts_of(reading, index, done))
        groups.flush()
    return sizes


class _Groups:
    """Cuts gathered into row groups; one spans many small sources, so that there are few to look through."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._held: list[tuple[Any, ...]] = []
        self._size = 0

    def add(self, name: str, cuts: Iterable[SourceCut]) -> int:
        """Write the cuts of a source; by how many bytes it becomes smaller."""
        total = 0
        for cut in cuts:
            self._held.append((name, *cut))
            self._size += len(cut.original) + len(cut.replacement)
            total += len(cut.original) - len(cut.replacement)
            if self._size >= _GROUP_BYTES or len(self._held) >= _GROUP_CUTS:
                self.flush()
        return total

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            columns = zip(zip(*self._held, strict=True), CUTS.types, strict=True)
            self._writer.write_table(pa.table([pa.array(column, kind) for column, kind in columns], schema=CUTS))
        self._held, self._size = [], 0


@contextlib.contextmanager
def unchanged(source: Source) -> Iterator[None]:
    """Says that the source is no longer the one that was read, where that is why something failed."""
    try:
        yield
    except (ExciseError, FileNotFoundError) as error:
        path = Path(source.path)
        if not path.is_file() or fingerprint_of(path) != source.fingerprint:
            raise InputError(CHANGED, source.name) from error
        raise


def cuts_of(reading: Reading, index: int, changes: Changes) -> Iterator[SourceCut]:
    """The cuts of one source, by place; what they make of changed records is read again.

    Args:
        reading: The corpus.
        index: Which source.
        changes: What is done to it.

    Raises:
        InputError: An edit lies in a list or an object.
        ArtefactError: A record, changed, does not read as it should.
    """
    source = reading.corpus.sources[index]
    spans = spans_of(reading, index, changes)
    chunks = decoded(Path(source.path), source.compression, source.name)
    finders = iter(changes.finders.to_pylist())
    edits = changes.inside()
    inside = next(edits, None)
    if inside is not None and source.format not in FORMS:
        raise InputError(str(reading.editable(index)), source.name)
    proof = None if inside is None else Proof(reading, index, changes.changed)
    for row, start, raw in taken_out(chunks, spans):
        if inside is None or inside.row != row:
            yield SourceCut(row, start, raw, b"", next(finders))
            continue
        if proof is None:
            raise AssertionError("what is edited is proved")
        try:
            cuts, pieces = rewritten(raw, inside, proof.layout, FORMS[source.format])
        except CannotEditError as error:
            raise InputError(
                f"record {row}: {error}; drop whole records, or compare another field", source.name
            ) from error
        proof.add(raw, cuts, pieces, inside)
        for cut in cuts:
            if cut.original != cut.replacement:
                yield SourceCut(row, start + cut.start, cut.original, cut.replacement, cut.finder)
        inside = next(edits, None)
    if proof is not None:
        proof.check()


def spans_of(reading: Reading, index: int, changes: Changes) -> Iterator[tuple[int, int, int]]:
    """(row, start, stop) of what is cut out of a source, and of records that are changed, by place.

    Args:
        reading: The corpus.
        index: Which source.
        changes: What is done to it, records that could not be read among those that go.
    """
    rows, starts, stops = _all_spans(reading, index)
    removed = np.isin(rows, changes.gone, assume_unique=True)
    if reading.corpus.sources[index].format == "json":
        starts, stops = _with_commas(starts, stops, removed)
    touched = removed | np.isin(rows, changes.changed, assume_unique=True)
    yield from zip(rows[touched].tolist(), starts[touched].tolist(), stops[touched].tolist(), strict=True)


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
    """Spans of array elements that go, widened so that no comma is left over; those of others as they are.

    Up to the last element that stays, an element takes along what is between it and the next one; behind that, what is
    between it and the one before. Where none stays, only the white space around the elements is left.
    """
    kept = np.flatnonzero(~removed)
    last = int(kept[-1]) if len(kept) else len(starts)
    place = np.arange(len(starts))
    next_start = np.append(starts[1:], stops[-1:])
    stop_before = np.append(starts[:1], stops[:-1])
    return np.where(removed & (place > last), stop_before, starts), np.where(
        removed & (place <= last), next_start, stops
    )


def taken_out(chunks: Iterable[bytes], spans: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, bytes]]:
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

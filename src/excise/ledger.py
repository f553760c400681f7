"""Ledger: the decisions taken, what they removed, and how to undo them.

A ledger is a folder: `decisions.parquet` (DECISIONS), `removed.parquet` (CUTS, zstd) for sources that are a stream of
bytes, `rows/<source>.parquet` for columnar ones, `originals/<source>` where bytes cannot be rebuilt, `sources.json`.

A cleaned source is its original with byte ranges cut out or replaced. Both directions are one function each, on
streams: `replay` makes the cleaned source from the original, `undo` the original from the cleaned source.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise.corpus import Source
from excise.errors import ArtefactError, InputError

#: What was done to each locus. `action`: drop, reject, cut, mask, relabel, weigh, add for records; prune, quantize for
#: tensors. `start`/`stop`: code points of the text view that were cut or masked. `value`: the mask, the new label, the
#: weight. `by`: who decided; '' is Excise, else the review's name.
DECISIONS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("finder", pa.string(), nullable=False),
        pa.field("partner", pa.string()),
        pa.field("redundancy", pa.float64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("start", pa.int64()),
        pa.field("stop", pa.int64()),
        pa.field("value", pa.string()),
        pa.field("by", pa.string(), nullable=False),
    ]
)

#: One cut a row, sorted by (source, start): at byte `start` of the decoded source, `original` became `replacement`, for
#: `finder`.
CUTS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("original", pa.large_binary(), nullable=False),
        pa.field("replacement", pa.large_binary(), nullable=False),
        pa.field("finder", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Cut:
    """At byte `start` of the original, `original` was replaced by `replacement` (empty for a removal)."""

    start: int
    original: bytes
    replacement: bytes = b""


class _Stream:
    """Reads exactly what it is asked for from an iterator of byte chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def pieces(self, count: int | None) -> Iterator[memoryview]:
        """The next `count` bytes (all that is left for None) as pieces; fewer where the stream ends."""
        while count is None or count > 0:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._rest = memoryview(chunk)
                continue
            size = len(self._rest) if count is None else min(count, len(self._rest))
            yield self._rest[:size]
            self._rest = self._rest[size:]
            if count is not None:
                count -= size

    def read(self, count: int) -> bytes:
        return b"".join(self.pieces(count))


def replay(original: Iterable[bytes], cuts: Iterable[Cut]) -> Iterator[bytes | memoryview]:
    """The cleaned source: the original with every cut applied.

    Args:
        original: The decoded source, in chunks of any size.
        cuts: Sorted by start, not overlapping.

    Raises:
        ArtefactError: A cut's original bytes are not at its place.
    """
    return _rewrite(original, ((c.start, c.original, c.replacement) for c in cuts), forward=True)


def undo(cleaned: Iterable[bytes], cuts: Iterable[Cut]) -> Iterator[bytes | memoryview]:
    """The original: the cleaned source with every cut put back. `undo(replay(x, c), c) == x`.

    Raises:
        ArtefactError: The cleaned source was changed after cleaning.
    """
    return _rewrite(cleaned, ((c.start, c.replacement, c.original) for c in cuts), forward=False)


def _rewrite(
    stream: Iterable[bytes], changes: Iterable[tuple[int, bytes, bytes]], *, forward: bool
) -> Iterator[bytes | memoryview]:
    reader, at = _Stream(stream), 0  # `at` counts bytes of the original in both directions
    for start, old, new in changes:
        copied = 0
        for piece in reader.pieces(start - at):
            copied += len(piece)
            yield piece
        found = reader.read(len(old))
        if copied != start - at or found != old:
            raise ArtefactError(
                f"byte {start} does not hold what the ledger recorded there; "
                "the file was changed after it was cleaned. Restore from the original or clean again."
            )
        if new:
            yield new
        at = start + len(old if forward else new)
    yield from reader.pieces(None)


#: What restoring and explaining need of an entry of sources.json.
_SOURCE_KEYS = {"name", "format", "compression", "fingerprint", "view", "restore", "cleaned", "folder", "id_field"}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """Says that the ledger is damaged where a file of it cannot be read."""
    try:
        yield path
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if getattr(error, "errno", None) is not None and path.is_file():
            raise  # the disk's fault
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the ledger is damaged here ({told}). Bring back the folder as it was", path) from error


def _with_all_columns(table: pa.Table) -> pa.Table:
    """Decisions of an older version as they would be told today."""
    for field in DECISIONS:
        if field.name not in table.column_names and (field.nullable or field.name == "by"):
            column = pa.nulls(len(table), field.type) if field.nullable else pa.repeat("", len(table))
            table = table.append_column(field.name, column)
    return table.select(DECISIONS.names)


class Ledger:
    """A ledger folder, read.

    Args:
        folder: OUT/ledger for data, OUT/excise/ledger for models.

    Raises:
        InputError: The folder holds no ledger, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "decisions.parquet").is_file():
            raise InputError(
                "no ledger here; expected the output folder of `excise clean` or `excise compress`", folder
            )
        with _reading(folder / "decisions.parquet") as path:
            self.decisions: pa.Table = _with_all_columns(pq.read_table(path)).cast(DECISIONS)
        self.sources: list[dict[str, Any]] = []
        if (folder / "sources.json").is_file():
            with _reading(folder / "sources.json") as path:
                self.sources = json.loads(path.read_text(encoding="utf-8"))
                if not all(source.keys() >= _SOURCE_KEYS for source in self.sources):
                    raise ValueError("an entry is not whole")

    @staticmethod
    def of_output(out: Path) -> Ledger:
        """The ledger of an output folder, of data or of a model."""
        inner = out / "excise" / "ledger"
        stages = [home.parent for pattern in ("*/ledger", "*/excise/ledger") for home in sorted(out.glob(pattern))]
        if stages and not inner.is_dir() and not (out / "ledger").is_dir():
            named = ", ".join(str(s.parent if s.name == "excise" else s) for s in stages)
            raise InputError(f"no ledger here, but below; ask one of these: {named}", out)
        ledger = Ledger(inner if inner.is_dir() else out / "ledger")
        if not inner.is_dir() and not (ledger.folder / "sources.json").is_file():
            raise InputError("the ledger is damaged: this is gone. Bring it back", ledger.folder / "sources.json")
        return ledger

    def explain(self, locus: str) -> list[dict[str, Any]]:
        """Every decision about this record or tensor, or in favour of it."""
        about = pc.or_kleene(
            pc.equal(self.decisions["id"], locus),
            pc.fill_null(pc.equal(self.decisions["partner"], locus), False),
        )
        rows: list[dict[str, Any]] = self.decisions.filter(about).to_pylist()
        return rows

    def decisions_of(self, source: str) -> pa.Table:
        """The decisions about one source, in order."""
        return self._by_source.get(source, DECISIONS.empty_table())

    @functools.cached_property
    def _by_source(self) -> dict[str, pa.Table]:
        return grouped(self.decisions)

    def cuts(self, source: str) -> Iterator[Cut]:
        """The cuts of one source, in order, streamed by row group."""
        return cuts_in(self.folder / "removed.parquet", source)

    def removed(self, source: str, row: int) -> bytes:
        """The bytes of a record that went.

        Raises:
            InputError: The ledger does not hold it, or is damaged.
        """
        wanted = [("source", "=", source), ("row", "=", row)]
        with _reading(self.folder / "removed.parquet") as path:
            table = pq.read_table(path, columns=["original"], filters=wanted)
            if not table.num_rows:
                raise ValueError(f"record {row} of {source} is not in it")
            return bytes(table["original"][0].as_py())

    def diff(self, other: Ledger) -> dict[str, list[str]]:
        """Ids decided on here only, there only, and differently in both."""
        mine, theirs = self._actions(), other._actions()
        return {
            "only_here": sorted(mine.keys() - theirs.keys()),
            "only_there": sorted(theirs.keys() - mine.keys()),
            "different": sorted(k for k in mine.keys() & theirs.keys() if mine[k] != theirs[k]),
        }

    def _actions(self) -> dict[str, tuple[str, str, str | None]]:
        columns = (self.decisions[c].to_pylist() for c in ("id", "action", "finder", "partner"))
        return {i: (a, f, p) for i, a, f, p in zip(*columns, strict=True)}


def grouped(table: pa.Table) -> dict[str, pa.Table]:
    """Rows by `source`, in order.

    Args:
        table: DECISIONS, CUTS, or some columns of them.
    """
    coded = table["source"].combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    if (codes[1:] < codes[:-1]).any():
        order = np.argsort(codes, kind="stable")
        codes, table = codes[order], table.take(pa.array(order))
    borders = np.searchsorted(codes, np.arange(len(coded.dictionary) + 1)).tolist()
    names = coded.dictionary.to_pylist()
    return {
        name: table.slice(start, stop - start)
        for name, start, stop in zip(names, borders[:-1], borders[1:], strict=True)
    }


def cuts_in(path: Path, source: str) -> Iterator[Cut]:
    """The cuts of one source out of a removed.parquet; row groups of other sources are not read."""
    with _reading(path):
        status = path.stat()
        file = _cut_file(path, (status.st_ino, status.st_size, status.st_mtime_ns))
        for group in file.groups_of(source):
            for row in file.read(group).get(source, CUTS.empty_table()).to_pylist():
                yield Cut(row["start"], row["original"], row["replacement"])


@functools.lru_cache(maxsize=1)
def _cut_file(path: Path, version: tuple[int, ...]) -> _CutFile:
    """The file as it is now; sources are asked for one after another, and its footer is long."""
    return _CutFile(path)


class _CutFile:
    """A removed.parquet whose footer is read once, and a row group of many small sources once for all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._footer = pq.read_metadata(path)
        self._bounds = [_bounds(self._footer.row_group(group)) for group in range(self._footer.num_row_groups)]
        self._last: tuple[int, dict[str, pa.Table]] = (-1, {})

    def groups_of(self, source: str) -> list[int]:
        """Row groups that may hold cuts of a source."""
        return [
            group for group, bounds in enumerate(self._bounds) if bounds is None or bounds[0] <= source <= bounds[1]
        ]

    def read(self, group: int) -> dict[str, pa.Table]:
        """Cuts of one row group by source."""
        last, found = self._last
        if last != group:
            with pq.ParquetFile(self._path, metadata=self._footer) as file:
                found = grouped(file.read_row_group(group))
            self._last = (group, found) if len(found) > 1 else (-1, {})
        return found


def _bounds(group: pq.RowGroupMetaData) -> tuple[str, str] | None:
    """First and last source of a row group, where it tells."""
    told = group.column(0).statistics
    return (told.min, told.max) if told is not None and told.has_min_max else None


def write_decisions(decisions: pa.Table, file: IO[bytes]) -> None:
    """Write DECISIONS as decisions.parquet; the same rows give the same bytes."""
    pq.write_table(decisions.cast(DECISIONS), file, compression="zstd")


def write_sources(sources: Iterable[tuple[Source, Mapping[str, Any]]], file: IO[bytes]) -> None:
    """Write sources.json: each source and how it is restored.

    Args:
        sources: With each, plain JSON values: `restore` ('same', 'cuts', 'original' or 'content'), and what that needs.
        file: Where to.
    """
    listing = [{**s.as_dict(), "path": Path(s.path).name, **how} for s, how in sources]
    file.write(json.dumps(listing, indent=1, ensure_ascii=False).encode() + b"\n")

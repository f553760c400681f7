"""Columnar: parquet files — reading a text view, dropping rows, and putting them back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from excise.adapters.files import extract, views
from excise.adapters.files.extract import Columns, Layout
from excise.adapters.files.find import Input
from excise.adapters.files.layouts import Fields, view_for
from excise.adapters.files.spans import Block
from excise.errors import ArtefactError, InputError

_BATCH_ROWS = 1 << 15


def parsed(one: Input, fields: Fields, told: Callable[[int], None]) -> Iterator[tuple[Block, Columns, Layout]]:
    """Blocks of a parquet file; its records have no byte spans (-1).

    Raises:
        InputError: Not parquet, compressed once more, without a field, or with a field that is no text.
    """
    if one.compression:
        raise InputError(f"parquet inside {one.compression}; unpack it first, parquet is compressed already", one.shown)
    with _opened(one.path, one.shown) as file:
        layout = _layout(file.schema_arrow, fields, one.shown)
        total, done = max(1, file.metadata.num_rows), 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=layout.needed):
            yield _block(batch.num_rows), _columns(batch, layout, one.shown, done), layout
            done += batch.num_rows
            told(one.size_bytes * done // total)


@contextlib.contextmanager
def _opened(path: Path, shown: str) -> Iterator[pq.ParquetFile]:
    """A parquet file to read; what Arrow finds wrong with it is the input's fault."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except OSError as error:
        if error.errno is not None:  # of what is written meanwhile; Arrow gives damage no number
            raise
        raise InputError(f"damaged, or cannot be read ({str(error).strip()})", shown) from error
    except pa.ArrowException as error:
        raise InputError(f"not readable as parquet ({str(error).strip()})", shown) from error


def _layout(schema: pa.Schema, fields: Fields, shown: str) -> Layout:
    layout = Layout(view_for(fields, schema.names, shown), fields.id, fields.label, known=frozenset(schema.names))
    for name in layout.needed:
        if schema.names.count(name) != 1:
            told = "twice" if name in schema.names else "not"
            raise InputError(f"the field {name!r} is {told} among its columns ({views.listed(schema.names)})", shown)
    return layout


def _block(rows: int) -> Block:
    nowhere = np.full(rows, -1, np.int64)
    return Block(b"", 0, 1, nowhere, nowhere)


def _columns(batch: pa.RecordBatch, layout: Layout, shown: str, row: int) -> Columns:
    columns = {}
    for name in layout.needed:
        try:
            columns[name] = views.spelled_array(batch.column(name))
        except views.NotTextError as error:
            raise InputError(f"the field {name!r} holds {error}, not text", shown) from error
    if layout.id is not None and columns[layout.id].null_count:
        missing = row + columns[layout.id].is_null().to_pylist().index(True)
        raise InputError(f"row {missing} has no id in {layout.id!r}", shown)
    return extract.composed(columns, layout)


def drop_rows(path: Path, shown: str, gone: NDArray[np.int64], kept: IO[bytes], dropped: IO[bytes]) -> None:
    """Write a parquet file without some rows, and those rows to another one.

    Args:
        path: The original.
        shown: Its name in errors.
        gone: int64, ascending: rows that go.
        kept: Gets the rows that stay: same schema, row groups and compression.
        dropped: Gets the others.
    """
    with _opened(path, shown) as file:
        schema, compression = file.schema_arrow, _compression(file)
        with (
            pq.ParquetWriter(kept, schema, compression=compression) as stay,
            pq.ParquetWriter(dropped, schema, compression="zstd") as go,
        ):
            row = 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                mask = np.ones(table.num_rows, bool)
                mask[gone[(gone >= row) & (gone < row + len(mask))] - row] = False
                row += len(mask)
                for writer, part in ((stay, table.filter(pa.array(mask))), (go, table.filter(pa.array(~mask)))):
                    if part.num_rows:
                        writer.write_table(part)


def _compression(file: pq.ParquetFile) -> str:
    if not file.num_row_groups or not file.metadata.num_columns:
        return "snappy"
    name = str(file.metadata.row_group(0).column(0).compression).lower()
    return name if name in {"snappy", "gzip", "zstd", "lz4", "brotli"} else "none"


def merged(kept: Path, dropped: Path, gone: NDArray[np.int64]) -> Iterator[pa.Table]:
    """The rows of the original in their order, in tables of any size.

    Args:
        kept: The cleaned file.
        dropped: The rows that went, in order.
        gone: int64, ascending: their places in the original.
    """
    with _opened(kept, str(kept)) as stay, _opened(dropped, str(dropped)) as go:
        sides = (_Rows(stay), _Rows(go))
        total = stay.metadata.num_rows + go.metadata.num_rows
        for row in range(0, total, _BATCH_ROWS):
            size = min(_BATCH_ROWS, total - row)
            mask = np.zeros(size, bool)
            mask[gone[(gone >= row) & (gone < row + size)] - row] = True
            taken = int(mask.sum())
            both = pa.concat_tables([sides[0].take(size - taken), sides[1].take(taken)])
            order = np.empty(size, np.int64)
            order[~mask] = np.arange(size - taken)
            order[mask] = np.arange(size - taken, size)
            yield both.take(pa.array(order))


class _Rows:
    """Hands out the rows of a parquet file, as many as asked for at a time."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._batches = file.iter_batches(batch_size=_BATCH_ROWS)
        self._rest: pa.Table = file.schema_arrow.empty_table()

    def take(self, count: int) -> pa.Table:
        while self._rest.num_rows < count:
            batch = next(self._batches, None)
            if batch is None:
                raise ArtefactError("the cleaned parquet file has fewer rows than the ledger says")
            self._rest = pa.concat_tables([self._rest, pa.Table.from_batches([batch])])
        taken, self._rest = self._rest.slice(0, count), self._rest.slice(count)
        return taken


def same_rows(path: Path, tables: Iterator[pa.Table]) -> bool:
    """Whether a parquet file holds just these rows, read side by side."""
    with _opened(path, str(path)) as file:
        rows = _Rows(file)
        count = 0
        for table in tables:
            count += table.num_rows
            if count > file.metadata.num_rows or not _same(rows.take(table.num_rows), table):
                return False
        return bool(count == file.metadata.num_rows)


def _same(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables hold the same; unlike Arrow's, NaN is the same as NaN."""
    return bool(one.schema.equals(other.schema)) and all(
        mine.equals(theirs) or repr(mine.to_pylist()) == repr(theirs.to_pylist())
        for mine, theirs in zip(one.columns, other.columns, strict=True)
    )


def write(tables: Iterator[pa.Table], schema: pa.Schema, file: IO[bytes]) -> None:
    """Write rows as one parquet file."""
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def schema_of(path: Path) -> pa.Schema:
    """The Arrow schema of a parquet file."""
    with pq.ParquetFile(path) as file:
        return file.schema_arrow

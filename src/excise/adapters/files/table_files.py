"""Table files: parquet and Arrow IPC files as streams of small tables, and writers that write alike.

Neither way holds a whole row group: reading goes by batches of some megabytes, and a row group is written once it has
as many rows as the original's, or 64 MiB.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from excise.errors import InputError

#: Rows, and decoded bytes, of one table that is read.
_BATCH_ROWS, _BATCH_BYTES = 1 << 15, 1 << 24

#: Decoded bytes after which a row group is written even if it has fewer rows than the original's.
_GROUP_BYTES = 1 << 26

#: Bytes of a parquet column read at a time.
_BUFFER_BYTES = 1 << 20

_MAGIC = b"ARROW1"

Sink = Callable[[pa.Table], None]


class TableFile(Protocol):
    """An open table file.

    Attributes:
        schema: Of its rows, with all metadata.
        rows: How many there are.
        batch_rows: How many are read at a time: some megabytes.
    """

    schema: pa.Schema
    rows: int
    batch_rows: int

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its rows in order, few at a time; of some columns, or of all."""

    def like(self, file: IO[bytes], compression: str | None = None) -> contextlib.AbstractContextManager[Sink]:
        """Writes a file of the same kind: a function that takes tables."""


@contextlib.contextmanager
def opened(path: Path, format_: str, shown: str) -> Iterator[TableFile]:
    """A table file to read; what Arrow finds wrong with it is the input's fault.

    Args:
        path: The file.
        format_: parquet or arrow.
        shown: Its name in errors.

    Raises:
        InputError: It is damaged, or no such file.
    """
    try:
        if format_ == "parquet":
            with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
                yield _Parquet(file)
        else:
            with pa.memory_map(str(path)) as mapped:
                yield _Arrow(mapped)
    except OSError as error:
        if error.errno is not None:  # of what is written meanwhile; Arrow gives damage no number
            raise
        raise InputError(f"damaged, or cannot be read ({str(error).strip()})", shown) from error
    except pa.ArrowException as error:
        raise InputError(f"not readable as {format_} ({str(error).strip()})", shown) from error


class _Parquet:
    def __init__(self, file: pq.ParquetFile) -> None:
        self._file, self.schema, self.rows = file, file.schema_arrow, file.metadata.num_rows
        groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        self._group_rows = max((group.num_rows for group in groups), default=0)
        row_bytes = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
        self.batch_rows = _few(row_bytes)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        yield from self._file.iter_batches(batch_size=self.batch_rows, columns=columns)

    @contextlib.contextmanager
    def like(self, file: IO[bytes], compression: str | None = None) -> Iterator[Sink]:
        codecs = compression or self._compression()
        with (
            pq.ParquetWriter(file, self.schema, compression=codecs) as writer,
            _grouped(writer.write_table, self.schema, self._group_rows) as sink,
        ):
            yield sink

    def _compression(self) -> str | dict[str, str]:
        """Of each column, as its first row group has it."""
        if not self._file.num_row_groups or not self._file.metadata.num_columns:
            return "snappy"
        group = self._file.metadata.row_group(0)
        columns = [group.column(i) for i in range(group.num_columns)]
        return {column.path_in_schema: _codec(str(column.compression)) for column in columns}


def _few(row_bytes: int) -> int:
    """Rows of one table that is read."""
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, row_bytes)))


def _codec(name: str) -> str:
    return name.lower() if name.lower() in {"snappy", "gzip", "zstd", "lz4", "brotli"} else "none"


class _Arrow:
    def __init__(self, mapped: pa.MemoryMappedFile) -> None:
        self._mapped = mapped
        self._random = mapped.read(len(_MAGIC)) == _MAGIC
        reader = self._reader()
        self.schema = reader.schema
        sizes = [(batch.num_rows, batch.nbytes) for batch in self._whole()]
        self.rows, self._group_rows = sum(rows for rows, _ in sizes), max((rows for rows, _ in sizes), default=0)
        self.batch_rows = _few(max((size // max(1, rows) for rows, size in sizes), default=0))

    def _reader(self) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
        self._mapped.seek(0)
        return pa.ipc.open_file(self._mapped) if self._random else pa.ipc.open_stream(self._mapped)

    def _whole(self) -> Iterator[pa.RecordBatch]:
        reader = self._reader()
        if self._random:
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
        else:
            yield from reader

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        for batch in self._whole():
            part = batch if columns is None else batch.select(columns)
            for start in range(0, part.num_rows, self.batch_rows):
                yield part.slice(start, self.batch_rows)

    @contextlib.contextmanager
    def like(self, file: IO[bytes], compression: str | None = None) -> Iterator[Sink]:
        options = pa.ipc.IpcWriteOptions(compression=compression or self._compression())
        make = pa.ipc.new_file if self._random else pa.ipc.new_stream
        with make(file, self.schema, options=options) as writer:

            def write(table: pa.Table) -> None:
                writer.write_table(table.combine_chunks())

            with _grouped(write, self.schema, self._group_rows) as sink:
                yield sink

    def _compression(self) -> str | None:
        """Of the first record batch."""
        self._mapped.seek(8 if self._random else 0)
        messages = pa.ipc.MessageReader.open_stream(self._mapped)
        with contextlib.suppress(StopIteration, pa.ArrowInvalid):
            while True:
                message = messages.read_next_message()
                if message.type == "record batch":
                    return _body_compression(message.metadata.to_pybytes())
        return None


def _body_compression(metadata: bytes) -> str | None:
    """Codec of a record batch out of its flatbuffer, for pyarrow does not tell it.

    It lies at Message.header -> RecordBatch.compression -> BodyCompression.codec. Source: Arrow's format/Message.fbs.
    """

    def number(at: int) -> int:
        return int(struct.unpack_from("<I", metadata, at)[0])

    def slot(table: int, index: int) -> int | None:
        fields = table - struct.unpack_from("<i", metadata, table)[0]
        size = struct.unpack_from("<H", metadata, fields)[0]
        if 4 + 2 * index >= size:
            return None
        offset = struct.unpack_from("<H", metadata, fields + 4 + 2 * index)[0]
        return table + offset if offset else None

    header = slot(number(0), 2)
    compression = None if header is None else slot(header + number(header), 3)
    if compression is None:
        return None
    codec = slot(compression + number(compression), 0)
    return "zstd" if codec is not None and metadata[codec] == 1 else "lz4"


@contextlib.contextmanager
def _grouped(write: Sink, schema: pa.Schema, rows: int) -> Iterator[Sink]:
    """Tables gathered until there are as many rows as a row group has, or a row group's bytes."""
    held: list[pa.Table] = []

    def flush() -> None:
        if held:
            write(pa.concat_tables(held))
            held.clear()

    def take(table: pa.Table) -> None:
        while table.num_rows:
            room = max(1, rows - sum(part.num_rows for part in held))
            held.append(table.slice(0, room))
            table = table.slice(room)
            if sum(p.num_rows for p in held) >= rows or sum(p.nbytes for p in held) >= _GROUP_BYTES:
                flush()

    yield take
    flush()

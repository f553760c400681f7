"""Added rows: the copies of one table file's records as rows behind its last one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from excise.adapters.files import columnar, views
from excise.adapters.files.changes import EDITS, Changes
from excise.adapters.files.read import Reading
from excise.adapters.files.table_files import TableFile, opened
from excise.corpus import Source
from excise.data.augment.draw import Balancing, Drawing
from excise.errors import ArtefactError, InputError
from excise.journal import fingerprint_of, written_aside
from excise.ledger import DECISIONS
from excise.pipeline.additions import FROM, HOW
from excise.pipeline.parents import Copy, Parent, Tally, decision_table, decisions_of, parents

#: The columns that say where a row comes from.
_MARKS = (
    pa.field(FROM, pa.string()),
    pa.field(HOW, pa.struct([("op", pa.string()), ("copy", pa.int64()), ("seed", pa.int64())])),
)

#: A copy: the row it is made of, and what becomes of it.
COPIES = pa.schema(
    [
        pa.field("parent_row", pa.int64(), nullable=False),
        pa.field("parent", pa.string(), nullable=False),
        pa.field("parent_size", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("finder", pa.string(), nullable=False),
        pa.field("op", pa.string(), nullable=False),
        pa.field("copy", pa.int64(), nullable=False),
    ]
)

#: Copies handled at a time.
_BATCH = 1 << 12


def draw_rows(
    reading: Reading,
    index: int,
    drawing: Drawing,
    balancing: Balancing | None,
    copies: Path,
    decisions: Path,
) -> dict[str, Any]:
    """Make the texts of a table's copies.

    Args:
        reading: The corpus.
        index: Which source.
        drawing: What is drawn.
        balancing: What each class is to get, or None.
        copies: File for COPIES.
        decisions: File for DECISIONS.

    Returns:
        A Tally in plain values.
    """
    source, tally = reading.corpus.sources[index], Tally()
    with (
        written_aside(copies) as copy_file,
        written_aside(decisions) as decision_file,
        pa.ipc.new_file(copy_file, COPIES) as made,
        pa.ipc.new_file(decision_file, DECISIONS) as sink,
    ):
        held: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for parent in parents(reading, index, drawing, balancing, tally):
            held += [_row(parent, copy) for copy in parent.copies]
            rows += decisions_of(parent, source.name, drawing.seed)
            if len(held) >= _BATCH:
                made.write_table(pa.Table.from_pylist(held, schema=COPIES))
                sink.write_table(decision_table(rows))
                held, rows = [], []
        made.write_table(pa.Table.from_pylist(held, schema=COPIES))
        sink.write_table(decision_table(rows))
    return tally.as_dict()


def _row(parent: Parent, copy: Copy) -> dict[str, Any]:
    operation = copy.operation
    return {
        "parent_row": parent.row,
        "parent": parent.id,
        "parent_size": len(parent.text),
        "id": copy.id,
        "text": copy.text,
        "finder": operation.name,
        "op": operation.written,
        "copy": copy.number,
    }


def write_rows(
    source: Source,
    copies: Path,
    path: Path,
    original_to: Path,
    id_field: str | None,
    seed: int,
    marks: bool,
    told: Callable[[int], None],
) -> dict[str, Any]:
    """Write a table file with its copies behind the rows it had; the original goes into the ledger.

    Args:
        source: Where it was read.
        copies: File with COPIES.
        path: The augmented file.
        original_to: Where the original is kept.
        id_field: Column with ids, or None.
        seed: Of the run.
        marks: Whether rows say where they come from; those that were there have null.
        told: Told how many bytes of the source are dealt with.

    Returns:
        As `write_source`.

    Raises:
        InputError: The source was changed since it was read, or has such columns of another type.
        ArtefactError: The rows that were there are not there as they were.
    """
    original = Path(source.path)
    with opened(original, source.format, source.name) as file:
        plain = file.schema
        file.schema = _marked_schema(plain, source.name) if marks else plain  # what `like` writes
        with written_aside(path) as out, file.like(out) as sink:
            done = 0
            for batch in file.batches():
                sink(_with_marks(pa.Table.from_batches([batch]), file.schema, None, seed))
                done += batch.num_rows
                told(source.size_bytes * done // max(1, file.rows))
            for table in _copied(file, source, copies, id_field, seed):
                sink(table)
        file.schema = plain
        with opened(path, source.format, source.name) as written:
            if not columnar.same_rows(file, _first(written, file.rows, plain)):
                raise ArtefactError(f"{source.name}: its own rows are not in the augmented file as they were")

    def prove(aside: Path) -> None:
        if fingerprint_of(aside) != source.fingerprint:
            raise InputError("the file was changed while it was being read; run the command again", source.name)

    with written_aside(original_to, prove) as out, original.open("rb") as stream:
        shutil.copyfileobj(stream, out)
    return {
        "restore": "original",
        "cleaned": fingerprint_of(path),
        "cleaned_bytes": path.stat().st_size,
        "ledger_bytes": source.size_bytes,
        "label_field": None,
    }


def _marked_schema(schema: pa.Schema, shown: str) -> pa.Schema:
    for mark in _MARKS:
        at = schema.get_field_index(mark.name)
        if at < 0:
            schema = schema.append(mark)
        elif schema.field(at).type != mark.type:
            raise InputError(
                f"it has a column {mark.name!r} of {schema.field(at).type}, where Excise would write {mark.type}. "
                "Rename the column, or give --no-marks",
                shown,
            )
    return schema


def _with_marks(table: pa.Table, schema: pa.Schema, made: pa.Table | None, seed: int) -> pa.Table:
    """A table with the columns that say where its rows come from, where the schema has them: null, or from COPIES."""
    values: list[pa.Array] = []
    for mark in _MARKS:
        if schema.get_field_index(mark.name) < 0:
            return table
        if made is None:
            values.append(pa.nulls(table.num_rows, mark.type))
        elif mark.name == FROM:
            values.append(made["parent"].combine_chunks().cast(mark.type))
        else:
            parts = [made["op"].combine_chunks(), made["copy"].combine_chunks(), pa.repeat(seed, len(made))]
            values.append(pa.StructArray.from_arrays(parts, fields=list(mark.type)))
    for mark, value in zip(_MARKS, values, strict=True):
        at = table.schema.get_field_index(mark.name)
        if at < 0:
            table = table.append_column(mark, value)
        elif made is not None:
            table = table.set_column(at, table.schema.field(at), value)
    return table.cast(schema)


def _copied(file: TableFile, source: Source, copies: Path, id_field: str | None, seed: int) -> Iterator[pa.Table]:
    """The copies, a table for each table of parents that has any."""
    view = views.parse(source.view)
    with pa.memory_map(str(copies)) as mapped:
        made = pa.ipc.open_file(mapped).read_all()
        parent_rows = made["parent_row"].to_numpy()
        row = 0
        for batch in file.batches():
            low, high = np.searchsorted(parent_rows, [row, row + batch.num_rows]).tolist()
            for at in range(low, high, _BATCH):
                part = made.slice(at, min(_BATCH, high - at)).combine_chunks()
                table = pa.Table.from_batches([batch]).take(pa.array(parent_rows[at : at + len(part)] - row))
                changes = Changes(np.zeros(0, np.int64), pa.array([], pa.string()), _edits(part, id_field), id_field)
                for _, new in columnar.changed(iter([table]), changes, view, source.name):
                    yield _with_marks(new, file.schema, part, seed)
            row += batch.num_rows


def _edits(made: pa.Table, id_field: str | None) -> pa.Table:
    """EDITS that turn parents into these copies; rows count from 0."""
    edits: list[dict[str, Any]] = []
    for row, copy in enumerate(made.to_pylist()):
        shared: dict[str, Any] = {"row": row, "finder": copy["finder"]}
        if id_field is not None:
            edits.append({**shared, "action": "relabel", "value": copy["id"]})
        edits.append({**shared, "action": "mask", "start": 0, "stop": copy["parent_size"], "value": copy["text"]})
    return pa.Table.from_pylist(edits, schema=EDITS)


def _first(file: TableFile, rows: int, schema: pa.Schema) -> Iterator[pa.Table]:
    """So many first rows of a table file, in the columns of a schema."""
    for batch in file.batches():
        part = pa.Table.from_batches([batch]).slice(0, rows).select(schema.names)
        rows -= part.num_rows
        if part.num_rows:
            yield part

"""Columnar: parquet and Arrow files — reading a text view, changing and dropping rows, and putting them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import IO, Any

import numpy as np
import pyarrow as pa

from excise.adapters.files import extract, features, views
from excise.adapters.files.changes import Changes, Inside, Int64s, applied, pieces
from excise.adapters.files.extract import Columns, Layout
from excise.adapters.files.features import NotNumbersError
from excise.adapters.files.find import Input
from excise.adapters.files.layouts import Fields, layout_for
from excise.adapters.files.spans import Block
from excise.adapters.files.table_files import TableFile, opened
from excise.adapters.files.views import View
from excise.errors import ArtefactError, InputError

#: Formats whose records are rows of columns, not byte ranges.
FORMATS = frozenset({"parquet", "arrow"})


def parsed(one: Input, fields: Fields, told: Callable[[int], None]) -> Iterator[tuple[Block, Columns, Layout]]:
    """Blocks of a parquet or Arrow file; its records have no byte spans (-1).

    Raises:
        InputError: Not such a file, compressed once more, without a field, or with a field that is no text.
    """
    if one.compression:
        raise InputError(
            f"{one.format} inside {one.compression}; unpack it first, {one.format} has compression of its own",
            one.shown,
        )
    with opened(one.path, one.format, one.shown) as file:
        layout = _layout(file, fields, one.shown)
        columns = list(dict.fromkeys(_column_of(file.schema, n) for n in [*layout.needed, *layout.numbers]))
        total, done = max(1, file.rows), 0
        for batch in file.batches(columns):
            yield _block(batch.num_rows), _columns(batch, layout, one.shown, done), layout
            done += batch.num_rows
            told(one.size_bytes * done // total)


def _layout(file: TableFile, fields: Fields, shown: str) -> Layout:
    schema = file.schema
    layout = layout_for(fields, _sample(file, fields), shown)
    for name in [*layout.needed, *layout.numbers]:
        top = _column_of(schema, name)
        if schema.names.count(top) != 1:
            told = "twice" if top in schema.names else "not"
            raise InputError(f"the field {name!r} is {told} among its columns ({views.listed(schema.names)})", shown)
    return replace(layout, known=frozenset([*schema.names, *layout.needed]))


def _column_of(schema: pa.Schema, name: str) -> str:
    """The column that holds a field: itself, or the one that its name with dots leads into."""
    return name if name in schema.names else name.split(".", maxsplit=1)[0]


def _sample(file: TableFile, fields: Fields) -> dict[str, Any]:
    """A value of each column: a number, a list of numbers, '' for text, and None or {} for anything else."""
    sample: dict[str, Any] = {}
    for one in file.schema:
        inner = one.type.value_type if _is_list(one.type) else None
        if views.is_number(one.type):
            sample[one.name] = 0.0
        elif pa.types.is_struct(one.type):
            sample[one.name] = {}
        elif inner is not None and views.is_number(inner):
            sample[one.name] = _list_sample(file, one.name) if fields.features else []
        else:
            sample[one.name] = ""
    return sample


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _list_sample(file: TableFile, name: str) -> list[float]:
    for batch in file.batches([name]):
        for value in batch.column(name).drop_null().slice(0, 1).to_pylist():
            return [0.0] * len(value)
    return []


def _block(rows: int) -> Block:
    nowhere = np.full(rows, -1, np.int64)
    return Block(b"", 0, 1, nowhere, nowhere)


def _columns(batch: pa.RecordBatch, layout: Layout, shown: str, row: int) -> Columns:
    columns = {}
    for name in layout.needed:
        try:
            columns[name] = views.spelled_array(views.reached(batch, name))
        except views.NotTextError as error:
            raise InputError(f"the field {name!r} holds {error}, not text", shown) from error
    if layout.id is not None and columns[layout.id].null_count:
        missing = row + columns[layout.id].is_null().to_pylist().index(True)
        raise InputError(f"row {missing} has no id in {layout.id!r}", shown)
    numbers = None
    if layout.numbers:
        try:
            arrays = {name: views.reached(batch, name) for name in layout.numbers}
            numbers = features.of_arrays(arrays, layout.numbers, batch.num_rows)
        except (NotNumbersError, views.NotTextError, pa.ArrowInvalid) as error:
            raise InputError(str(error), shown) from error
    fixed = next((name for name in layout.view.fields if _is_fixed(batch.schema, name)), "")
    return replace(extract.composed(columns, layout, numbers), fixed=fixed)


def _is_fixed(schema: pa.Schema, name: str) -> bool:
    """Whether a field is a list or an object, or lies in one."""
    return name not in schema.names or bool(pa.types.is_nested(schema.field(name).type))


def split(original: TableFile, changes: Changes, view: View, shown: str, kept: IO[bytes], touched: IO[bytes]) -> None:
    """Write the cleaned rows, and the original rows of those that went or were changed.

    Args:
        original: The file.
        changes: What is done to it.
        view: Its text view.
        shown: Its name in errors.
        kept: Gets the rows that stay, changed or not: same schema, compression and about the same row groups.
        touched: Gets the original rows of the others.
    """
    with original.like(kept) as stay, original.like(touched, "zstd") as aside:
        row = 0
        tables = (pa.Table.from_batches([batch]) for batch in original.batches())
        for table, new in changed(tables, changes, view, shown):
            mask = _among(changes.gone, row, table.num_rows) | _among(changes.changed, row, table.num_rows)
            row += table.num_rows
            if mask.any():
                aside(table.filter(pa.array(mask)))
            if new.num_rows:
                stay(new)


def changed(
    tables: Iterator[pa.Table], changes: Changes, view: View, shown: str
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Each table with what becomes of it.

    Args:
        tables: The rows of the original in order.
        changes: What is done to them.
        view: The text view.
        shown: The file's name in errors.
    """
    edits = changes.inside()
    waiting = next(edits, None)
    row = 0
    for table in tables:
        here: list[Inside] = []
        while waiting is not None and waiting.row < row + table.num_rows:
            here.append(waiting)
            waiting = next(edits, None)
        new = _edited(table, row, here, view, changes.label, shown) if here else table
        gone = _among(changes.gone, row, table.num_rows)
        row += table.num_rows
        yield table, new.filter(pa.array(~gone)) if gone.any() else new


def _among(rows: Int64s, first: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of `count` rows from `first` on are among these, which ascend."""
    mask = np.zeros(count, np.bool_)
    low, high = np.searchsorted(rows, [first, first + count])
    mask[rows[low:high] - first] = True
    return mask


def _edited(
    table: pa.Table, first: int, edits: Sequence[Inside], view: View, label: str | None, shown: str
) -> pa.Table:
    """A table with some rows' fields changed."""
    places = np.array([inside.row - first for inside in edits])
    part = table.take(pa.array(places))
    words = {name: views.spelled_array(_one_chunk(part[name])).to_pylist() for name in dict.fromkeys(view.fields)}
    new: dict[str, list[tuple[int, str]]] = {}
    for index, inside in enumerate(edits):
        found = pieces(view, [len(words[name][index] or "") for name in view.fields], inside.text)
        for name in dict.fromkeys(view.fields[piece.place] for piece in found):
            mine = sorted((p.start, p.stop, p.value) for p in found if view.fields[p.place] == name)
            new.setdefault(name, []).append((index, applied(words[name][index], mine)))
        if inside.label is not None and label is not None:
            new[label] = [pair for pair in new.get(label, []) if pair[0] != index] + [(index, inside.label[0])]
    for name, values in new.items():
        table = _with(table, name, places[[index for index, _ in values]], [value for _, value in values], shown)
    return table


def _with(table: pa.Table, name: str, places: Int64s, values: Sequence[str], shown: str) -> pa.Table:
    """A table with other values at some places of one column."""
    if name not in table.schema.names:
        raise InputError(f"the field {name!r} lies in an object and cannot be changed in place", shown)
    column, kind = _one_chunk(table[name]), table.schema.field(name).type
    try:
        fresh = _cast(pa.array(values, pa.large_string()), kind)
    except pa.ArrowException as error:
        raise InputError(
            f"the column {name!r} is {kind}, which cannot hold {values[0]!r} ({str(error).strip()}). "
            "Drop such records instead",
            shown,
        ) from error
    order = np.arange(table.num_rows)
    order[places] = table.num_rows + np.arange(len(values))
    both = pa.chunked_array([column, fresh], kind).take(pa.array(order))
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), both)


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return texts.cast(kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_nested(kind):
        raise pa.ArrowInvalid("lists and objects cannot be changed in place")
    return texts.cast(kind)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def merged(kept: TableFile, touched: TableFile, changes: Changes) -> Iterator[pa.Table]:
    """The rows of the original in their order, in tables of any size.

    Args:
        kept: The cleaned file.
        touched: The original rows of those that went or were changed, in order.
        changes: Which those are.
    """
    cleaned, originals = _Rows(kept), _Rows(touched)
    total = kept.rows + len(changes.gone)
    few = min(kept.batch_rows, touched.batch_rows)
    for row in range(0, total, few):
        size = min(few, total - row)
        gone, edited = _among(changes.gone, row, size), _among(changes.changed, row, size)
        from_original = gone | edited
        stay = size - int(gone.sum())
        both = pa.concat_tables([cleaned.take(stay), originals.take(int(from_original.sum()))])
        order = np.cumsum(~gone) - 1
        order[from_original] = stay + np.arange(int(from_original.sum()))
        yield both.take(pa.array(order))


class _Rows:
    """Hands out the rows of a table file, as many as asked for at a time."""

    def __init__(self, file: TableFile) -> None:
        self._batches = file.batches()
        self._rest: pa.Table = file.schema.empty_table()

    def take(self, count: int) -> pa.Table:
        parts = []
        while True:
            part = self._rest.slice(0, count)
            parts.append(part)
            count -= part.num_rows
            self._rest = self._rest.slice(part.num_rows)
            if not count:
                return pa.concat_tables(parts)
            batch = next(self._batches, None)
            if batch is None:
                raise ArtefactError("the cleaned file has fewer rows than the ledger says")
            self._rest = pa.Table.from_batches([batch])


def same_rows(file: TableFile, tables: Iterator[pa.Table]) -> bool:
    """Whether a table file holds just these rows, read side by side."""
    rows, count = _Rows(file), 0
    for table in tables:
        count += table.num_rows
        if count > file.rows or not _same(rows.take(table.num_rows), table):
            return False
    return count == file.rows


def _same(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables hold the same; unlike Arrow's, NaN is the same as NaN."""
    return bool(one.schema.equals(other.schema)) and all(
        mine.equals(theirs) or repr(mine.to_pylist()) == repr(theirs.to_pylist())
        for mine, theirs in zip(one.columns, other.columns, strict=True)
    )

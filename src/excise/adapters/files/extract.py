"""Extract: text, id and label out of a block of records, by pyarrow where it can, by Python where it cannot.

pyarrow is given the few fields that are needed, with their types, so nothing is guessed: a text that looks like a date
stays a text. Wherever it refuses a block, or a record needs a closer look, the whole block is read again record by
record with Python's own parsers, which know the line of an error and spell numbers as they stand in the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson

from excise.adapters.files import features, views
from excise.adapters.files.features import Floats, NotNumbersError, Written
from excise.adapters.files.spans import Block
from excise.adapters.files.views import NotTextError, View

_RETURN, _NEWLINE = 13, 10
_LONGEST_BLOCK = (1 << 31) - 64  # pyarrow counts the bytes of a block in 32 bits
_LONGEST_CELL = (1 << 31) - 1


@dataclass(frozen=True)
class Layout:
    """What to take from each record of one source.

    Attributes:
        view: The text.
        id: Field with the user's ids.
        label: Field with labels.
        order: Field to rank by.
        numbers: Numeric fields for the features, with the length of a list or 0 for a plain number.
        types: Arrow types of those fields in JSON but the numeric ones, None where only Python can spell them.
        known: Fields that are known to be there.
        header: Names of a csv's columns.
        delimiter: Between a csv's fields.
        quoted: Whether quotes enclose a csv's fields.
    """

    view: View
    id: str | None = None
    label: str | None = None
    order: str | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, pa.DataType | None] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    header: tuple[str, ...] = ()
    delimiter: str = ","
    quoted: bool = True

    @property
    def needed(self) -> list[str]:
        """All fields to read as text, each once; names with dots may lead into objects."""
        named = (f for f in (self.id, self.label, self.order) if f is not None)
        return list(dict.fromkeys([*self.view.fields, *named]))


@dataclass(frozen=True)
class Columns:
    """What was taken from the readable records of a block.

    Attributes:
        texts: large_string [readable].
        ids: string [readable], or None without an id field.
        labels: string [readable], or None without a label field.
        order: string [readable], or None without a field to rank by.
        numbers: float32 [readable, features], or None without numeric fields.
        bad: Index in the block and reason of each record that could not be read; the arrays lack these.
        seen: Fields that some record has.
        fixed: A field of the view that holds a list or an object somewhere, whose text cannot be changed in place.
    """

    texts: pa.Array
    ids: pa.Array | None
    labels: pa.Array | None
    order: pa.Array | None = None
    numbers: Floats | None = None
    bad: tuple[tuple[int, str], ...] = ()
    seen: frozenset[str] = frozenset()
    fixed: str = ""


class BadRecordError(Exception):
    """A record that cannot be read, with the reason."""


def from_json(block: Block, layout: Layout) -> Columns:
    """Columns of JSON objects."""
    table = _json_table(block, layout)
    taken = None if table is None else take(table, layout)
    return taken if taken is not None else one_by_one(block, layout, _json_record)


def from_csv(block: Block, layout: Layout) -> Columns:
    """Columns of csv rows (without the header)."""
    table = _csv_table(block, layout)
    taken = None if table is None else take(table, layout)
    return taken if taken is not None else one_by_one(block, layout, _csv_record)


def from_lines(block: Block, layout: Layout) -> Columns:
    """Columns of text lines: the line without its end is the text."""
    region = block.data[_first(block) : _last(block)]
    whole = len(block.starts) > 0 and bool((block.starts[1:] == block.stops[:-1]).all())
    if whole and b"\0" not in region and _is_utf8(region):
        offsets = np.append(block.starts, block.stops[-1]) - block.starts[0]
        texts = pa.LargeStringArray.from_buffers(len(block.starts), pa.py_buffer(offsets), pa.py_buffer(region))
        return Columns(pc.utf8_rtrim(texts, "\r\n"), None, None, seen=frozenset(layout.view.fields))
    return one_by_one(block, layout, _line_record)


def _first(block: Block) -> int:
    return int(block.starts[0]) if len(block.starts) else 0


def _last(block: Block) -> int:
    return int(block.stops[-1]) if len(block.stops) else 0


def _is_utf8(data: bytes) -> bool:
    offsets = pa.py_buffer(np.array([0, len(data)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _json_table(block: Block, layout: Layout) -> pa.Table | None:
    types = layout.types
    region = block.data[_first(block) : _last(block)]
    if layout.numbers.keys() & set(layout.needed) or not len(block.starts):
        return None
    known = [types[f] for f in layout.needed if types[f] is not None]
    # of turns the types know only who speaks and what is said
    calls = any(map(pa.types.is_list, known)) and any(name.encode() in region for name in views.CALLS)
    if len(region) > _LONGEST_BLOCK or len(known) < len(layout.needed) or calls:
        return None
    body = np.frombuffer(block.data, np.uint8)
    ends = block.stops - (body[block.stops - 1] == _NEWLINE)
    ends -= body[np.maximum(ends - 1, 0)] == _RETURN
    # pyarrow reads a stream of values and does not care where lines end: each record must be one object by itself
    if not ((body[block.starts] == ord("{")).all() and (body[np.maximum(ends - 1, 0)] == ord("}")).all()):
        return None
    if not _is_utf8(region):
        return None
    try:
        table = pajson.read_json(
            pa.BufferReader(region),
            read_options=pajson.ReadOptions(use_threads=False, block_size=len(region) + 1),
            parse_options=pajson.ParseOptions(
                explicit_schema=_json_schema(layout),
                newlines_in_values=True,
                unexpected_field_behavior="ignore",
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    return table if table.num_rows == len(block.starts) else None


def _json_schema(layout: Layout) -> pa.Schema:
    """Types of the fields to read; those of a name with dots that is no field itself are one within the other."""
    nested: dict[str, Any] = {}
    numbers = {n: pa.list_(pa.float64()) if width else pa.float64() for n, width in layout.numbers.items()}
    for name, kind in [*((n, layout.types[n]) for n in layout.needed), *numbers.items()]:
        *path, last = (name,) if name in layout.known or "." not in name else name.split(".")
        within = nested
        for part in path:
            within = within.setdefault(part, {})
        within[last] = kind

    def typed(level: Mapping[str, Any]) -> list[tuple[str, pa.DataType]]:
        return [(name, pa.struct(typed(kind)) if isinstance(kind, dict) else kind) for name, kind in level.items()]

    return pa.schema(typed(nested))


def _csv_table(block: Block, layout: Layout) -> pa.Table | None:
    region = block.data[_first(block) : _last(block)]
    wanted = list(dict.fromkeys([*layout.needed, *layout.numbers]))
    if not len(block.starts) or len(region) > _LONGEST_BLOCK or b"\0" in region or not _is_utf8(region):
        return None
    try:
        table = pacsv.read_csv(
            pa.BufferReader(region),
            read_options=pacsv.ReadOptions(
                use_threads=False, block_size=len(region) + 1, column_names=list(layout.header)
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quoted else False,
                newlines_in_values=True,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=wanted,
                column_types={name: pa.large_string() for name in wanted},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows == len(block.starts) else None


def take(table: pa.Table, layout: Layout) -> Columns | None:
    """Columns of a table; None where some record needs a closer look."""
    raw = {name: views.reached(table, name) for name in layout.needed}
    lacking = np.ones(table.num_rows, bool)
    for name in layout.view.fields:
        lacking &= raw[name].is_null().to_numpy(zero_copy_only=False)
    if lacking.any() or (layout.id is not None and raw[layout.id].null_count):
        return None
    try:
        columns = {name: views.spelled_array(array) for name, array in raw.items()}
        arrays = {name: views.reached(table, name) for name in layout.numbers}
        numbers = features.of_arrays(arrays, layout.numbers, table.num_rows) if arrays else None
    except (NotTextError, NotNumbersError, pa.ArrowInvalid):
        return None
    taken = composed(columns, layout, numbers)
    seen = frozenset(name for name, array in raw.items() if array.null_count < len(array))
    fixed = next((name for name in layout.view.fields if pa.types.is_nested(raw[name].type)), "")
    return replace(taken, seen=seen, fixed=fixed)


def composed(columns: Mapping[str, pa.Array], layout: Layout, numbers: Floats | None = None) -> Columns:
    """Columns from the fields' values, which are text, and the numbers."""
    ids, labels, order = (
        None if name is None else columns[name].cast(pa.string()) for name in (layout.id, layout.label, layout.order)
    )
    return Columns(views.filled(layout.view, columns), ids, labels, order, numbers)


def one_by_one(block: Block, layout: Layout, read: Callable[[bytes, Layout], dict[str, Any]]) -> Columns:
    """Columns of records that are read singly."""
    found: list[_Record] = []
    bad: list[tuple[int, str]] = []
    seen: set[str] = set()
    fixed = ""
    for index in range(len(block.starts)):
        try:
            record = read(block.record(index), layout)
            found.append(_fields(record, layout))
        except BadRecordError as error:
            bad.append((index, str(error)))
            continue
        seen.update(name for name in layout.needed if views.lookup(record, name) is not views.MISSING)
        fixed = fixed or next((n for n in layout.view.fields if _is_fixed(record, n)), "")
    width = len(features.names_of(layout.numbers))
    numbers = np.array([record.numbers for record in found], np.float32).reshape(len(found), width)
    return Columns(
        pa.array([record.text for record in found], pa.large_string()),
        None if layout.id is None else pa.array([record.id for record in found], pa.string()),
        None if layout.label is None else pa.array([record.label for record in found], pa.string()),
        None if layout.order is None else pa.array([record.order for record in found], pa.string()),
        numbers if layout.numbers else None,
        tuple(bad),
        frozenset(seen),
        fixed,
    )


class _Record(NamedTuple):
    text: str
    id: str | None
    label: str | None
    order: str | None
    numbers: list[float]


def _is_fixed(record: Mapping[str, Any], name: str) -> bool:
    """Whether a field holds a list, or lies in one."""
    if isinstance(views.lookup(record, name), list):
        return True
    return name not in record and any(part.isdecimal() for part in name.split(".")[1:])


def _fields(record: dict[str, Any], layout: Layout) -> _Record:
    if all(views.lookup(record, name) is views.MISSING for name in layout.view.fields):
        wanted = " or ".join(repr(name) for name in layout.view.fields)
        raise BadRecordError(f"the record has no field {wanted}; it has {views.listed(record)}. Choose one with --text")
    try:
        text = views.filled_one(layout.view, record)
        id_, label, order = (_named(record, name) for name in (layout.id, layout.label, layout.order))
        numbers = features.of_record({n: views.found(record, n) for n in layout.numbers}, layout.numbers)
    except NotTextError as error:
        raise BadRecordError(f"{error}, not text") from error
    except NotNumbersError as error:
        raise BadRecordError(str(error)) from error
    if layout.id is not None and id_ is None:
        raise BadRecordError(f"the record has no id in {layout.id!r}; it has {views.listed(record)}")
    return _Record(_whole(text), id_, label, order, numbers)


def _named(record: Mapping[str, Any], name: str | None) -> str | None:
    value = None if name is None else views.found(record, name)
    return None if value is None else _whole(views.spelled(value))


def _whole(text: str) -> str:
    """Lone surrogates, which UTF-8 cannot hold, as the escapes they were written with."""
    return text.encode("utf-8", "backslashreplace").decode()


def decode(data: bytes) -> str:
    """UTF-8 as text.

    Raises:
        BadRecordError: It is none.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRecordError(
            f"byte {error.start + 1} of the record (0x{data[error.start]:02x}) is not UTF-8; "
            "convert the file with iconv"
        ) from error


def _json_record(data: bytes, layout: Layout) -> dict[str, Any]:
    text = decode(data)
    try:
        record = json.loads(text, parse_int=Written, parse_float=Written)
    except json.JSONDecodeError as error:
        nul = "; the record holds NUL bytes" if "\0" in text else ""
        raise BadRecordError(f"not JSON: {error.msg} (column {error.colno}){nul}") from error
    except RecursionError as error:
        raise BadRecordError("not readable: nested too deeply") from error
    if not isinstance(record, dict):
        kind = "a list" if isinstance(record, list) else "a single value"
        raise BadRecordError(f"expected a JSON object, found {kind}")
    return record


def _csv_record(data: bytes, layout: Layout) -> dict[str, Any]:
    text = decode(data)
    if "\0" in text:
        raise BadRecordError("the record holds NUL bytes, as binary files and UTF-16 do")
    cells = csv_cells(text, layout.delimiter, layout.quoted)
    if len(cells) != len(layout.header):
        raise BadRecordError(f"the row has {len(cells)} fields, the header {len(layout.header)}")
    return dict(zip(layout.header, cells, strict=True))


def csv_cells(text: str, delimiter: str, quoted: bool) -> Sequence[str]:
    """The fields of one csv row."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        rows = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        )
        cells = next(rows, [])
        if next(rows, None) is not None:
            raise BadRecordError("not csv: a carriage return outside quotes ends no row here")
        return cells
    except csv.Error as error:
        raise BadRecordError(f"not csv: {error}") from error
    finally:
        csv.field_size_limit(before)


def _line_record(data: bytes, layout: Layout) -> dict[str, Any]:
    text = decode(data)
    if "\0" in text:
        raise BadRecordError("the line holds NUL bytes, as binary files and UTF-16 do")
    return {layout.view.fields[0]: text.rstrip("\r\n")}

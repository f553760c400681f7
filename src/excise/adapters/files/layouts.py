"""Layouts: which fields a source has, which make its text, and its records block by block."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from excise.adapters.files import containers, extract, features, samples, spans, views
from excise.adapters.files.extract import Columns, Layout
from excise.adapters.files.find import Input
from excise.adapters.files.spans import Block
from excise.errors import InputError, SettingError

#: Records looked at to learn fields and types.
_SAMPLE = 50

#: The view of a text file.
_LINE = views.View("line", ("line",), ("", ""))


@dataclass(frozen=True)
class Fields:
    """What the user said about fields; None where it is to be detected or not there.

    Attributes:
        text: Field or template.
        on: Field on which alone duplicates are found.
        id: Field with ids.
        label: Field with labels.
        order: Field to rank records by, such as a date.
        features: Numeric fields, each a number or a list of numbers of one length; 'auto' alone for all there are.
    """

    text: str | None = None
    on: str | None = None
    id: str | None = None
    label: str | None = None
    order: str | None = None
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.text is not None and self.on is not None:
            raise SettingError(
                f"--text is {self.text!r} and --on is {self.on!r}; both say what is compared. Give one of them."
            )


def parsed(one: Input, fields: Fields, chunks: Iterator[bytes]) -> Iterator[tuple[Block, Columns, Layout]]:
    """Blocks of a source that is a stream of bytes, with what was taken from them.

    Args:
        one: The source; its name is used in errors.
        fields: What the user said about fields.
        chunks: The decoded bytes.

    Raises:
        InputError: The source cannot be cut into records, or lacks a field.
    """
    if one.format == "txt":
        if fields.id is not None:
            raise InputError(f"a text file has no field {fields.id!r} for the ids; leave --id away", one.shown)
        if fields.order is not None or fields.features:
            raise InputError("a text file has no fields to rank by and no numeric ones; leave them away", one.shown)
        layout = Layout(_LINE, known=frozenset(_LINE.fields))
        for block in spans.lines(chunks, one.shown):
            yield block, extract.from_lines(block, layout), layout
    elif one.format in {"csv", "tsv"}:
        yield from _csv(one, fields, chunks)
    elif one.format == "tar":
        yield from _tar(one, fields, chunks)
    else:
        found = spans.lines(chunks, one.shown) if one.format == "jsonl" else spans.elements(chunks, one.shown)
        layout = None
        for block in found:
            layout = layout or _json_layout(block, fields, one.shown)
            if layout is not None:
                yield block, extract.from_json(block, layout), layout


def _json_layout(block: Block, fields: Fields, shown: str) -> Layout | None:
    """Fields and their types from the first records; None where the block holds none."""
    records = [record for i in range(min(_SAMPLE, len(block.starts))) if (record := _object(block.record(i)))]
    if not len(block.starts):
        return None
    sample: dict[str, Any] = {}
    for record in records:
        sample.update({k: v for k, v in record.items() if sample.get(k) is None})
    layout = layout_for(fields, sample or {"text": ""}, shown)
    types = {name: views.column_type(views.found(sample, name)) for name in layout.needed}
    types |= dict.fromkeys((n for n in types if n not in sample and any(p.isdecimal() for p in n.split("."))), None)
    return replace(layout, types=types, known=frozenset({*sample, *(n for n in layout.needed if _has(sample, n))}))


def _tar(one: Input, fields: Fields, chunks: Iterator[bytes]) -> Iterator[tuple[Block, Columns, Layout]]:
    layout = None
    for block in samples.spans(chunks, one.shown):
        if layout is None and len(block.starts):
            with contextlib.suppress(extract.BadRecordError):
                sample = samples.record(block.record(0))
                named = {name: value for name, value in sample.items() if name != samples.KEY}
                layout = replace(layout_for(fields, named, one.shown), known=frozenset(sample))
        layout = layout or Layout(views.View("txt", ("txt",), ("", "")))
        yield block, samples.from_samples(block, layout), layout


def _object(raw: bytes) -> dict[str, Any] | None:
    """A record, if it is a JSON object."""
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _has(sample: Mapping[str, Any], name: str) -> bool:
    return views.lookup(sample, name) is not views.MISSING


def layout_for(fields: Fields, sample: Mapping[str, Any], shown: str) -> Layout:
    """What to take from records of which one looks like this.

    Args:
        fields: What the user said about fields.
        sample: A value of each field.
        shown: The file's name in errors.

    Raises:
        InputError: Which field is the text cannot be told, or a numeric field is none.
    """
    view = view_for(fields, sample, shown)
    layout = Layout(view, fields.id, fields.label, fields.order)
    if not fields.features:
        return layout
    asked = fields.features
    if asked == (features.AUTO,):
        apart = {fields.id, fields.label, fields.order, *(() if view.name == row_view(fields, sample) else view.fields)}
        asked = tuple(n for n, value in sample.items() if n not in apart and features.width_of(value) is not None)
        if not asked:
            raise InputError(f"there are no numeric fields for the features; there are: {views.listed(sample)}", shown)
    widths = {name: features.width_of(views.found(sample, name)) for name in asked}
    for name, width in widths.items():
        if width is None:
            told = repr(views.found(sample, name))[:40] if _has(sample, name) else "nothing"
            raise InputError(f"the field {name!r} holds {told}, neither a number nor a list of numbers", shown)
    return replace(layout, numbers={name: width or 0 for name, width in widths.items()})


def row_view(fields: Fields, sample: Mapping[str, Any]) -> str:
    """The view of records that are numbers and have no text: all fields but the id."""
    return ", ".join(
        f"{{{name}}}" for name, value in sample.items() if name != fields.id and not isinstance(value, dict)
    )


def view_for(fields: Fields, sample: Mapping[str, Any], shown: str) -> views.View:
    """The view the user asked for, or the one that suits these fields."""
    if fields.on is not None:
        return views.View(fields.on, (fields.on,), ("", ""))
    if fields.text is not None:
        return views.parse(fields.text)
    found = views.detect(sample)
    if found is not None:
        return found
    if fields.features:
        return views.parse(row_view(fields, sample))
    raise InputError(
        f"cannot tell which field is the text; there are: {views.listed(sample)}. "
        "Name it with --text FIELD, or give a template such as --text '{title}\\n{body}'.",
        shown,
    )


def _csv(one: Input, fields: Fields, chunks: Iterator[bytes]) -> Iterator[tuple[Block, Columns, Layout]]:
    head, chunks = containers.with_head(chunks)
    delimiter = "\t" if one.format == "tsv" else _delimiter(head)
    quoted = delimiter != "\t" or spans.quotes_are_marks(head, delimiter)
    layout = None
    for block in spans.rows(chunks, delimiter, quoted, one.shown):
        if layout is None:
            if not len(block.starts):
                continue
            rows = [block.record(i) for i in range(min(_SAMPLE + 1, len(block.starts)))]
            layout = _csv_layout(rows[0], rows[1:], fields, one.shown, delimiter, quoted)
            body = block.without_first()
        else:
            body = block
        yield body, extract.from_csv(body, layout), layout


def _delimiter(head: bytes) -> str:
    """A comma, unless the header has none and has tabs or semicolons."""
    header = head.partition(b"\n")[0]
    return "," if b"," in header else next((d for d in "\t;" if d.encode() in header), ",")


def _csv_layout(
    header: bytes, rows: Sequence[bytes], fields: Fields, shown: str, delimiter: str, quoted: bool
) -> Layout:
    try:
        text = header.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("the header is not UTF-8; convert the file with iconv", shown, 1) from error
    try:
        names = tuple(extract.csv_cells(text, delimiter, quoted))
    except extract.BadRecordError as error:
        raise InputError(f"the header is {error}", shown, 1) from error
    asked = fields.text or fields.on
    if _is_a_record(names) and (asked is None or not set(views.parse(asked).fields) <= set(names)):
        told = views.listed(names)
        raise InputError(
            f"the first row ({told}) looks like a record; it must name the columns. Put such a row in front, "
            "for example: text,label",
            shown,
            1,
        )
    layout = layout_for(fields, _csv_sample(names, rows, delimiter, quoted), shown)
    layout = replace(layout, known=frozenset(names), header=names, delimiter=delimiter, quoted=quoted)
    for name in [*layout.needed, *layout.numbers]:
        if names.count(name) != 1:
            told = "twice" if name in names else "not"
            raise InputError(f"the field {name!r} is {told} in the header ({views.listed(names)})", shown, 1)
    return layout


def _csv_sample(names: Sequence[str], rows: Sequence[bytes], delimiter: str, quoted: bool) -> dict[str, Any]:
    """For each column '' or, where all these rows hold one or nothing, a number."""
    cells = []
    for row in rows:
        with contextlib.suppress(extract.BadRecordError, UnicodeDecodeError):
            cells.append(extract.csv_cells(row.decode("utf-8").rstrip("\r\n"), delimiter, quoted))
    columns = {name: [c[i].strip() for c in cells if i < len(c)] for i, name in enumerate(names)}
    return {name: 0.0 if _all_numbers([v for v in values if v]) else "" for name, values in columns.items()}


def _is_a_record(names: Sequence[str]) -> bool:
    """Whether these are no names of columns, by their looks: none is usual, and one is a number or a sentence."""
    if any(name in views.USUAL for name in names):
        return False
    return any(
        (name.strip() and _all_numbers([name])) or len(name) > 80 or name.rstrip().endswith((".", "!", "?", "。"))
        for name in names
    )


def _all_numbers(values: Sequence[str]) -> bool:
    try:
        return bool([float(value) for value in values])
    except ValueError:
        return False

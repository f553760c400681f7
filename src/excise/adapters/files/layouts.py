"""Layouts: which fields a source has, which make its text, and its records block by block."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from excise.adapters.files import containers, extract, spans, views
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
    """

    text: str | None = None
    on: str | None = None
    id: str | None = None
    label: str | None = None

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
        layout = Layout(_LINE, known=frozenset(_LINE.fields))
        for block in spans.lines(chunks, one.shown):
            yield block, extract.from_lines(block, layout), layout
    elif one.format in {"csv", "tsv"}:
        yield from _csv(one, fields, chunks)
    else:
        found = spans.lines(chunks, one.shown) if one.format == "jsonl" else spans.elements(chunks, one.shown)
        layout = None
        for block in found:
            layout = layout or _json_layout(block, fields, one.shown)
            if layout is not None:
                yield block, extract.from_json(block, layout), layout


def _json_layout(block: Block, fields: Fields, shown: str) -> Layout | None:
    """Fields and their types from the first records; None where the block holds none."""
    sample: dict[str, Any] = {}
    for index in range(min(_SAMPLE, len(block.starts))):
        try:
            record = json.loads(block.record(index))
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            sample.update({k: v for k, v in record.items() if sample.get(k) is None})
    if not len(block.starts):
        return None
    layout = Layout(view_for(fields, list(sample) or ["text"], shown), fields.id, fields.label)
    types = {name: views.column_type(sample.get(name)) for name in layout.needed}
    return replace(layout, types=types, known=frozenset(sample))


def view_for(fields: Fields, names: Sequence[str], shown: str) -> views.View:
    """The view the user asked for, or the one that suits these fields."""
    if fields.on is not None:
        return views.View(fields.on, (fields.on,), ("", ""))
    return views.parse(fields.text) if fields.text is not None else views.detect(names, shown)


def _csv(one: Input, fields: Fields, chunks: Iterator[bytes]) -> Iterator[tuple[Block, Columns, Layout]]:
    head, chunks = containers.with_head(chunks)
    delimiter = "\t" if one.format == "tsv" else _delimiter(head)
    quoted = delimiter != "\t" or spans.quotes_are_marks(head, delimiter)
    layout = None
    for block in spans.rows(chunks, delimiter, quoted, one.shown):
        if layout is None:
            if not len(block.starts):
                continue
            layout = _csv_layout(block.record(0), fields, one.shown, delimiter, quoted)
            body = block.without_first()
        else:
            body = block
        yield body, extract.from_csv(body, layout), layout


def _delimiter(head: bytes) -> str:
    """A comma, unless the header has none and has tabs or semicolons."""
    header = head.partition(b"\n")[0]
    return "," if b"," in header else next((d for d in "\t;" if d.encode() in header), ",")


def _csv_layout(header: bytes, fields: Fields, shown: str, delimiter: str, quoted: bool) -> Layout:
    try:
        text = header.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("the header is not UTF-8; convert the file with iconv", shown, 1) from error
    try:
        names = tuple(extract.csv_cells(text, delimiter, quoted))
    except extract.BadRecordError as error:
        raise InputError(f"the header is {error}", shown, 1) from error
    view = view_for(fields, names, shown)
    layout = Layout(view, fields.id, fields.label, {}, frozenset(names), names, delimiter, quoted)
    for name in layout.needed:
        if names.count(name) != 1:
            told = "twice" if name in names else "not"
            raise InputError(f"the field {name!r} is {told} in the header ({views.listed(names)})", shown, 1)
    return layout

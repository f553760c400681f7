"""Rewrite: the byte cuts that change fields of one record and leave every other byte of it as it is."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from excise.adapters.files import extract, field_scan, views
from excise.adapters.files.changes import Inside, Piece, applied, pieces
from excise.adapters.files.extract import Layout
from excise.adapters.files.field_scan import DOUBLED, ESCAPED, PLAIN

#: A value that is written anew as a whole: a number, or a cell with odd quotes.
WHOLE = -1

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_HIGH, _LOW = re.compile(rb"(?<!\\)\\u[dD][89abAB]..$"), re.compile(rb"\\u[dD][c-fC-F]")


class RecordCut(NamedTuple):
    """Bytes at `start` of a record become `replacement`, for `finder` (several, with commas, where inseparable)."""

    start: int
    original: bytes
    replacement: bytes
    finder: str


class CannotEditError(Exception):
    """A record whose field cannot be changed, with the reason."""


class Spot(NamedTuple):
    """Where a field's text stands in a record.

    Attributes:
        start: First byte; of a quoted text behind its quote.
        stop: One past the last.
        mode: How code points are written there: PLAIN, ESCAPED, DOUBLED, or WHOLE.
        text: The text, where the mode is WHOLE.
    """

    start: int
    stop: int
    mode: int
    text: str = ""


@dataclass(frozen=True)
class Form:
    """How the records of a format are written.

    Attributes:
        spot: (record, layout, field) to where the field's text stands; None where the record lacks it.
        spelled: (new text, old spot, record, layout) to the bytes of a value written anew.
        escaped: (text, mode, whether the record is all ASCII) to the bytes that stand for it inside a value.
        fitting: (value, layout) to the value as far as the format can hold it.
        added: (record, field, text) to where a field that the record lacks is put, and the bytes.
    """

    spot: Callable[[bytes, Layout, str], Spot | None]
    spelled: Callable[[str, Spot, bytes, Layout], bytes]
    escaped: Callable[[str, int, bool], bytes]
    fitting: Callable[[str, Layout], str]
    added: Callable[[bytes, str, str], tuple[int, bytes]]


def rewritten(raw: bytes, inside: Inside, layout: Layout, form: Form) -> tuple[list[RecordCut], list[Piece]]:
    """The cuts that change one record, and what they do to its text view.

    Args:
        raw: The record's bytes.
        inside: What is changed.
        layout: Of the source.
        form: Of its format.

    Raises:
        CannotEditError: A field holds something whose text cannot be changed in place.
    """
    view = layout.view
    fitting = [edit._replace(value=form.fitting(edit.value, layout)) for edit in inside.text]
    spots = [form.spot(raw, layout, name) for name in view.fields] if fitting else []
    if len(spots) == 1 and spots[0] is not None and view.pieces == ("", ""):
        lengths = [max(edit.stop for edit in fitting)]  # it is the whole view, and what is asked for lies in it
    else:
        lengths = [_length(raw, spot) for spot in spots]
    found = pieces(view, lengths, fitting)
    if inside.label is not None:  # a label that is in the view as well is written anew as a whole
        found = [piece for piece in found if view.fields[piece.place] != layout.label]
    cuts: list[RecordCut] = []
    for name in dict.fromkeys(view.fields[piece.place] for piece in found):
        places = [place for place, field in enumerate(view.fields) if field == name]
        mine = sorted((p for p in found if p.place in places), key=lambda p: (p.start, p.stop))
        cuts += _in_field(raw, spots[places[0]], mine, layout, form)
    if inside.label is not None and layout.label is not None:
        cuts.append(_relabelled(raw, inside.label, layout, form))
    return sorted(cuts, key=lambda cut: cut.start), found


def _length(raw: bytes, spot: Spot | None) -> int:
    if spot is None:
        return 0
    if spot.mode == WHOLE:
        return len(spot.text)
    none = np.zeros(0, np.int64)
    return int(field_scan.places(np.frombuffer(raw, np.uint8), spot.start, spot.stop, spot.mode, none, none))


def _in_field(raw: bytes, spot: Spot | None, found: Sequence[Piece], layout: Layout, form: Form) -> Iterable[RecordCut]:
    if spot is None:
        raise AssertionError("a field without text has no pieces")
    if spot.mode == WHOLE:
        return [_anew(raw, spot, spot.text, found, layout, form)]
    wanted = np.array([side for piece in found for side in (piece.start, piece.stop)], np.int64)
    ends = np.empty_like(wanted)
    field_scan.places(np.frombuffer(raw, np.uint8), spot.start, spot.stop, spot.mode, wanted, ends)
    plain = raw.isascii()  # once: a long record may have many edits
    cuts, at = [], 0
    for piece, first, last in zip(found, ends[::2].tolist(), ends[1::2].tolist(), strict=True):
        start = max(at, first)
        joins = spot.mode == ESCAPED and not piece.value and _halves_meet(raw, start, last)
        stop = last + 6 if joins else last
        if start < stop:
            cuts.append(RecordCut(start, raw[start:stop], form.escaped(piece.value, spot.mode, plain), piece.finder))
            at = stop
    if spot.mode == PLAIN:
        text = raw[spot.start : spot.stop].decode()
        new = applied(text, [(p.start, p.stop, p.value) for p in found])
        if form.spelled(new, spot, raw, layout) != new.encode():  # now it needs quotes
            return [_anew(raw, spot, text, found, layout, form)]
    return cuts


def _halves_meet(raw: bytes, start: int, stop: int) -> bool:
    """Whether without the bytes between two lone surrogates would become one character."""
    return _HIGH.search(raw[max(0, start - 7) : start]) is not None and _LOW.match(raw, stop) is not None


def _anew(raw: bytes, spot: Spot, text: str, found: Sequence[Piece], layout: Layout, form: Form) -> RecordCut:
    new = applied(text, [(p.start, p.stop, p.value) for p in found])
    finders = ",".join(dict.fromkeys(p.finder for p in found))
    return RecordCut(spot.start, raw[spot.start : spot.stop], form.spelled(new, spot, raw, layout), finders)


def _relabelled(raw: bytes, label: tuple[str, str], layout: Layout, form: Form) -> RecordCut:
    field, value = str(layout.label), form.fitting(label[0], layout)
    spot = form.spot(raw, layout, field)
    if spot is None:
        at, more = form.added(raw, field, value)
        return RecordCut(at, b"", more, label[1])
    if spot.mode in {ESCAPED, DOUBLED}:
        old, new = raw[spot.start : spot.stop], form.escaped(value, spot.mode, raw.isascii())
    else:
        old, new = raw[spot.start : spot.stop], form.spelled(value, spot, raw, layout)
    return RecordCut(spot.start, old, new, label[1])


def _in_object(raw: bytes, layout: Layout, name: str) -> Spot | None:
    """The text of a JSON object's field."""
    span = json_span(raw, name)
    if span is None:
        return None
    start, stop = span
    if raw[start : start + 1] == b'"':
        return Spot(start + 1, stop - 1, ESCAPED)
    value = json.loads(raw[start:stop], parse_int=str, parse_float=str)
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        raise CannotEditError(f"the field {name!r} holds {kind}, whose text cannot be changed in place")
    return Spot(start, stop, WHOLE, views.spelled(value))


def json_span(raw: bytes, name: str) -> tuple[int, int] | None:
    """First byte and one past the last of a field's value in a JSON object; None where it lacks the field.

    Args:
        raw: The object.
        name: A field, or fields of objects within one another with dots between.
    """
    data = np.frombuffer(raw, np.uint8)
    begin = len(raw) - len(raw.lstrip(b" \t\r\n"))
    found = _member(data, raw, (begin, len(raw)), name)
    if found is not None or "." not in name:
        return found
    span: tuple[int, int] | None = (begin, len(raw))
    for part in name.split("."):
        span = None if span is None else _member(data, raw, span, part)
    return span


def _member(data: np.ndarray, raw: bytes, span: tuple[int, int], name: str) -> tuple[int, int] | None:
    """A member of the object at this span; of several with one name the last, as readers have it."""
    if raw[span[0] : span[0] + 1] != b"{":
        return None
    key, found, at = name.encode(), None, span[0] + 1
    while True:
        first, last, start, stop, at = field_scan.member(data, at, span[1])
        if first < 0:
            return found
        written = raw[first:last]
        if written == key or (b"\\" in written and json.loads(b'"' + written + b'"') == name):
            found = (start, stop)


def _json_value(text: str, spot: Spot, raw: bytes, layout: Layout) -> bytes:
    """A value that was no string: a number or a truth value stays one where the new text is one."""
    if _NUMBER.fullmatch(text) or (text in {"true", "false"} and raw[spot.start : spot.start + 1] in {b"t", b"f"}):
        return text.encode()
    return b'"' + _json_escaped(text, ESCAPED, raw.isascii()) + b'"'


def _json_escaped(text: str, mode: int, ascii_only: bool) -> bytes:
    """As json writes it; in a record that is all ASCII the rest is escaped as well."""
    return _dumped(text, ascii_only)[1:-1]


@functools.lru_cache(maxsize=1024)
def _dumped(text: str, ascii_only: bool) -> bytes:
    """A JSON string; few masks come often."""
    return json.dumps(text, ensure_ascii=ascii_only).encode()


def _json_added(raw: bytes, field: str, text: str) -> tuple[int, bytes]:
    if "." in field:
        raise CannotEditError(f"the record has no field {field!r}, and where it would go cannot be told")
    at = len(raw.rstrip()) - 1
    comma = b"" if raw[:at].rstrip().endswith(b"{") else b", "
    value = _json_value(text, Spot(0, 0, WHOLE), raw, Layout(views.View("", (), ("",))))
    return at, comma + _dumped(field, raw.isascii()) + b": " + value


def _in_row(raw: bytes, layout: Layout, name: str) -> Spot:
    """The text of a csv row's cell."""
    body = _without_end(raw)
    data = np.frombuffer(body, np.uint8)
    place = layout.header.index(name)
    start, stop, form = field_scan.cell(data, ord(layout.delimiter), layout.quoted, place)
    if form == field_scan.ENCLOSED:
        return Spot(start + 1, stop - 1, DOUBLED)
    if form == field_scan.BARE:
        return Spot(start, stop, PLAIN)
    return Spot(start, stop, WHOLE, extract.csv_cells(body.decode(), layout.delimiter, layout.quoted)[place])


def _without_end(raw: bytes) -> bytes:
    body = raw.removesuffix(b"\n")
    return body.removesuffix(b"\r")


def _cell_anew(text: str, spot: Spot, raw: bytes, layout: Layout) -> bytes:
    """A cell in quotes where it needs them."""
    special = text.startswith('"') or any(c in text for c in (layout.delimiter, "\r", "\n"))
    blank = len(layout.header) == 1 and not text.strip(" \t")  # would be a blank line, which is no record
    if layout.quoted and (special or blank or spot.mode == WHOLE):
        return b'"' + text.replace('"', '""').encode() + b'"'
    return text.encode()


def _cell_escaped(text: str, mode: int, ascii_only: bool) -> bytes:
    return (text.replace('"', '""') if mode == DOUBLED else text).encode()


def _cell_fitting(value: str, layout: Layout) -> str:
    """Without NUL bytes, and in files without quotes without delimiters and line ends."""
    value = value.replace("\0", "")
    if layout.quoted:
        return value
    return re.sub(f"[\r\n{re.escape(layout.delimiter)}]", " ", value)


def _cell_added(raw: bytes, field: str, text: str) -> tuple[int, bytes]:
    raise AssertionError("a csv row has all its cells")


def _in_line(raw: bytes, layout: Layout, name: str) -> Spot:
    return Spot(0, len(raw.rstrip(b"\r\n")), PLAIN)


def _line_anew(text: str, spot: Spot, raw: bytes, layout: Layout) -> bytes:
    return text.encode()


_JSON = Form(_in_object, _json_value, _json_escaped, lambda value, layout: value, _json_added)
_ROWS = Form(_in_row, _cell_anew, _cell_escaped, _cell_fitting, _cell_added)
_LINES = Form(
    _in_line,
    _line_anew,
    lambda text, mode, ascii_only: text.encode(),
    lambda value, layout: re.sub("[\0\r\n]", " ", value),
    _cell_added,
)

#: Formats whose records can be changed in place.
FORMS: dict[str, Form] = {"jsonl": _JSON, "json": _JSON, "csv": _ROWS, "tsv": _ROWS, "txt": _LINES}

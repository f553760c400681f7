"""Views: which field or template makes a record's text, and how field values are spelled as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from excise.errors import SettingError

#: Usual shapes, first match wins: fields of which the first must be there, and those that follow it if they are.
_SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("text", ()),
    ("messages", ()),
    ("conversations", ()),
    ("instruction", ("input", "context", "output", "response", "completion", "answer")),
    ("prompt", ("completion", "response", "chosen", "rejected", "answer")),
    ("chosen", ("rejected",)),
    ("question", ("context", "answer", "response", "solution")),
    ("content", ()),
    ("txt", ()),
    ("caption", ()),
    ("sentence", ()),
    ("document", ()),
)

#: Names that a field with text usually has.
USUAL = frozenset(first for first, _ in _SHAPES)

#: Names of speaker and words in a list of turns.
_TURNS = (("role", "content"), ("from", "value"))


@dataclass(frozen=True)
class View:
    """A text view: fields between literal pieces.

    Attributes:
        name: As given by the user or detected.
        fields: Names of fields, in order.
        pieces: Literal text around them; one more than fields.
    """

    name: str
    fields: tuple[str, ...]
    pieces: tuple[str, ...]


#: What a lookup gives where there is no such field; null is a value.
MISSING = object()


def lookup(record: Mapping[str, Any], name: str) -> Any:
    """A field's value, or MISSING; where no field has the name, its dots lead into objects and lists."""
    if name in record:
        return record[name]
    if "." not in name:
        return MISSING
    value: Any = record
    for part in name.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def found(record: Mapping[str, Any], name: str) -> Any:
    """A field's value, None where it is missing."""
    value = lookup(record, name)
    return None if value is MISSING else value


def reached(table: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    """A column, or what the dots of a name lead to inside one; agrees with `lookup` on objects.

    Raises:
        NotTextError: The dots lead to nothing.
    """
    if name in table.schema.names:
        column = table.column(name)
    else:
        first, *path = name.split(".")
        try:
            column = pc.struct_field(table.column(first), path)
        except (KeyError, pa.ArrowException) as error:
            raise NotTextError(f"nothing at {name!r}") from error
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


#: What a turn does beside speaking.
CALLS = ("tool_calls", "function_call")


class NotTextError(Exception):
    """A value that cannot be spelled as text."""


def parse(spec: str) -> View:
    r"""A view from a field's name, or from a template such as '{instruction}\n{output}'.

    Raises:
        SettingError: A template without fields.
    """
    if "{" not in spec:
        return View(spec, (spec,), ("", ""))
    parts = re.split(r"\{([^{}]+)\}", spec.replace("\\n", "\n").replace("\\t", "\t"))
    if len(parts) == 1:
        raise SettingError(
            f"--text is {spec!r}; a template names fields in braces, such as '{{question}}\\n{{answer}}'"
        )
    return View(spec, tuple(parts[1::2]), tuple(parts[0::2]))


def detect(sample: Mapping[str, Any]) -> View | None:
    """The view of a usual shape, or of the only field; None where no shape fits.

    Args:
        sample: A value of each field.
    """
    for first, others in _SHAPES:
        if first in sample:
            there = [first, *(o for o in others if o in sample)]
            return parse(first) if len(there) == 1 else parse("\\n".join(f"{{{n}}}" for n in there))
    if len(sample) == 1 and isinstance(next(iter(sample.values())), str | None):
        return parse(next(iter(sample)))
    return None


def listed(names: Iterable[str]) -> str:
    """Names of fields for a message: the first few, none longer than a line."""
    short = [name if len(name) <= 40 else name[:37] + "..." for name in names]
    return (", ".join(short[:8]) + (", ..." if len(short) > 8 else "")) if short else "no fields"


def column_type(value: Any) -> pa.DataType | None:
    """Arrow type under which a field like this sample value is read; None where only Python can spell it."""
    if value is None or isinstance(value, str):
        return pa.large_string()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    if isinstance(value, list) and value and isinstance(value[0], dict):
        keys = _turn_keys(value[0])
        if keys is not None and all(isinstance(value[0][k], str) for k in keys):
            return pa.list_(pa.struct([(k, pa.large_string()) for k in keys]))
    return None


def _turn_keys(turn: Mapping[str, Any]) -> tuple[str, str] | None:
    return next((keys for keys in _TURNS if keys[0] in turn and keys[1] in turn), None)


def spelled(value: Any) -> str:
    """A JSON value as text; a list of turns as 'role: words' lines.

    Raises:
        NotTextError: An object, or a list of something else.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return "\n".join(_turn(item) if isinstance(item, dict) else _word(item) for item in value)
    raise NotTextError("an object")


def _word(item: Any) -> str:
    if isinstance(item, str | int | float) and not isinstance(item, bool):
        return str(item)
    raise NotTextError("a list of something else than text")


def _turn(turn: Mapping[str, Any]) -> str:
    keys = _turn_keys(turn)
    if keys is None:
        if isinstance(turn.get("text"), str):  # one part of a turn's words: {"type": "text", "text": ...}
            return str(turn["text"])
        if isinstance(turn.get("type"), str):  # another kind of part: an image, a sound
            return _as_json(turn)
        raise NotTextError("a list of objects without role and content")
    called = [_as_json(_without_ids(turn[name])) for name in CALLS if turn.get(name)]
    return "\n".join([f"{spelled(turn[keys[0]])}: {spelled(turn[keys[1]])}", *called])


def _without_ids(calls: Any) -> Any:
    """What is called, and with what: the ids of calls are drawn at random."""
    if isinstance(calls, list):
        return [_without_ids(call) for call in calls]
    if isinstance(calls, Mapping):
        return {name: value for name, value in calls.items() if name != "id"}
    return calls


def _as_json(value: Any) -> str:
    """An object as text, names sorted, nulls left out: the same whether it was read from JSON or from a table."""

    def whole(one: Any) -> Any:
        if isinstance(one, Mapping):
            return {name: whole(inner) for name, inner in one.items() if inner is not None}
        return [whole(inner) for inner in one] if isinstance(one, list) else one

    return json.dumps(whole(value), ensure_ascii=False, sort_keys=True, default=str)


def spelled_array(array: pa.Array) -> pa.Array:
    """Values of one Arrow column as text, null where the value is null; agrees with `spelled`.

    Raises:
        NotTextError: A nested or binary column that is no list of turns.
    """
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _turns_array(array)
    if pa.types.is_dictionary(kind):
        return spelled_array(array.dictionary_decode())
    if pa.types.is_nested(kind):
        raise NotTextError("an object")
    try:
        return array.cast(pa.large_string())
    except pa.ArrowInvalid as error:
        raise NotTextError(f"no text ({error})") from error


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _turns_array(array: pa.Array) -> pa.Array:
    inner = array.type.value_type
    flat = array.flatten()
    if pa.types.is_struct(inner):
        names = {inner.field(i).name for i in range(inner.num_fields)}
        keys = next((k for k in (*_TURNS, ("text",)) if set(k) <= names), None)
        if names & set(CALLS) or ("type" in names and keys in (None, ("text",)) and names != {"type", "text"}):
            return pa.array(
                [None if turns is None else spelled(turns) for turns in array.to_pylist()], pa.large_string()
            )
        if keys is None:
            raise NotTextError("a list of objects without role and content")
        sides = [pc.fill_null(spelled_array(pc.struct_field(flat, k)), "") for k in keys]
        words = pc.binary_join_element_wise(*sides, pa.scalar(": ", pa.large_string()))
    elif pa.types.is_string(inner) or pa.types.is_large_string(inner) or is_number(inner):
        words = pc.fill_null(flat.cast(pa.large_string()), "")
    else:
        raise NotTextError("a list of something else than text")
    lengths = pc.fill_null(pc.list_value_length(array).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array([0, *lengths.cumsum().tolist()], pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, words)
    joined = pc.binary_join(lists, pa.scalar("\n", pa.large_string()))
    return pc.if_else(array.is_valid(), joined, pa.scalar(None, pa.large_string()))


def filled(view: View, columns: Mapping[str, pa.Array]) -> pa.Array:
    """The view of many records: large_string, '' for a null."""
    if len(view.fields) == 1 and view.pieces == ("", ""):
        return pc.fill_null(columns[view.fields[0]], "")
    parts: list[Any] = []
    for piece, name in zip(view.pieces, (*view.fields, None), strict=True):
        if piece:
            parts.append(pa.scalar(piece, pa.large_string()))
        if name is not None:
            parts.append(pc.fill_null(columns[name], ""))
    return pc.binary_join_element_wise(*parts, pa.scalar("", pa.large_string()))


def filled_one(view: View, record: Mapping[str, Any]) -> str:
    """The view of one record; agrees with `filled`.

    Raises:
        NotTextError: A field's value is no text; says which.
    """
    words = []
    for name in view.fields:
        try:
            words.append(spelled(found(record, name)))
        except NotTextError as error:
            raise NotTextError(f"the field {name!r} holds {error}") from error
    return view.pieces[0] + "".join(w + p for w, p in zip(words, view.pieces[1:], strict=True))

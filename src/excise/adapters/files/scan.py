"""Scan: the two state machines over bytes, compiled: csv rows and the elements of a JSON array.

Each works on one piece of a file and is called again with what it did not use up.
"""

from __future__ import annotations

from typing import Any

from numba import types

from excise.data.compiled import kernel

_QUOTE, _COMMA, _BACKSLASH, _NEWLINE, _RETURN, _SPACE, _TAB = 34, 44, 92, 10, 13, 32, 9
_OPEN, _CLOSE, _OPEN_OBJECT, _CLOSE_OBJECT = 91, 93, 123, 125

#: Phases of a JSON array: before its '[', inside, behind its ']'.
BEFORE, INSIDE, BEHIND = 0, 1, 2

#: What `element_spans` can find wrong.
NOT_AN_ARRAY, NO_ELEMENT, NOT_CLOSED, MORE_BEHIND = 1, 2, 3, 4

#: States of a csv field.
_FIELD_START, _BARE, _QUOTED, _QUOTE_IN_QUOTED = 0, 1, 2, 3

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_INTS = types.int64[::1]


@kernel(
    types.Tuple((types.int64, types.boolean, types.boolean))(_BYTES, types.int64, types.int64, types.boolean, _INTS)
)
def row_stops(data: Any, begin: int, delimiter: int, quoted: bool, stops: Any) -> Any:
    """Ends of csv rows.

    Args:
        data: uint8 [bytes].
        begin: First byte to look at; a row begins there.
        delimiter: Byte between fields.
        quoted: Whether quotes enclose fields.
        stops: int64 [line ends in data], filled: one past each row's line end.

    Returns:
        Rows ended, whether the data end inside quotes, whether text followed a closing quote (then quotes are
        probably just characters in this file).
    """
    state, count, odd = _FIELD_START, 0, False
    for i in range(begin, len(data)):
        byte = data[i]
        if state == _QUOTED:
            if byte == _QUOTE:
                state = _QUOTE_IN_QUOTED
        elif byte == _NEWLINE:
            stops[count] = i + 1
            count += 1
            state = _FIELD_START
        elif byte == delimiter:
            state = _FIELD_START
        elif byte == _QUOTE and ((quoted and state == _FIELD_START) or state == _QUOTE_IN_QUOTED):
            state = _QUOTED
        elif byte != _RETURN:
            odd = odd or state == _QUOTE_IN_QUOTED
            state = _BARE
        elif state == _QUOTE_IN_QUOTED:
            state = _BARE
    return count, state == _QUOTED, odd


@kernel(
    types.Tuple((types.int64, types.int64, types.int64, types.int64))(_BYTES, types.int64, _INTS, _INTS, _INTS, _INTS)
)
def element_spans(  # noqa: C901, PLR0912 - one state machine
    data: Any, begin: int, state: Any, starts: Any, stops: Any, commas: Any
) -> Any:
    """Spans of the elements of a JSON array.

    Args:
        data: uint8 [bytes].
        begin: First byte to look at; between two elements, or before the array.
        state: int64 [2], carried from piece to piece: phase; 1 where an element must follow (behind a comma).
        starts: int64 [commas + 2], filled: first byte of each element.
        stops: Likewise: one past its last byte.
        commas: Likewise: place of the comma (or closing bracket) behind it.

    Returns:
        Elements, bytes used up, fault (0 if none), its place.
    """
    count, used, depth = 0, begin, 1
    start, last = -1, -1
    i, end = begin, len(data)
    while i < end:
        byte = data[i]
        if byte in (_SPACE, _NEWLINE, _RETURN, _TAB):
            i += 1
            continue
        if state[0] == BEFORE:
            if byte != _OPEN:
                return count, used, NOT_AN_ARRAY, i
            state[0] = INSIDE
            used = i + 1
        elif state[0] == BEHIND:
            return count, used, MORE_BEHIND, i
        elif depth == 1 and byte in (_COMMA, _CLOSE):
            if start < 0 and (byte == _COMMA or state[1] == 1):
                return count, used, NO_ELEMENT, i
            if start >= 0:
                starts[count], stops[count], commas[count] = start, last, i
                count += 1
            start = -1
            used = i + 1
            state[1] = 1 if byte == _COMMA else 0
            if byte == _CLOSE:
                state[0] = BEHIND
        else:
            if start < 0:
                start = i
            if byte == _QUOTE:
                i += 1
                while i < end and data[i] != _QUOTE:
                    i += 2 if data[i] == _BACKSLASH else 1
            elif byte in (_OPEN, _OPEN_OBJECT):
                depth += 1
            elif byte in (_CLOSE, _CLOSE_OBJECT):
                depth -= 1
                if depth == 0:
                    return count, used, NOT_CLOSED, i
            last = i + 1
        i += 1
    return count, used, 0, 0

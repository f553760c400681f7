"""Field scan: where a value lies inside one record and which bytes its code points are, compiled.

What is found here is what the readers of Python and Arrow make of the same bytes: an escape is one code point, a pair
of surrogate escapes is one, and a lone surrogate, which a text view spells out, is the six characters of its escape.
"""

from __future__ import annotations

from typing import Any

from numba import types

from excise.data.compiled import kernel

_QUOTE, _COMMA, _BACKSLASH, _COLON, _U = 34, 44, 92, 58, 117
_NEWLINE, _RETURN, _SPACE, _TAB = 10, 13, 32, 9
_OPEN, _CLOSE, _OPEN_OBJECT, _CLOSE_OBJECT = 91, 93, 123, 125

#: How a text's code points are written in its bytes: as they are, with JSON's escapes, with quotes doubled.
PLAIN, ESCAPED, DOUBLED = 0, 1, 2

#: Cells of a csv row: without quotes, in quotes, and in quotes with something behind them.
BARE, ENCLOSED, ODD = 0, 1, 2

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_INTS = types.int64[::1]
_FIVE = types.Tuple((types.int64, types.int64, types.int64, types.int64, types.int64))


@kernel(_FIVE(_BYTES, types.int64, types.int64))
def member(data: Any, at: int, stop: int) -> Any:  # noqa: C901 - one state machine
    """The next member of a JSON object that is known to be well formed.

    Args:
        data: uint8 [bytes].
        at: Behind the object's '{' or behind a member.
        stop: One past the object's last byte.

    Returns:
        Key (without quotes) from, to; value from, to; where to go on. The first is -1 where there is no more.
    """
    i = at
    while i < stop and data[i] in (_SPACE, _NEWLINE, _RETURN, _TAB, _COMMA):
        i += 1
    if i >= stop or data[i] != _QUOTE:
        return -1, i, i, i, i
    key = i + 1
    i += 1
    while i < stop and data[i] != _QUOTE:
        i += 2 if data[i] == _BACKSLASH else 1
    key_stop = i
    i += 1
    while i < stop and data[i] in (_SPACE, _NEWLINE, _RETURN, _TAB, _COLON):
        i += 1
    value, last, depth = i, i, 0
    while i < stop:
        byte = data[i]
        if depth == 0 and byte in (_COMMA, _CLOSE_OBJECT):
            break
        if byte == _QUOTE:
            i += 1
            while i < stop and data[i] != _QUOTE:
                i += 2 if data[i] == _BACKSLASH else 1
        elif byte in (_OPEN, _OPEN_OBJECT):
            depth += 1
        elif byte in (_CLOSE, _CLOSE_OBJECT):
            depth -= 1
        i += 1
        if byte not in (_SPACE, _NEWLINE, _RETURN, _TAB):
            last = i
    return key, key_stop, value, last, i


@kernel(types.Tuple((types.int64, types.int64, types.int64))(_BYTES, types.int64, types.boolean, types.int64))
def cell(data: Any, delimiter: int, quoted: bool, index: int) -> Any:
    """One cell of a csv row.

    Args:
        data: uint8 [bytes]: the row without its line end.
        delimiter: Byte between cells.
        quoted: Whether quotes enclose cells.
        index: Which cell.

    Returns:
        From, to (quotes included), and BARE, ENCLOSED or ODD.
    """
    i, end = 0, len(data)
    while True:
        start, form = i, BARE
        if quoted and i < end and data[i] == _QUOTE:
            form = ENCLOSED
            inside = True
            i += 1
            while i < end and (inside or data[i] != delimiter):
                if data[i] == _QUOTE:
                    inside = not inside
                elif not inside:
                    form = ODD
                i += 1
            if inside:
                form = ODD
        else:
            while i < end and data[i] != delimiter:
                i += 1
        if index == 0:
            return start, i, form
        if i >= end:
            return -1, -1, form
        index -= 1
        i += 1


@kernel(types.int64(_BYTES, types.int64, types.int64))
def _hex4(data: Any, at: int, stop: int) -> int:
    """The number behind a JSON escape's 'u', or -1 where there is none."""
    if at + 6 > stop or data[at] != _BACKSLASH or data[at + 1] != _U:
        return -1
    number = 0
    for i in range(at + 2, at + 6):
        byte = data[i]
        number = number * 16 + (byte - 48 if byte < 58 else (byte | 32) - 87)
    return number


@kernel(types.int64(_BYTES, types.int64, types.int64, types.int64, _INTS, _INTS))
def places(  # noqa: C901, PLR0912 - one state machine
    data: Any, start: int, stop: int, mode: int, wanted: Any, found: Any
) -> int:
    """Bytes at which code points of a text begin.

    Args:
        data: uint8 [bytes].
        start: First byte of the text.
        stop: One past its last byte.
        mode: PLAIN, ESCAPED or DOUBLED.
        wanted: int64 [2 n], ascending: code points, of n spans in turn the first and one past the last.
        found: int64 [2 n], filled: where they begin; inside a lone surrogate the span takes all of it.

    Returns:
        Code points in the text.
    """
    i, seen, k = start, 0, 0
    while i < stop:
        byte = data[i]
        size, points = 1, 1
        if mode == ESCAPED and byte == _BACKSLASH:
            size = 2
            code = _hex4(data, i, stop)
            if code >= 0:
                size = 6
            if 0xD800 <= code < 0xE000:
                low = _hex4(data, i + 6, stop) if code < 0xDC00 else -1
                if 0xDC00 <= low < 0xE000:
                    size = 12
                else:
                    points = 6
        elif mode == DOUBLED and byte == _QUOTE:
            size = 2
        elif byte >= 0xF0:
            size = 4
        elif byte >= 0xE0:
            size = 3
        elif byte >= 0xC0:
            size = 2
        while k < len(wanted):
            point = wanted[k]
            if (k % 2 == 0 and point < seen + points) or point <= seen:
                found[k] = i
            elif k % 2 == 1 and point < seen + points:
                found[k] = i + size
            else:
                break
            k += 1
        i += size
        seen += points
    while k < len(wanted):
        found[k] = stop
        k += 1
    return seen

"""Samples: tar files in which members of one name and different endings are one record, as WebDataset has them.

A sample is a run of whole 512-byte blocks, so it is cut out like a line of text: what is left is a tar file again. Of
its members, those that hold text ('txt', 'cls', 'caption.txt', …) are fields under their ending, a member with a JSON
object gives the object's fields, and `__key__` is the name; pictures and sound are not looked into.
Source: POSIX ustar and pax headers; GNU long names; the WebDataset format's naming rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from excise.adapters.files.extract import BadRecordError, Columns, Layout, decode, one_by_one
from excise.adapters.files.features import Written
from excise.adapters.files.spans import Block, Int64s, Misplaced, blocks

_BLOCK = 512
_FILES, _LONG_NAME, _PAX = {b"0", b"\0", b"7"}, b"L", b"x"

#: Endings of members that hold text.
_TEXTS = {"txt", "text", "cls", "cap", "caption", "transcript", "md", "label", "id"}

KEY = "__key__"


class _Member(NamedTuple):
    """One member: its name ('' for what is no file), where its content lies, and where the next one begins."""

    name: str
    start: int
    stop: int
    next: int


def spans(chunks: Iterable[bytes], shown: str) -> Iterator[Block]:
    """One record a sample.

    Raises:
        InputError: Not a tar file, or one that is cut short.
    """

    def find(data: bytes, begin: int, final: bool) -> tuple[bytes, Int64s, Int64s, int]:
        starts: list[int] = []
        stops: list[int] = []
        first, key, at = begin, None, begin
        while (member := _member(data, at, final)) is not None:
            mine = _split(member.name)[0] if member.name else None
            if key is not None and mine != key:
                starts.append(first)
                stops.append(at)
            if mine != key:
                first, key = at, mine
            at = member.next
        ended = data[at : at + _BLOCK] == bytes(_BLOCK) or (final and at == len(data))
        if key is not None and ended:
            starts.append(first)
            stops.append(at)
            first = at
        if final and not ended:
            raise Misplaced("the tar file is cut short", at)
        return data, np.array(starts, np.int64), np.array(stops, np.int64), len(data) if ended and final else first

    return blocks(chunks, find, shown)


def from_samples(block: Block, layout: Layout) -> Columns:
    """Columns of samples."""
    return one_by_one(block, layout, lambda data, layout: record(data))


def record(data: bytes) -> dict[str, Any]:
    """The fields of one sample."""
    found: dict[str, Any] = {}
    at = 0
    while (member := _member(data, at, True)) is not None:
        at = member.next
        if not member.name:
            continue
        key, ending = _split(member.name)
        found[KEY] = key
        content = data[member.start : member.stop]
        kind = ending.rpartition(".")[2].lower()
        if kind in _TEXTS:
            found[ending] = decode(content)
        elif kind == "json":
            try:
                value = json.loads(decode(content), parse_int=Written, parse_float=Written)
            except (json.JSONDecodeError, RecursionError) as error:
                raise BadRecordError(f"{member.name} is not JSON: {error}") from error
            found |= value if isinstance(value, dict) else {ending: value}
    return found


def _split(name: str) -> tuple[str, str]:
    """Key and ending: they part at the first dot behind the folders."""
    folder, slash, last = name.rpartition("/")
    key, _, ending = last.partition(".")
    return folder + slash + key, ending


def _member(data: bytes, at: int, final: bool) -> _Member | None:
    """The member at this byte; None where the archive ends, or where more has to be read first."""
    long = ""
    while True:
        header = data[at : at + _BLOCK]
        if len(header) < _BLOCK or header == bytes(_BLOCK):
            return None
        if _sum(header) != _number(header[148:156], at):
            raise Misplaced("this is no header of a tar file", at)
        size = _number(header[124:136], at)
        start, kind = at + _BLOCK, header[156:157]
        after = start + -(-size // _BLOCK) * _BLOCK
        if after > len(data):
            if final:
                raise Misplaced("the tar file is cut short", at)
            return None
        if kind == _LONG_NAME:
            long = data[start : start + size].rstrip(b"\0").decode("utf-8", "replace")
        elif kind == _PAX:
            long = _pax_path(data[start : start + size]) or long
        elif kind in _FILES:
            prefix = (
                header[345:500].rstrip(b"\0")
                if header[257:262] == b"ustar" and header[257:265] != b"ustar  \0"
                else b""
            )
            short = header[:100].partition(b"\0")[0]
            name = long or (prefix + b"/" + short if prefix else short).decode("utf-8", "replace")
            return _Member(name, start, start + size, after)
        else:
            return _Member("", start, start, after)
        at = after


def _sum(header: bytes) -> int:
    """The header's checksum, for which its own field counts as blanks."""
    return sum(header) - sum(header[148:156]) + 8 * 32


def _number(field: bytes, at: int) -> int:
    """An octal number, or a binary one where its first bit says so."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise Misplaced("this is no header of a tar file", at) from None


def _pax_path(content: bytes) -> str:
    """The path out of a pax header: lines of 'length key=value'."""
    found = ""
    while content:
        length = int(content.partition(b" ")[0])
        key, _, value = content[:length].partition(b" ")[2].partition(b"=")
        if key == b"path":
            found = value.rstrip(b"\n").decode("utf-8", "replace")
        content = content[length:]
    return found

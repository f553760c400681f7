"""Spans: where each record begins and ends, found by one fast scan over the decoded bytes.

A record's span [start, stop) is what is cut out when the record goes. Lines and csv rows own the line end behind
them; blank lines belong to nobody and stay. Elements of a JSON array own no comma: `write` cuts those properly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from excise.adapters.files import scan
from excise.adapters.files.containers import with_head
from excise.errors import InputError

Int64s = NDArray[np.int64]

_BOM = b"\xef\xbb\xbf"
_NEWLINE, _SPACE = 10, 32


@dataclass(frozen=True)
class Block:
    """Whole records out of a source.

    Attributes:
        data: Decoded bytes that hold them; in a JSON array the commas between them are blanks.
        at: Place of data[0] in the decoded source.
        line: 1-based line of data[0] there.
        starts: int64 [records], relative to data.
        stops: int64 [records], relative to data.
    """

    data: bytes
    at: int
    line: int
    starts: Int64s
    stops: Int64s

    def lines_of(self, indices: Sequence[int]) -> list[int]:
        """1-based lines in the source where these records begin; indices ascend."""
        lines, line, at = [], self.line, 0
        for index in indices:
            start = max(at, int(self.starts[index]))
            line, at = line + self.data.count(b"\n", at, start), start
            lines.append(line)
        return lines

    def record(self, index: int) -> bytes:
        """The bytes of one record."""
        return self.data[int(self.starts[index]) : int(self.stops[index])]

    def without_first(self) -> Block:
        """All records but the first."""
        return Block(self.data, self.at, self.line, self.starts[1:], self.stops[1:])


class Misplaced(Exception):
    """Something wrong at a byte of the data being scanned."""

    def __init__(self, told: str, at: int) -> None:
        self.told, self.at = told, at


#: Scans data[begin:], told whether the source ends there: data for the block, starts, stops, bytes used up.
Scan = Callable[[bytes, int, bool], tuple[bytes, Int64s, Int64s, int]]


def blocks(chunks: Iterable[bytes], find: Scan, shown: str) -> Iterator[Block]:
    """Feeds a scan; what it does not use up comes again with the next chunk."""
    head, pending = with_head(iter(chunks))
    chunk = next(pending, None)
    rest, at, line = b"", 0, 1
    begin = len(_BOM) if head.startswith(_BOM) else 0
    while chunk is not None:
        following = next(pending, None)
        data = rest + chunk if rest else chunk
        try:
            shown_data, starts, stops, used = find(data, begin, following is None)
        except Misplaced as error:
            raise InputError(error.told, shown, line + data.count(b"\n", 0, error.at)) from None
        yield Block(shown_data, at, line, starts, stops)
        line += data.count(b"\n", 0, used)
        at, rest, begin, chunk = at + used, data[used:], max(0, begin - used), following


def lines(chunks: Iterable[bytes], shown: str) -> Iterator[Block]:
    """One record a line that is not blank."""

    def find(data: bytes, begin: int, final: bool) -> tuple[bytes, Int64s, Int64s, int]:
        body = np.frombuffer(data, np.uint8)
        stops = np.flatnonzero(body[begin:] == _NEWLINE) + (begin + 1)
        return (data, *_between(data, begin, stops, final))

    return blocks(chunks, find, shown)


def rows(chunks: Iterable[bytes], delimiter: str, quoted: bool, shown: str) -> Iterator[Block]:
    """One record a csv row; the header is the first of them. A line end inside quotes ends no row.

    Raises:
        InputError: A quote is never closed.
    """

    def find(data: bytes, begin: int, final: bool) -> tuple[bytes, Int64s, Int64s, int]:
        stops = np.empty(data.count(b"\n"), np.int64)
        count, open_, _ = scan.row_stops(np.frombuffer(data, np.uint8), begin, ord(delimiter), quoted, stops)
        if final and open_:
            raise Misplaced(
                "a quote opened in the row that begins here is never closed; close it, or double quotes in text",
                int(stops[count - 1]) if count else begin,
            )
        return (data, *_between(data, begin, stops[:count], final))

    return blocks(chunks, find, shown)


def quotes_are_marks(head: bytes, delimiter: str) -> bool:
    """Whether quotes enclose fields in this beginning of a file, or are just characters in them."""
    stops = np.empty(head.count(b"\n"), np.int64)
    _, _, odd = scan.row_stops(np.frombuffer(head, np.uint8), 0, ord(delimiter), True, stops)
    return not odd


def _between(data: bytes, begin: int, stops: Int64s, final: bool) -> tuple[Int64s, Int64s, int]:
    """Starts and stops of the lines that end at `stops` and are not blank, and the bytes used up."""
    if final and len(data) > begin and (len(stops) == 0 or stops[-1] < len(data)):
        stops = np.append(stops, len(data))
    if len(stops) == 0:
        return stops, stops, 0
    starts = np.empty_like(stops)
    starts[0] = begin
    starts[1:] = stops[:-1]
    used = int(stops[-1])
    doubtful = np.flatnonzero(np.frombuffer(data, np.uint8)[starts] <= _SPACE)  # how a blank line begins
    blank = [i for i in doubtful.tolist() if data[starts[i] : stops[i]].strip(b" \t\r\n") == b""]
    if blank:
        starts, stops = np.delete(starts, blank), np.delete(stops, blank)
    return starts, stops, used


def elements(chunks: Iterable[bytes], shown: str) -> Iterator[Block]:
    """One record an element of the JSON array that the source is.

    Raises:
        InputError: The array is not closed, or something stands before, between or behind its elements.
    """
    state = np.zeros(2, np.int64)

    def find(data: bytes, begin: int, final: bool) -> tuple[bytes, Int64s, Int64s, int]:
        body = np.frombuffer(data, np.uint8)
        spans = np.empty((3, data.count(b",") + 2), np.int64)
        count, used, fault, at = scan.element_spans(body, begin, state, spans[0], spans[1], spans[2])
        if fault:
            raise Misplaced(_ARRAY_FAULTS[fault], at)
        if final and state[0] != scan.BEHIND:
            raise Misplaced("the JSON array is never closed; the file may be cut short", len(data))
        blanked = body.copy()
        blanked[spans[2, :count]] = _SPACE
        return blanked.tobytes(), spans[0, :count].copy(), spans[1, :count].copy(), used

    return blocks(chunks, find, shown)


_ARRAY_FAULTS = {
    scan.NOT_AN_ARRAY: "expected '[' and a list of records, or one JSON object a line",
    scan.NO_ELEMENT: "an element is missing beside a comma",
    scan.NOT_CLOSED: "a bracket is closed that was not opened",
    scan.MORE_BEHIND: "there is more behind the end of the JSON array",
}

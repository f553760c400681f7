"""Changes: what is done to the records of one source — rows that go, and edits inside those that stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.adapters.files.views import View
from excise.ledger import grouped

Int64s = NDArray[np.int64]

#: Actions that take a record out, that change its text view, that change its label. Others touch no record.
_OUT, _TEXT, _LABEL = ("drop", "reject"), ("cut", "mask"), "relabel"

#: One edit a row, by row and start: code points [start, stop) of the text view become `value`; a relabel has no span.
EDITS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("start", pa.int64()),
        pa.field("stop", pa.int64()),
        pa.field("value", pa.string()),
        pa.field("finder", pa.string(), nullable=False),
    ]
)


class Edit(NamedTuple):
    """Code points [start, stop) of a text become `value`, for `finder`."""

    start: int
    stop: int
    value: str
    finder: str


class Inside(NamedTuple):
    """What is changed inside one record.

    Attributes:
        row: Its row.
        text: Edits of the text view, ascending, none overlapping another.
        label: The new label and its finder, or None.
    """

    row: int
    text: list[Edit]
    label: tuple[str, str] | None


@dataclass(frozen=True)
class Changes:
    """What is done to one source.

    Attributes:
        gone: int64, ascending: rows that go.
        finders: string [gone]: by which finder.
        edits: EDITS of rows that stay.
        label: Field with the labels.
    """

    gone: Int64s
    finders: pa.Array
    edits: pa.Table
    label: str | None = None

    @classmethod
    def of(cls, gone: Int64s | Changes) -> Changes:
        """Changes of rows that merely go."""
        if isinstance(gone, Changes):
            return gone
        return cls(gone, pa.repeat(pa.scalar(""), len(gone)), EDITS.empty_table())

    @classmethod
    def none(cls) -> Changes:
        """No changes at all."""
        return cls.of(np.zeros(0, np.int64))

    def __len__(self) -> int:
        """Rows that go or are changed."""
        return len(self.gone) + len(self.changed)

    @property
    def changed(self) -> Int64s:
        """int64, ascending: rows that stay and are changed."""
        return np.unique(self.edits["row"].to_numpy())

    def inside(self) -> Iterator[Inside]:
        """Edits record by record, in order."""
        row, found = -1, list[dict[str, Any]]()
        for batch in self.edits.to_batches(max_chunksize=4096):
            for edit in batch.to_pylist():
                if edit["row"] != row and found:
                    yield _inside(row, found)
                    found = []
                row = edit["row"]
                found.append(edit)
        if found:
            yield _inside(row, found)


def touches(decisions: pa.Table) -> pa.ChunkedArray:
    """Which of DECISIONS take a record out or change it."""
    return pc.is_in(decisions["action"], pa.array([*_OUT, *_TEXT, _LABEL]))


def changes_by_source(decisions: pa.Table, label: str | None = None) -> dict[str, Changes]:
    """What a ledger's decisions do to each source that they are about.

    Args:
        decisions: DECISIONS.
        label: Field with the labels.
    """
    found = grouped(decisions.select(["source", *EDITS.names]))
    return {name: _of_one(rows.select(EDITS.names).combine_chunks(), label) for name, rows in found.items()}


def _of_one(decided: pa.Table, label: str | None) -> Changes:
    out = decided.filter(pc.is_in(decided["action"], pa.array(_OUT)))
    gone, first = np.unique(out["row"].to_numpy(), return_index=True)
    finders = out["finder"].combine_chunks().take(pa.array(first))
    stay = decided.filter(pc.is_in(decided["action"], pa.array([*_TEXT, _LABEL])))
    stay = stay.filter(pc.invert(pc.is_in(stay["row"], pa.array(gone))))
    starts, stops = (pc.fill_null(stay[name], -1).to_numpy() for name in ("start", "stop"))
    order = np.lexsort((stops, starts, stay["row"].to_numpy()))
    return Changes(gone, finders, stay.take(pa.array(order)).cast(EDITS).combine_chunks(), label)


def _inside(row: int, edits: Sequence[dict[str, Any]]) -> Inside:
    """Edits of one record; what an earlier edit has taken already is left out of a later one."""
    text: list[Edit] = []
    label = None
    at = 0
    for edit in edits:
        value, finder = edit["value"] or "", edit["finder"]
        if edit["action"] == _LABEL:
            label = label or (value, finder)
            continue
        start, stop = max(at, edit["start"]), edit["stop"]
        if start < stop:
            text.append(Edit(start, stop, value if edit["action"] == "mask" else "", finder))
            at = stop
    return Inside(row, text, label)


class Piece(NamedTuple):
    """The part of an edit that lies in one field of a view.

    Attributes:
        place: Which field of the view.
        start: Code points of the field.
        stop: One past the last of them.
        at: Where `start` lies in the text view.
        value: What they become.
        finder: For whom.
    """

    place: int
    start: int
    stop: int
    at: int
    value: str
    finder: str


def pieces(view: View, lengths: Sequence[int], edits: Sequence[Edit]) -> list[Piece]:
    """Edits of a text view as edits of its fields; what lies in the template's own characters is in no file.

    Args:
        view: The view.
        lengths: Code points of each field's text.
        edits: Ascending, not overlapping.

    Returns:
        By place in the view. Where an edit spans fields, the first takes its value and the others are cut.
    """
    found: list[Piece] = []
    used: set[int] = set()  # edits whose value has found its place
    at = 0
    for place, length in enumerate(lengths):
        at += len(view.pieces[place])
        for number, edit in enumerate(edits):
            start, stop = max(edit.start - at, 0), min(edit.stop - at, length)
            if start < stop:
                found.append(Piece(place, start, stop, at + start, "" if number in used else edit.value, edit.finder))
                used.add(number)
        at += length
    return found


def applied(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """A text with code points [start, stop) replaced, for edits that ascend and do not overlap."""
    parts, at = [], 0
    for start, stop, value in edits:
        parts += [text[at:start], value]
        at = stop
    return "".join(parts) + text[at:]

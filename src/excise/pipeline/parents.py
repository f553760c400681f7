"""Parents: the records of a source of which copies are made, the copies' texts, and what the ledger says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from excise.adapters.files.read import Reading
from excise.data.augment.draw import LONGEST, Balancing, Drawing, variant
from excise.data.augment.operations import Operation
from excise.ledger import DECISIONS

#: Added records, of each source, that are shown, and how much of each text.
_EXAMPLES, _SHOWN = 4, 2000


@dataclass(frozen=True)
class Copy:
    """One record that is added.

    Attributes:
        id: Its id.
        row: Its row in the augmented source.
        text: What it says.
        operation: What made it.
        number: Which copy of its parent by that operation, from 1.
    """

    id: str
    row: int
    text: str
    operation: Operation
    number: int


@dataclass(frozen=True)
class Parent:
    """A record with the copies that are made of it.

    Attributes:
        id: Its id.
        row: Its row.
        start: Its first byte in the decoded source; -1 in tables.
        stop: One past the last.
        text: What it says.
        copies: At least one.
    """

    id: str
    row: int
    start: int
    stop: int
    text: str
    copies: tuple[Copy, ...]


@dataclass
class Tally:
    """What came of one source so far.

    Attributes:
        added: Records by operation.
        labels: Records added, by class.
        unchanged: Copies given up, for no draw gave a new text.
        too_long: Records left alone for their length.
        examples: Some of the added records, with their parents.
    """

    added: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0
    too_long: int = 0
    examples: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        counts = {"added": dict(self.added), "labels": dict(self.labels), "unchanged": self.unchanged}
        return {**counts, "too_long": self.too_long, "examples": self.examples}


def parents(
    reading: Reading, index: int, drawing: Drawing, balancing: Balancing | None, tally: Tally
) -> Iterator[Parent]:
    """The parents of one source, in order.

    Args:
        reading: The corpus.
        index: Which source.
        drawing: What is drawn.
        balancing: What each class is to get; None for `drawing.copies` of each chosen record.
        tally: Counts what is made.
    """
    name = reading.corpus.sources[index].name
    own_ids = reading.fields.id is not None
    next_row = reading.corpus.sources[index].records + reading.rejects_of(index).num_rows
    for batch in reading.corpus.batches_of(index):
        columns = [batch[column].to_pylist() for column in ("id", "row", "start", "stop", "label")]
        for place, (id_, row, start, stop, label) in enumerate(zip(*columns, strict=True)):
            chosen = list(drawing.chosen(id_) if balancing is None else balancing.chosen(label))
            if not chosen:
                continue
            text = batch["text"][place].as_py()
            if len(text) > LONGEST:
                tally.too_long += 1
                continue
            copies: list[Copy] = []
            seen = {text}
            for operation, number in chosen:
                new = variant(text, id_, operation, number, drawing, seen)
                if new is None:
                    tally.unchanged += 1
                    continue
                seen.add(new)
                copy_id = f"{id_}~{operation.name}{number}" if own_ids else f"{name}#{next_row}"
                copies.append(Copy(copy_id, next_row, new, operation, number))
                next_row += 1
            if copies:
                parent = Parent(id_, row, start, stop, text, tuple(copies))
                _count(tally, parent, label)
                yield parent


def _count(tally: Tally, parent: Parent, label: str | None) -> None:
    tally.added.update(copy.operation.name for copy in parent.copies)
    if label is not None:
        tally.labels[label] += len(parent.copies)
    if len(tally.examples) < _EXAMPLES:
        copy = parent.copies[0]
        tally.examples.append(
            {
                "id": copy.id,
                "partner": parent.id,
                "finder": copy.operation.name,
                "reason": copy.operation.written,
                "text": copy.text[:_SHOWN],
                "partner_text": parent.text[:_SHOWN],
            }
        )


def decisions_of(parent: Parent, source: str, seed: int) -> list[dict[str, Any]]:
    """Rows of DECISIONS about the copies of one record."""
    return [
        {
            "id": copy.id,
            "source": source,
            "row": copy.row,
            "action": "add",
            "finder": copy.operation.name,
            "partner": parent.id,
            "redundancy": 0.0,
            "reason": f"made from {parent.id} by {copy.operation.written}; copy {copy.number}, seed {seed}",
            "by": "",
        }
        for copy in parent.copies
    ]


def decision_table(rows: list[dict[str, Any]]) -> pa.Table:
    """DECISIONS of these rows; what they do not tell is null."""
    return pa.Table.from_pylist(rows, schema=DECISIONS)

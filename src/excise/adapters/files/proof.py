"""Proof: records that were changed are read again, and hold what they should."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from excise.adapters.files import extract
from excise.adapters.files.changes import Inside, Int64s, Piece, applied
from excise.adapters.files.containers import decoded
from excise.adapters.files.extract import Columns, Layout
from excise.adapters.files.find import Input
from excise.adapters.files.layouts import parsed
from excise.adapters.files.read import Reading
from excise.adapters.files.rewrite import RecordCut
from excise.adapters.files.spans import Block
from excise.errors import ArtefactError

#: Bytes of records that are read again at a time.
_BATCH_BYTES = 1 << 22

#: A lone surrogate as a text view spells it; two of them may become one character, or be cut as one.
_LONE = re.compile(r"\\ud[89a-f]")

_READERS: dict[str, Callable[[Block, Layout], Columns]] = {
    "jsonl": extract.from_json,
    "json": extract.from_json,
    "csv": extract.from_csv,
    "tsv": extract.from_csv,
    "txt": extract.from_lines,
}


class Proof:
    """Changed records of one source, gathered to be read again.

    Args:
        reading: The corpus.
        index: Which source.
        changed: int64, ascending: rows that are changed.
    """

    def __init__(self, reading: Reading, index: int, changed: Int64s) -> None:
        source = reading.corpus.sources[index]
        self._source = source
        one = Input(
            source.name,
            Path(source.path),
            source.format,
            source.compression,
            source.size_bytes,
            source.fingerprint,
        )
        found = parsed(one, reading.fields, decoded(one.path, one.compression, one.name))
        self.layout = next(layout for block, _, layout in found if len(block.starts))
        self._before = _views(reading, index, changed)
        self._records: list[bytes] = []
        self._expected: list[tuple[int, str | None, str | None]] = []  # row; text, label, None where it is not compared
        self._held = 0

    def add(self, raw: bytes, cuts: Sequence[RecordCut], pieces: Sequence[Piece], inside: Inside) -> None:
        """One record, its cuts, and what they are to do."""
        row, text, label = next(self._before)
        if row != inside.row:
            raise AssertionError("edits are of readable records")
        fields = self.layout.view.fields
        twice = len(set(fields)) < len(fields) or (inside.label is not None and self.layout.label in fields)
        new = applied(text, [(p.at, p.at + p.stop - p.start, p.value) for p in pieces])
        if self._source.format == "txt":
            new = new.rstrip("\r\n")
        label = label if inside.label is None else inside.label[0]
        record = _cut(raw, cuts)
        self._records.append(record if record.endswith(b"\n") else record + b"\n")
        self._expected.append((row, None if twice or _LONE.search(text) else new, label))
        self._held += len(record)
        if self._held >= _BATCH_BYTES:
            self.check()

    def check(self) -> None:
        """Read what is gathered.

        Raises:
            ArtefactError: A record is not what it should be.
        """
        stops = np.cumsum([len(record) for record in self._records], dtype=np.int64)
        starts = np.append(np.zeros(1, np.int64), stops)[: len(stops)]
        block = Block(b"".join(self._records), 0, 1, starts, stops)
        found = _READERS[self._source.format](block, self.layout)
        texts = found.texts.to_pylist()
        labels: list[str | None] = [None] * len(texts) if found.labels is None else found.labels.to_pylist()
        if found.bad or len(texts) != len(self._expected):
            raise ArtefactError(f"{self._source.name}: a changed record could not be read again")
        for (row, text, label), read, named in zip(self._expected, texts, labels, strict=True):
            if (text is not None and text != read) or (self.layout.label is not None and label != named):
                raise ArtefactError(f"{self._source.name}: record {row}, changed, does not read as it should")
        self._records, self._expected, self._held = [], [], 0


def _views(reading: Reading, index: int, rows: Int64s) -> Iterator[tuple[int, str, str | None]]:
    """(row, text view, label) of some rows of a source."""
    for batch in reading.corpus.batches_of(index):
        here = batch["row"].to_numpy()  # both ascend
        if not len(here):
            continue
        low, high = np.searchsorted(rows, [here[0], here[-1] + 1])
        places = np.searchsorted(here, rows[low:high])
        part = batch.select(["row", "text", "label"]).take(pa.array(places))
        for start in range(0, part.num_rows, 1024):
            for record in part.slice(start, 1024).to_pylist():
                yield record["row"], record["text"], record["label"]


def _cut(raw: bytes, cuts: Sequence[RecordCut]) -> bytes:
    parts, at = [], 0
    for cut in cuts:
        parts += [raw[at : cut.start], cut.replacement]
        at = cut.start + len(cut.original)
    return b"".join(parts) + raw[at:]

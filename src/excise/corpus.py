"""Corpus: a stream of Arrow batches with stable ids; knows text view, label and origin.

A corpus is read once. The reader (adapters/files) lays what the finders need into Arrow IPC files, one a source;
every later pass maps those files into memory, so a corpus larger than memory costs page cache, not heap.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

#: Columns of a batch. `start`/`stop`: the record's bytes [start, stop) in the decoded source (-1 for columnar sources).
#: `text` is the text view: the field or the filled template on which finders work. `order`: what a policy ranks by.
BATCH = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("order", pa.string()),
    ]
)


@dataclass(frozen=True)
class Source:
    r"""One input file as it was read.

    Attributes:
        name: Path relative to the corpus root, '/' as separator; also the output's relative name.
        path: Where it was read.
        format: jsonl, json, csv, tsv, txt or parquet.
        compression: '', gz, zst or xz.
        size_bytes: Size of the file on disk.
        fingerprint: XXH3-128 of the file's bytes, hex.
        records: Number of records.
        view: The field or template that made the text, e.g. 'text' or '{instruction}\\n{output}'.
    """

    name: str
    path: str
    format: str
    compression: str
    size_bytes: int
    fingerprint: str
    records: int
    view: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Corpus:
    """An ordered list of sources and the Arrow view of their records.

    A record's *position* is its place in the whole corpus, counted from 0 over all sources in order; its *id* is
    `source-name#row` (row counted from 0 inside the source) or the user's own id column.

    Attributes:
        sources: The files, in reading order.
        views: One entry a source: the Arrow IPC file with BATCH columns, or the batches themselves.
        references: Number of leading sources that are only compared with: their records never go and are not written.
    """

    sources: tuple[Source, ...]
    views: tuple[Path | tuple[pa.RecordBatch, ...], ...]
    references: int = 0
    _starts: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.views):
            raise AssertionError("one view a source")
        total = 0
        for source in self.sources:
            self._starts.append(total)
            total += source.records

    @classmethod
    def from_texts(
        cls, texts: Sequence[str], name: str = "memory", batch: int = 65536, labels: Sequence[str | None] | None = None
    ) -> Corpus:
        """A corpus held in memory, for the library's users and for tests."""
        batches = tuple(
            batch_of(
                ids=[f"{name}#{i}" for i in range(at, min(at + batch, len(texts)))],
                texts=texts[at : at + batch],
                first_row=at,
                labels=None if labels is None else labels[at : at + batch],
            )
            for at in range(0, len(texts), batch)
        )
        size = sum(len(t.encode()) for t in texts)
        return cls((Source(name, name, "memory", "", size, "", len(texts), "text"),), (batches,))

    def __len__(self) -> int:
        return sum(s.records for s in self.sources)

    @property
    def first_own(self) -> int:
        """Position of the first record that is no reference."""
        return self._starts[self.references] if self.references < len(self._starts) else len(self)

    @property
    def own(self) -> Corpus:
        """The corpus without its references."""
        return Corpus(self.sources[self.references :], self.views[self.references :])

    def beside(self, references: Corpus) -> Corpus:
        """This corpus with another one before it as reference."""
        before = len(references.sources) + self.references
        return Corpus(references.sources + self.sources, references.views + self.views, before)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches in order; may be called again and again."""
        for index in range(len(self.sources)):
            yield from self.batches_of(index)

    def batches_of(self, index: int) -> Iterator[pa.RecordBatch]:
        """The batches of one source."""
        view = self.views[index]
        if isinstance(view, tuple):
            yield from view
            return
        with pa.memory_map(str(view)) as mapped:
            reader = pa.ipc.open_file(mapped)
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)

    def part(self, index: int) -> Corpus:
        """One source as a corpus by itself."""
        return Corpus(self.sources[index : index + 1], self.views[index : index + 1])

    def source_of(self, position: int) -> int:
        """Index of the source that holds the record at this position."""
        return bisect.bisect_right(self._starts, position) - 1

    def first_position(self, index: int) -> int:
        """Position of the first record of a source."""
        return self._starts[index]

    def take(self, positions: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Whole records (BATCH columns as Python values) by position, in one pass over the batches."""
        wanted = sorted(set(positions))
        found: dict[int, dict[str, Any]] = {}
        at = cursor = 0
        for batch in self.batches():
            while cursor < len(wanted) and wanted[cursor] < at + batch.num_rows:
                found[wanted[cursor]] = batch.slice(wanted[cursor] - at, 1).to_pylist()[0]
                cursor += 1
            if cursor == len(wanted):
                break
            at += batch.num_rows
        return found


def batch_of(
    ids: Sequence[str],
    texts: Sequence[str],
    first_row: int = 0,
    spans: tuple[Sequence[int], Sequence[int]] | None = None,
    labels: Sequence[str | None] | None = None,
) -> pa.RecordBatch:
    """A BATCH from plain lists; rows count up from `first_row`."""
    count = len(ids)
    start, stop = spans if spans is not None else ([-1] * count, [-1] * count)
    return pa.record_batch(
        [
            pa.array(ids, pa.string()),
            pa.array(range(first_row, first_row + count), pa.int64()),
            pa.array(start, pa.int64()),
            pa.array(stop, pa.int64()),
            pa.array(texts, pa.large_string()),
            pa.array(labels if labels is not None else [None] * count, pa.string()),
            pa.nulls(count, pa.string()),
        ],
        schema=BATCH,
    )

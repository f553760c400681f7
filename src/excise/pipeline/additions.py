"""Additions: the copies of one source's records as bytes that are put behind its last record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from excise.adapters.files import extract, rewrite
from excise.adapters.files.changes import Edit, Inside
from excise.adapters.files.containers import decoded, with_head
from excise.adapters.files.cuts import taken_out
from excise.adapters.files.extract import Columns, Layout
from excise.adapters.files.find import Input
from excise.adapters.files.layouts import parsed
from excise.adapters.files.read import Reading
from excise.adapters.files.spans import Block
from excise.corpus import Source
from excise.data.augment.draw import Balancing, Drawing
from excise.errors import ArtefactError, InputError
from excise.journal import written_aside
from excise.ledger import CUTS, DECISIONS
from excise.pipeline.parents import Copy, Parent, Tally, decision_table, decisions_of, parents

#: Fields of an added record that say where it comes from, in formats where a record may have fields of its own.
FROM, HOW = "augmented_from", "augmentation"

#: Formats whose records are JSON objects.
_OBJECTS = frozenset({"jsonl", "json"})

#: Bytes of added records in one row group, and read again at a time.
_GROUP_BYTES = 1 << 23

_READERS: dict[str, Callable[[Block, Layout], Columns]] = {
    "jsonl": extract.from_json,
    "json": extract.from_json,
    "csv": extract.from_csv,
    "tsv": extract.from_csv,
    "txt": extract.from_lines,
}


def write_additions(
    reading: Reading,
    index: int,
    drawing: Drawing,
    balancing: Balancing | None,
    marks: bool,
    cuts: Path,
    decisions: Path,
    told: Callable[[int], None],
) -> dict[str, Any]:
    """Make the copies of one source that is a stream of bytes.

    Args:
        reading: The corpus.
        index: Which source.
        drawing: What is drawn.
        balancing: What each class is to get, or None.
        marks: Whether added records of JSON say where they come from.
        cuts: File for CUTS: one insertion a copy, all at the end of the last record.
        decisions: File for DECISIONS.
        told: Told how many decoded bytes are dealt with.

    Returns:
        A Tally in plain values.

    Raises:
        InputError: The source was changed, or a record's text is no plain text.
        ArtefactError: A copy, read again, does not say what it should.
    """
    source, tally = reading.corpus.sources[index], Tally()
    made = _made(reading, index, parents(reading, index, drawing, balancing, tally), drawing, marks, told)
    place = _end(reading, index)
    with (
        written_aside(cuts) as cut_file,
        written_aside(decisions) as decision_file,
        pq.ParquetWriter(cut_file, CUTS, compression="zstd", use_dictionary=["source", "finder"]) as writer,
        pa.ipc.new_file(decision_file, DECISIONS) as sink,
    ):
        for bodies, group, rows in made:
            finders = [copy.operation.name for copy in group]
            columns = {
                "source": pa.repeat(source.name, len(group)),
                "row": pa.array([copy.row for copy in group], pa.int64()),
                "start": pa.repeat(pa.scalar(place, pa.int64()), len(group)),
                "original": pa.repeat(pa.scalar(b"", pa.large_binary()), len(group)),
                "replacement": pa.array(bodies, pa.large_binary()),
                "finder": pa.array(finders, pa.string()),
            }
            writer.write_table(pa.table([columns[name] for name in CUTS.names], schema=CUTS))
            sink.write_table(decision_table(rows))
    return tally.as_dict()


def _made(
    reading: Reading,
    index: int,
    found: Iterator[Parent],
    drawing: Drawing,
    marks: bool,
    told: Callable[[int], None],
) -> Iterator[tuple[list[bytes], list[Copy], list[dict[str, Any]]]]:
    """Insertions, the copies they are and the decisions about them, some megabytes at a time."""
    source = reading.corpus.sources[index]
    layout = _layout(reading, index)
    before, behind = _around(source)
    held: list[bytes] = []
    copies: list[Copy] = []
    rows: list[dict[str, Any]] = []
    size = 0
    for parent, raw in _with_bytes(source, found):
        for copy in parent.copies:
            body = _copied(raw, parent, copy, source, layout)
            held.append(_marked(body, parent, copy, drawing.seed) if marks and source.format in _OBJECTS else body)
            copies.append(copy)
            size += len(held[-1])
        rows += decisions_of(parent, source.name, drawing.seed)
        told(parent.stop)
        if size >= _GROUP_BYTES:
            _prove(held, copies, source, layout)
            yield [before + body + behind for body in held], copies, rows
            held, copies, rows, size = [], [], [], 0
    if held:
        _prove(held, copies, source, layout)
        yield [before + body + behind for body in held], copies, rows


def _layout(reading: Reading, index: int) -> Layout:
    """How the records of a source are written; the field of ids stands where edits expect that of labels."""
    source = reading.corpus.sources[index]
    one = Input(source.name, Path(source.path), source.format, source.compression, 0, "")
    found = parsed(one, reading.fields, decoded(one.path, one.compression, one.name))
    layout = next(layout for block, _, layout in found if len(block.starts))
    return replace(layout, label=layout.id)


def _end(reading: Reading, index: int) -> int:
    """Byte of the decoded source at which copies are put in: its end, or the end of the last element of an array."""
    if reading.corpus.sources[index].format != "json":
        return reading.contents[index].size_bytes
    parts = [*reading.corpus.batches_of(index), reading.rejects_of(index)]
    return max(int(part["stop"].to_numpy().max()) for part in parts if len(part["stop"]))


def _around(source: Source) -> tuple[bytes, bytes]:
    """What stands before and behind each copy, so that any of them may be taken out again."""
    if source.format == "json":
        return b",\n", b""
    head, chunks = with_head(decoded(Path(source.path), source.compression, source.name))
    line_end = b"\r\n" if head.partition(b"\n")[0].endswith(b"\r") else b"\n"
    last = head[-1:]
    for chunk in chunks:
        last = chunk[-1:]
    return (b"", line_end) if last == b"\n" else (line_end, b"")


def _with_bytes(source: Source, found: Iterator[Parent]) -> Iterator[tuple[Parent, bytes]]:
    """Each parent with its record's bytes, without line end."""
    waiting: list[Parent] = []

    def spans() -> Iterator[tuple[int, int, int]]:
        for parent in found:
            waiting.append(parent)
            yield parent.row, parent.start, parent.stop

    chunks = decoded(Path(source.path), source.compression, source.name)
    for _, _, raw in taken_out(chunks, spans()):
        yield waiting.pop(), raw.removesuffix(b"\n").removesuffix(b"\r")


def _copied(raw: bytes, parent: Parent, copy: Copy, source: Source, layout: Layout) -> bytes:
    """A record that says something else, with an id of its own where there is a field for it."""
    if layout.id is not None and source.format in _OBJECTS:
        span = rewrite.json_span(raw, layout.id)
        if span is None or raw[span[0] : span[0] + 1] != b'"':
            raise InputError(
                f"the id of record {parent.row}, in {layout.id!r}, is no text; a copy needs one of its own, such as "
                f"{copy.id!r}. Leave --id away: ids are then file#row, and copies keep the field as it is",
                source.name,
            )
    edit = Edit(0, len(parent.text), copy.text, copy.operation.name)
    inside = Inside(parent.row, [edit], None if layout.id is None else (copy.id, copy.operation.name))
    try:
        cuts, _ = rewrite.rewritten(raw, inside, layout, rewrite.FORMS[source.format])
    except rewrite.CannotEditError as error:
        raise InputError(f"record {parent.row}: {error}. Name another field with --text", source.name) from error
    return _with_bytes_replaced(raw, [(cut.start, cut.start + len(cut.original), cut.replacement) for cut in cuts])


def _marked(raw: bytes, parent: Parent, copy: Copy, seed: int) -> bytes:
    """A JSON object that also says where it comes from."""
    ascii_only = raw.isascii()
    how = {"op": copy.operation.written, "copy": copy.number, "seed": seed}
    edits, more = [], b""
    for name, value in ((FROM, parent.id), (HOW, how)):
        written = json.dumps(value, ensure_ascii=ascii_only).encode()
        span = rewrite.json_span(raw, name)
        if span is not None:  # the parent is such a copy itself
            edits.append((*span, written))
        else:
            more += f', "{name}": '.encode() + written
    end = len(raw.rstrip()[:-1].rstrip())
    return _with_bytes_replaced(raw, sorted([*edits, (end, end, more)]))


def _with_bytes_replaced(raw: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    parts, at = [], 0
    for start, stop, new in edits:
        parts += [raw[at:start], new]
        at = stop
    return b"".join([*parts, raw[at:]])


def _prove(bodies: list[bytes], copies: list[Copy], source: Source, layout: Layout) -> None:
    """Read copies again, as any reader would."""
    lines = [body + b"\n" for body in bodies]
    stops = np.cumsum([len(line) for line in lines]).astype(np.int64)
    starts = np.concatenate([[0], stops[:-1]]).astype(np.int64)
    columns = _READERS[source.format](Block(b"".join(lines), 0, 1, starts, stops), layout)
    said = columns.texts.to_pylist()
    ids = [copy.id for copy in copies] if columns.ids is None else columns.ids.to_pylist()
    for text, id_, copy in zip(said, ids, copies, strict=False):
        if text != copy.text or id_ != copy.id:
            raise ArtefactError(f"{source.name}: the copy {copy.id} would not say what it should; nothing was written")
    if len(said) != len(copies):
        raise ArtefactError(f"{source.name}: a copy could not be read again; nothing was written")

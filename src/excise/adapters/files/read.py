"""Read: each source once, into an Arrow view of its records and a list of the records that could not be read."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from excise.adapters.files import columnar, containers, features, saved
from excise.adapters.files.changes import Changes, changes_by_source
from excise.adapters.files.extract import Columns, Layout
from excise.adapters.files.features import FeatureFile
from excise.adapters.files.find import Input, Inputs, find
from excise.adapters.files.layouts import Fields, parsed
from excise.adapters.files.spans import Block
from excise.corpus import BATCH, Corpus, Source
from excise.data.threads import Mapped
from excise.errors import InputError, SettingError
from excise.journal import Journal, Progress, silent, written_aside

#: Records that could not be read: their place in the source, and why.
REJECTS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


class Step(Protocol):
    """`Journal.step`, or something that just does the work."""

    def __call__(
        self, name: str, work: Callable[[], Mapping[str, Any] | None], files: Sequence[Path] = ()
    ) -> dict[str, Any]:
        """Do a step once and return what it returned."""


def just_do(name: str, work: Callable[[], Mapping[str, Any] | None], files: Sequence[Path] = ()) -> dict[str, Any]:
    """A Step without a journal."""
    return dict(work() or {})


@dataclass(frozen=True)
class Content:
    """The decoded content of a source.

    Attributes:
        fingerprint: XXH3-128 of the decoded bytes; '' for columnar sources.
        size_bytes: Number of decoded bytes; the file's own size for columnar sources.
        blank: Records whose text is nothing but white space.
        fixed: A field of the view that holds a list or an object somewhere; '' if there is none.
        features: Names of the numbers that were read beside the text.
    """

    fingerprint: str
    size_bytes: int
    blank: int
    fixed: str = ""
    features: Sequence[str] = ()


@dataclass(frozen=True)
class Reading:
    """A corpus as it was read.

    Attributes:
        corpus: Sources and views of the readable records.
        rejects: One entry a source: the file with REJECTS.
        contents: One entry a source: what is in it once it is decoded.
        fields: What the user said about fields.
        numbers: The .npy file with the features of all sources; None where none were asked for.
    """

    corpus: Corpus
    rejects: tuple[Path, ...]
    contents: tuple[Content, ...]
    fields: Fields = field(default_factory=Fields)
    numbers: Path | None = None

    def features(self) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """float32 [records, features], mapped into memory, NaN where a value is missing; and the features' names.

        Raises:
            SettingError: No features were asked for.
        """
        if self.numbers is None:
            raise SettingError("features is not given; name the numeric fields, or 'auto' for all there are.")
        names = next(tuple(content.features) for content in self.contents if content.features)
        return np.load(self.numbers, mmap_mode="r"), names

    def editable(self, index: int) -> str | None:
        """Why the text view of a source cannot be changed in place; None where it can."""
        fixed, name = self.contents[index].fixed, self.corpus.sources[index].name
        if self.corpus.sources[index].format == "tar":
            return f"{name} is a tar file, whose samples can only be dropped as a whole"
        if not fixed:
            return None
        return (
            f"the field {fixed!r} of {name} holds lists or objects, whose text cannot be changed in place; "
            "drop whole records instead, or compare another field"
        )

    def changes(self, decisions: pa.Table) -> dict[str, Changes]:
        """What DECISIONS do to each source that they are about, by its name."""
        return changes_by_source(decisions, self.fields.label)

    def rejects_of(self, index: int) -> pa.Table:
        """The records of one source that could not be read."""
        with pa.memory_map(str(self.rejects[index])) as mapped:
            return pa.ipc.open_file(mapped).read_all()


def open_corpus(
    data: str | Path | Sequence[str | Path],
    folder: Path,
    *,
    text: str | None = None,
    on: str | None = None,
    id: str | None = None,
    label: str | None = None,
    corrupt: Literal["stop", "reject"] = "stop",
    journal: Journal | None = None,
    progress: Progress = silent,
) -> tuple[Corpus, pa.Table]:
    """A corpus from files, for whoever only reads it.

    Args:
        data: A file, a directory, a glob, or a list of those.
        folder: Where the views are laid; inside the journal's folder if there is a journal.
        text: Field or template; detected if None.
        on: Field on which alone duplicates are found, instead of `text`.
        id: Field with ids; file name and row if None.
        label: Field with labels.
        corrupt: 'stop' at the first record that cannot be read, or 'reject' those and go on.
        journal: Goes on where an earlier run stopped.
        progress: Told how many bytes were read.

    Returns:
        The corpus, and REJECTS of all sources.

    Raises:
        InputError: A file or record cannot be read, there are no records, or two have the same id.
    """
    reading = read(
        find(data, progress=progress),
        folder,
        Fields(text, on, id, label),
        corrupt=corrupt,
        step=just_do if journal is None else journal.step,
        progress=progress,
    )
    rejects = [reading.rejects_of(index) for index in range(len(reading.rejects))]
    return reading.corpus, pa.concat_tables(rejects)


def read(
    inputs: Inputs,
    folder: Path,
    fields: Fields,
    *,
    corrupt: Literal["stop", "reject"] = "stop",
    step: Step = just_do,
    mapped: Mapped | None = None,
    progress: Progress = silent,
) -> Reading:
    """Read all inputs once; arguments and errors as of `open_corpus`.

    With an engine they are read side by side, and progress is told a file at a time. Without, one after another: they
    are parsed on all cores anyway, and what is wrong with one is told at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total, done = sum(one.size_bytes for one in inputs.files), 0
    sources, contents = [], []
    endings = ["arrow", "rejects.arrow", *(["features.npy"] if fields.features else [])]
    places = [[folder / f"{index:06d}.{ending}" for ending in endings] for index in range(len(inputs.files))]
    ahead: Iterator[dict[str, Any]] | None = None
    for index, (one, files) in enumerate(zip(inputs.files, places, strict=True)):

        def work(index: int = index, one: Input = one, done: int = done) -> dict[str, Any]:
            nonlocal ahead
            if mapped is None:
                return _read_one(fields, corrupt, lambda n: progress("reading", done + n, total), (one, places[index]))
            if ahead is None:  # with all that follow: where one step is done, those after it are done too
                rest = zip(inputs.files[index:], places[index:], strict=True)
                ahead = mapped(functools.partial(_read_one, fields, corrupt, _untold), rest)
            return next(ahead)

        result = step(f"read {one.name}", work, files)
        sources.append(Source(**result["source"]))
        contents.append(Content(**result["content"]))
        done += one.size_bytes
        progress("reading", done, total)
    views, rejects = (tuple(files[i] for files in places) for i in (0, 1))
    numbers = folder / "features.npy" if fields.features else None
    reading = Reading(Corpus(tuple(sources), views), rejects, tuple(contents), fields, numbers)
    if not any(source.records for source in sources):
        _refuse_empty(reading, inputs)
    if fields.id is not None:
        _refuse_doubles(reading.corpus, fields.id)
    if reading.numbers is not None:
        parts = [
            (folder / f"{index:06d}.features.npy", source.records, content.features, source.name)
            for index, (source, content) in enumerate(zip(sources, contents, strict=True))
        ]
        step("gather features", lambda: _gather(parts, folder / "features.npy"), [folder / "features.npy"])
    return reading


def _gather(parts: Sequence[tuple[Path, int, Sequence[str], str]], path: Path) -> None:
    with written_aside(path, durable=False) as file:
        features.gather(parts, file)


def _untold(size_bytes: int) -> None:
    """Where nobody listens."""


def _read_one(
    fields: Fields, corrupt: str, told: Callable[[int], None], item: tuple[Input, Sequence[Path]]
) -> dict[str, Any]:
    """Read one input into its files."""
    one, (view, rejects, *numbers) = item
    view.parent.stat()  # raises where a machine of a cluster does not see the folder, or the run has been given up
    on_disk, content = _Counted(told), _Counted(_untold)
    columns_of = one.format in columnar.FORMATS or one.format == saved.BESIDE
    found: Iterable[tuple[Block, Columns, Layout]] = ()
    if one.format in columnar.FORMATS:
        found = columnar.parsed(one, fields, told)
    elif not columns_of:
        found = parsed(one, fields, _hashed(one, on_disk, content))
    written, name = _Written(one, corrupt), ""
    with contextlib.ExitStack() as stack:
        table = FeatureFile(stack.enter_context(written_aside(numbers[0], durable=False))) if numbers else None
        sink, bad = (
            stack.enter_context(pa.ipc.new_file(stack.enter_context(written_aside(path, durable=False)), schema))
            for path, schema in ((view, BATCH), (rejects, REJECTS))
        )
        for block, columns, layout in found:
            written.add(block, columns, layout, sink, bad)
            if table is not None and columns.numbers is not None:
                table.add(columns.numbers, features.names_of(layout.numbers))
            name = layout.view.name
        if table is not None:
            table.finish()
    if not columns_of and on_disk.hexdigest() != one.fingerprint:
        raise InputError("the file was changed while it was being read; run the command again", one.shown)
    written.check()
    source = Source(
        one.name, str(one.path), one.format, one.compression, one.size_bytes, one.fingerprint, written.count, name
    )
    fingerprint = "" if columns_of else content.hexdigest()
    decoded = Content(
        fingerprint, content.count or one.size_bytes, written.blank, written.fixed, table.names if table else ()
    )
    return {"source": source.as_dict(), "content": asdict(decoded)}


def _refuse_empty(reading: Reading, inputs: Inputs) -> NoReturn:
    shown = inputs.files[0].shown if len(inputs.files) == 1 else inputs.root
    for index, one in enumerate(inputs.files):
        for bad in reading.rejects_of(index).slice(0, 1).to_pylist():
            raise InputError(f"no record can be read; the first says: {bad['reason']}", one.shown, bad["line"])
    raise InputError("there are no records in it", shown)


class _Counted:
    """The digest of a file's bytes, which also tells how many there were so far."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self._digest, self._told, self.count = xxhash.xxh3_128(), told, 0

    def update(self, data: bytes) -> None:
        self._digest.update(data)
        self.count += len(data)
        self._told(self.count)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _hashed(one: Input, on_disk: containers.Digest, content: containers.Digest) -> Iterator[bytes]:
    for chunk in containers.decoded(one.path, one.compression, one.shown, on_disk):
        content.update(chunk)
        yield chunk


class _Written:
    """What has been written of one source so far."""

    def __init__(self, one: Input, corrupt: str) -> None:
        self._one, self._stop = one, corrupt == "stop"
        self._row = self.count = self.blank = 0
        self.fixed = ""
        self._unseen: set[str] | None = None

    def add(self, block: Block, columns: Columns, layout: Layout, sink: Any, bad: Any) -> None:
        """Write one block's records to one file and its bad ones to another."""
        keep = np.ones(len(block.starts), bool)
        rejects: list[dict[str, Any]] = []
        lines = block.lines_of([index for index, _ in columns.bad[: 1 if self._stop else None]])
        for line, (index, reason) in zip(lines, columns.bad, strict=False):
            if self._stop:
                raise InputError(
                    f"{reason}. Mend it, or set such records aside with --corrupt reject.", self._one.shown, line
                )
            keep[index] = False
            place = {"start": block.at + int(block.starts[index]), "stop": block.at + int(block.stops[index])}
            rejects.append({"row": self._row + index, **place, "line": line, "reason": reason})
        if rejects:
            bad.write_batch(pa.RecordBatch.from_pylist(rejects, schema=REJECTS))
        rows = np.arange(self._row, self._row + len(keep), dtype=np.int64)[keep]
        if len(rows):
            ids = columns.ids if columns.ids is not None else numbered(self._one.name, rows)
            labels = columns.labels if columns.labels is not None else pa.nulls(len(rows), pa.string())
            places = [pa.array(side[keep] + block.at) for side in (block.starts, block.stops)]
            order = columns.order if columns.order is not None else pa.nulls(len(rows), pa.string())
            arrays = [ids, pa.array(rows), *places, columns.texts, labels, order]
            sink.write_batch(pa.record_batch(arrays, schema=BATCH))
        self._row += len(keep)
        self.count += len(rows)
        self.blank += _blank(columns.texts)
        self.fixed = self.fixed or columns.fixed
        unseen = set(layout.needed) - layout.known if self._unseen is None else self._unseen
        self._unseen = unseen - columns.seen

    def check(self) -> None:
        """Refuse a field that no record has: most likely a slip of the pen."""
        if self.count and self._unseen:
            raise InputError(f"no record has a field {sorted(self._unseen)[0]!r}", self._one.shown)


def _blank(texts: pa.Array) -> int:
    short = texts.filter(pc.less(pc.binary_length(texts), 64))  # a blank text longer than this is none worth counting
    return int(pc.sum(pc.equal(pc.binary_length(pc.utf8_trim_whitespace(short)), 0)).as_py() or 0)


def numbered(name: str, rows: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Array:
    """The ids `name#row`."""
    return pc.binary_join_element_wise(pa.scalar(name), pa.array(rows).cast(pa.string()), pa.scalar("#"))


def _refuse_doubles(corpus: Corpus, field: str) -> None:
    """Raise where two records have the same id, with the lines of both."""
    ids = pa.chunked_array([batch["id"] for batch in corpus.batches()], pa.string())
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counted = pc.value_counts(ids)
    double = counted.field("values").filter(pc.greater(counted.field("counts"), 1))[0].as_py()
    places = [
        f"{source.name}:{_line_at(source, row['start']) if row['start'] >= 0 else row['row'] + 1}"
        for index, source in enumerate(corpus.sources)
        for batch in corpus.batches_of(index)
        for row in batch.select(["row", "start"]).filter(pc.equal(batch["id"], double)).to_pylist()
    ]
    raise InputError(
        f"the id {double!r} in {field!r} is given twice, at {places[0]} and at {places[1]}; ids must be unique"
    )


def _line_at(source: Source, offset: int) -> int:
    """1-based line of a byte of a source."""
    line, at = 1, 0
    for chunk in containers.decoded(Path(source.path), source.compression, source.name):
        if at + len(chunk) >= offset:
            return line + chunk.count(b"\n", 0, offset - at)
        line, at = line + chunk.count(b"\n"), at + len(chunk)
    return line

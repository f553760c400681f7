"""Boilerplate: lines and paragraphs that many records hold.

Normalised units get 64-bit keys; keys that enough records hold are listed with the record that holds them first; a unit
is boilerplate if its text, not only its key, is that of the one listed. Neighbours that repeat one record are one span.
"""

import functools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import spilled, text
from excise.data.spans import code_points, spans_table
from excise.data.threads import Mapped, in_order
from excise.data.unicode import points
from excise.errors import SettingError
from excise.finding import FINDINGS
from excise.journal import Progress, silent

_SLICE_BYTES = 1 << 22
#: What a letter of a script without blanks counts for in a length: 50 of them say what 150 Latin ones do.
_WIDE = 3
#: Key, first record with it, second one, number of records; then the text of each.
_KNOWN = pa.schema(
    [*((name, pa.uint64()) for name in ("key", "first", "second", "records")), ("text", pa.large_string())]
)

Ints = NDArray[np.int64]
Rows = NDArray[np.uint64]


@dataclass(frozen=True)
class LinesSettings:
    """What counts as boilerplate.

    Attributes:
        unit: 'line', or 'paragraph' (lines up to a blank one), which leaves code whole but for its notices. Blank
            lines belong to the unit before them.
        min_documents: Least number of records that hold a unit, >= 2. On mixed files of one language 20 leaves licence
            notices, inclusions and page furniture; below 10 come ordinary statements of code and headings.
        min_length: Least code points of a unit, >= 1, after normalisation; a letter of a script without blanks counts
            for three. 30 leaves out 'return False', '#endif', 'External links.'. Units without letters and digits,
            such as '}' and '-----', are never boilerplate.
        keep: 'first': the first record that holds a unit keeps it; 'none': no record does.
    """

    unit: Literal["line", "paragraph"] = "line"
    min_documents: int = 20
    min_length: int = 30
    keep: Literal["first", "none"] = "first"

    def __post_init__(self) -> None:
        for name, choices in (("unit", ("line", "paragraph")), ("keep", ("first", "none"))):
            value = getattr(self, name)
            if value not in choices:
                raise SettingError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
        if self.min_documents < 2:
            raise SettingError(f"min_documents is {self.min_documents}; it must be 2 or more records that hold a line.")
        if self.min_length < 1:
            raise SettingError(f"min_length is {self.min_length}; it must be 1 or more code points.")


def find(
    corpus: Corpus,
    settings: LinesSettings,
    *,
    skip: NDArray[np.bool_] | None = None,
    folder: Path | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """Lines or paragraphs that many records hold.

    Args:
        corpus: The records; references count as holders.
        settings: What counts.
        skip: bool [records], True where a record takes no part, e.g. because it goes for another finder.
        folder: Where keys are laid, removed at the end; None is a temporary folder.
        mapped: Engine.
        progress: Told the records read.

    Yields:
        FINDINGS of finder 'lines': the locus holds units that `min_documents` records hold, the partner is the first
        record that holds them (with keep 'none' and for that record itself: another one). Neighbouring units with one
        partner are one finding; blank lines and units without letters between them go with them. A record that is
        wholly boilerplate is one finding from end to end.

    Cost: 16 bytes of disk a unit; 1 byte of memory a record, the text of each boilerplate unit once, and 50 bytes for
        each unit of the longest record. The text is read once, of records that hold boilerplate twice.
    """
    with tempfile.TemporaryDirectory(prefix="lines-", dir=folder) as name:
        work = Path(name)
        holders = np.zeros(len(corpus), np.bool_)
        listed = _listed(corpus, settings, work, holders, skip, mapped, progress)
        path = work / "known.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _KNOWN) as sink:
            sink.write_table(_with_texts(corpus, settings, listed, mapped))
        pieces = text.pieces(corpus, _SLICE_BYTES, progress, "marking boilerplate", own=True)
        wanted = ((piece, rows) for piece in pieces if len(rows := _rows(piece, holders)))
        yield FINDINGS.empty_table()  # a table without rows is still a table
        for found in mapped(functools.partial(_boilerplate, settings, path, corpus.first_own), wanted):
            if len(found[0]):
                position, partner, start, stop, counts, least = found
                yield spans_table(corpus, "lines", position, partner, start, stop, _told(settings, counts, least))


def _rows(piece: text.Piece, among: NDArray[np.bool_]) -> Ints:
    return np.flatnonzero(among[piece.position : piece.position + piece.count])


@dataclass(frozen=True)
class Units:
    """The units of some texts.

    Attributes:
        data: Bytes of the texts.
        starts: int64 [units + 1], where each unit starts in `data`; it ends where the next one starts.
        owner: int64 [units], index of its text.
        texts: large_string [units], normalised.
        lengths: int64 [units], code points as `LinesSettings.min_length` counts them; 0 without letters and digits.
        keys: uint64 [units], of the normalised texts.
    """

    data: NDArray[np.uint8]
    starts: Ints
    owner: Ints
    texts: pa.Array
    lengths: Ints
    keys: Rows


def units_of(texts: pa.Array, unit: str) -> Units:
    """Cut texts into lines or paragraphs."""
    from excise.data import line_kernels  # noqa: PLC0415 - compiles

    data, offsets = text.buffers(texts)
    most = int(np.count_nonzero(data[offsets[0] : offsets[-1]] == ord("\n"))) + len(texts) + 1
    starts, owner = np.empty(most, np.int64), np.empty(most, np.int64)
    count = line_kernels.units(data, offsets, unit == "paragraph", starts, owner)
    starts, owner = starts[: count + 1].copy(), owner[:count].copy()
    normal = text.normalised(pa.LargeStringArray.from_buffers(count, pa.py_buffer(starts), pa.py_buffer(data)))
    lengths, keys = np.empty(count, np.int64), np.empty(count, np.uint64)
    line_kernels.measure(*text.buffers(normal), points(), _WIDE, lengths, keys)
    return Units(data, starts, owner, normal, lengths, keys)


def _keys(settings: LinesSettings, item: tuple[text.Piece, Ints]) -> Rows:
    """Key and position of each unit that is long enough, once a record; uint64 [n, 2]."""
    piece, rows = item
    units = units_of(piece.texts().take(pa.array(rows)) if len(rows) < piece.count else piece.texts(), settings.unit)
    long = np.flatnonzero(units.lengths >= settings.min_length)
    found = np.column_stack([units.keys[long], (piece.position + rows)[units.owner[long]].astype(np.uint64)])
    order = np.lexsort(found.T)  # by position, then key
    again = np.zeros(len(order), np.bool_)
    again[1:] = (found[order[1:]] == found[order[:-1]]).all(axis=1)
    return found[order[~again]]


def _listed(
    corpus: Corpus,
    settings: LinesSettings,
    folder: Path,
    holders: NDArray[np.bool_],
    skip: NDArray[np.bool_] | None,
    mapped: Mapped,
    progress: Progress,
) -> Rows:
    """Keys that enough records hold, each with the first two of them and their number; marks `holders`. [n, 4]."""
    parts = spilled.parts_for(text.size_bytes(corpus) * 0.4)
    spill = spilled.Spill(folder, "keys", parts)
    pieces = text.pieces(corpus, _SLICE_BYTES, progress, "reading for boilerplate")
    taking = np.ones(len(corpus), np.bool_) if skip is None else ~skip
    items = ((piece, rows) for piece in pieces if len(rows := _rows(piece, taking)))
    for found in mapped(functools.partial(_keys, settings), items):
        spill.add(spilled.by_key(found[:, 0], parts), found)
    listed = [np.zeros((0, 4), np.uint64)]
    for often, positions in mapped(functools.partial(_counted, settings.min_documents), spill.written()):
        holders[positions] = True
        listed.append(often)
    return np.concatenate(listed)


def _counted(least: int, path: Path) -> tuple[Rows, Ints]:
    """Of one file of keys: those that often occur, as of `_listed`, and the positions of all records that hold one."""
    rows = spilled.read(path, 2)
    order = np.argsort(rows[:, 0], kind="stable")
    keys, positions = rows[order, 0], rows[order, 1]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))[: len(keys)]
    counts = np.diff(np.append(starts, len(keys)))
    often = starts[counts >= least]
    columns = [keys[often], positions[often], positions[often + 1], counts[counts >= least].astype(np.uint64)]
    holders = np.unique(positions[np.repeat(counts >= least, counts)])
    return np.column_stack(columns), holders.astype(np.int64)


def _with_texts(corpus: Corpus, settings: LinesSettings, listed: Rows, mapped: Mapped) -> pa.Table:
    """The listed keys, ascending, with the text that each stands for, from the first record that holds it."""
    listed = listed[np.argsort(listed[:, 1], kind="stable")]
    first = listed[:, 1].astype(np.int64)

    def items() -> Iterator[tuple[text.Piece, Ints, Rows]]:
        for piece in text.pieces(corpus, _SLICE_BYTES, silent, ""):
            here = slice(*np.searchsorted(first, [piece.position, piece.position + piece.count]))
            if here.stop > here.start:
                yield piece, np.unique(first[here]) - piece.position, listed[here, 0]

    texts = pa.chunked_array(mapped(functools.partial(_texts, settings), items()), pa.large_string())
    order = np.argsort(listed[:, 0])
    columns = {name: listed[order, i] for i, name in enumerate(("key", "first", "second", "records"))}
    return pa.table({**columns, "text": texts.combine_chunks().take(pa.array(order))}, schema=_KNOWN)


def _texts(settings: LinesSettings, item: tuple[text.Piece, Ints, Rows]) -> pa.Array:
    """The units with these keys, each from the first of these records that holds it."""
    piece, rows, wanted = item
    units = units_of(piece.texts().take(pa.array(rows)), settings.unit)
    keys, first = np.unique(units.keys, return_index=True)
    return units.texts.take(pa.array(first[np.searchsorted(keys, wanted)]))


def _boilerplate(
    settings: LinesSettings, path: Path, first_own: int, item: tuple[text.Piece, Ints]
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """Spans of boilerplate: position, partner, first and last code point, number of units, and least records. [n]."""
    piece, rows = item
    units = units_of(piece.texts().take(pa.array(rows)), settings.unit)
    with pa.memory_map(str(path)) as mapped:
        known = pa.ipc.open_file(mapped).read_all()
        partner, records = _partners(settings, units, piece.position + rows, known)
    # Units without letters and digits are passed over, so that those between two units of one span are inside it.
    spoken = np.flatnonzero(units.lengths)
    owner = units.owner[spoken]
    held = np.flatnonzero(partner[spoken] >= 0)
    fresh = np.ones(len(held), np.bool_)
    fresh[1:] = (np.diff(held) > 1) | (np.diff(partner[spoken[held]]) != 0) | (np.diff(owner[held]) != 0)
    runs = np.flatnonzero(fresh)
    if len(runs) == 0:
        return (np.zeros(0, np.int64),) * 6
    counts = np.diff(np.append(runs, len(held)))
    least = np.minimum.reduceat(records[spoken[held]], runs)
    start, stop = units.starts[spoken[held[runs]]], units.starts[spoken[held[runs + counts - 1]] + 1]

    text_of_run, texts = owner[held[runs]], np.arange(len(rows))
    ends = units.starts[np.searchsorted(units.owner, np.append(texts, len(rows)))]
    wholly = np.bincount(owner, minlength=len(rows)) == np.bincount(owner[held], minlength=len(rows))
    chosen = _largest(text_of_run, stop - start, wholly)
    all_of, least_of = np.bincount(text_of_run, counts), np.full(len(rows), np.iinfo(np.int64).max)
    np.minimum.at(least_of, text_of_run, least)
    of = text_of_run[chosen]
    start, stop = np.where(wholly[of], ends[of], start[chosen]), np.where(wholly[of], ends[of + 1], stop[chosen])
    counts = np.where(wholly[of], all_of[of].astype(np.int64), counts[chosen])
    least = np.where(wholly[of], least_of[of], least[chosen])

    at = code_points(units.data, np.repeat(ends[of], 2), np.column_stack([start, stop]).ravel()).reshape(-1, 2)
    return (piece.position + rows)[of], partner[spoken[held[runs[chosen]]]], at[:, 0], at[:, 1], counts, least


def _partners(settings: LinesSettings, units: Units, positions: Ints, known: pa.RecordBatch) -> tuple[Ints, Ints]:
    """For each unit the record that it repeats, or -1, and how many records hold it; [units] each."""
    keys, first, second, counts = (known[name].to_numpy() for name in ("key", "first", "second", "records"))
    place = np.minimum(np.searchsorted(keys, units.keys), len(keys) - 1)
    like = np.flatnonzero((keys[place] == units.keys) & (units.lengths >= settings.min_length))
    place = place[like]
    equal = pc.equal(units.texts.take(pa.array(like)), known["text"].take(pa.array(place)))
    like, place = like[equal := equal.to_numpy(zero_copy_only=False)], place[equal]
    partner, records = np.full(len(units.owner), -1, np.int64), np.zeros(len(units.owner), np.int64)
    partner[like], records[like] = first[place], counts[place]
    itself = np.flatnonzero(first[place].astype(np.int64) == positions[units.owner[like]])
    partner[like[itself]] = second[place[itself]] if settings.keep == "none" else np.int64(-1)
    return partner, records


def _largest(text_of_run: Ints, size: Ints, wholly: NDArray[np.bool_]) -> Ints:
    """The runs to tell, ascending: all of a text, and of one that is wholly boilerplate the largest."""
    order = np.lexsort((-size, text_of_run))
    best = np.ones(len(order), np.bool_)
    best[1:] = text_of_run[order[1:]] != text_of_run[order[:-1]]
    return np.sort(order[best | ~wholly[text_of_run[order]]])


def _told(settings: LinesSettings, counts: Ints, least: Ints) -> list[str]:
    """Why each span can go."""
    rule = f"; {settings.min_documents:,} or more are boilerplate"
    return [
        f"repeats a {settings.unit} of {{}} that {records:,} records hold{rule}"
        if count == 1
        else f"repeats {count:,} {settings.unit}s of {{}} that {records:,} or more records hold each{rule}"
        for count, records in zip(counts.tolist(), least.tolist(), strict=True)
    ]

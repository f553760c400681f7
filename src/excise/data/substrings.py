"""Repeated substrings: parts of records that an earlier record, or an earlier part of the same one, holds too.

Winnowing gives every run of bytes that is long enough a fingerprint in common with its repetition; from fingerprints
that occur again, both places are compared byte for byte, forth and back. What is found are bytes that are equal: texts
are not normalised.
"""

import functools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
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
#: Bytes of fingerprints a byte of text: 16 for each of the 2 in 52 places that are chosen.
_DENSITY = 0.62

Ints = NDArray[np.int64]
Rows = NDArray[np.uint64]


@dataclass(frozen=True)
class SubstringsSettings:
    """What counts as a repeated substring.

    Attributes:
        min_bytes: Least bytes of UTF-8, >= 30.
        min_points: Least code points in scripts without blanks (Han, kana, Thai, …), >= 10. In mixed text each of them
            counts min_bytes / min_points bytes; by the defaults, 3: what it takes in UTF-8.
        within: Also what a record repeats of itself: refrains, tables, and in code blocks that belong where they stand.
    """

    min_bytes: int = 150
    min_points: int = 50
    within: bool = False

    def __post_init__(self) -> None:
        for name, least, unit in (("min_bytes", 30, "bytes"), ("min_points", 10, "code points")):
            value = getattr(self, name)
            if value < least:
                raise SettingError(
                    f"{name} is {value}; it must be {least} or more {unit}: shorter ones are phrases that any two "
                    "texts may share."
                )

    @property
    def shortest(self) -> int:
        """Bytes of the shortest repeat that counts."""
        return min(self.min_bytes, 3 * self.min_points)


def find(
    corpus: Corpus,
    settings: SubstringsSettings,
    *,
    skip: NDArray[np.bool_] | None = None,
    folder: Path | None = None,
    mapped: Mapped = in_order,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """Substrings that an earlier record holds too.

    Args:
        corpus: The records; of references nothing is found, but what they hold is.
        settings: How long a substring has to be.
        skip: bool [records], True where a record takes no part, e.g. because it goes for another finder.
        folder: Where texts and fingerprints are laid, removed at the end; None is a temporary folder.
        mapped: Engine; its workers must see `folder`.
        progress: Told the records read.

    Yields:
        FINDINGS of finder 'substrings': a span of the locus whose bytes the partner holds, at an earlier place (with
        `within` that may be the locus itself). A span ends where lines or sentences do, if such a border is within a
        quarter of it, else between words. The first occurrence has no finding.

    Cost: 8 bytes of memory a record; 2.3 bytes of disk a byte of text: the texts once more, and fingerprints. Linear
        in the bytes, whatever repeats how often.
    """
    with tempfile.TemporaryDirectory(prefix="substrings-", dir=folder) as name:
        work = Path(name)
        parts = spilled.parts_for(text.size_bytes(corpus) * _DENSITY)
        keys = _fingerprints(corpus, settings, work, parts, skip, mapped, progress)
        starts = np.load(work / "starts.npy")
        borders = _borders(starts, corpus.first_own, parts)
        places = spilled.Spill(work, "places", len(borders))
        for found in mapped(functools.partial(_again, settings, work, corpus.first_own), keys.written()):
            places.add(np.searchsorted(borders, found[:, 0].astype(np.int64), "right") - 1, found)
        yield FINDINGS.empty_table()  # a table without rows is still a table
        for done, spans in enumerate(mapped(functools.partial(_spans, settings, work), places.written())):
            progress("comparing repeated substrings", done + 1, len(borders))
            if len(spans):
                yield _told(corpus, spans)


def _fingerprints(
    corpus: Corpus,
    settings: SubstringsSettings,
    work: Path,
    parts: int,
    skip: NDArray[np.bool_] | None,
    mapped: Mapped,
    progress: Progress,
) -> spilled.Spill:
    """Lay the texts one after another into `flat`, where each starts into `starts.npy`; spill their fingerprints."""
    taking = np.ones(len(corpus), np.bool_) if skip is None else ~skip
    starts = np.zeros(len(corpus) + 1, np.int64)
    keys = spilled.Spill(work, "keys", parts)
    with (work / "flat").open("wb") as flat:

        def items() -> Iterator[tuple[text.Piece, Ints, int]]:
            for piece in text.pieces(corpus, _SLICE_BYTES, progress, "reading for repeated substrings"):
                rows = np.flatnonzero(taking[piece.position : piece.position + piece.count])
                data, offsets = text.buffers(_texts(piece, rows))
                starts[piece.position + rows + 1] = np.diff(offsets)
                yield piece, rows, flat.tell()
                flat.write(data[offsets[0] : offsets[-1]].data)

        for found in mapped(functools.partial(_winnowed, settings), items()):
            keys.add(spilled.by_key(found[:, 0], parts), found)
    np.save(work / "starts.npy", np.cumsum(starts))
    return keys


def _texts(piece: text.Piece, rows: Ints) -> pa.Array:
    return piece.texts() if len(rows) == piece.count else piece.texts().take(pa.array(rows))


def _winnowed(settings: SubstringsSettings, item: tuple[text.Piece, Ints, int]) -> Rows:
    """Key and place in `flat` of each fingerprint, uint64 [n, 2]; ascending by place."""
    from excise.data import substring_kernels  # noqa: PLC0415 - compiles

    piece, rows, at = item
    data, offsets = text.buffers(_texts(piece, rows))
    width = _width(settings)
    window = settings.shortest - width + 1
    ring = np.empty(1 << (window - 1).bit_length(), np.uint64)
    size = int(offsets[-1] - offsets[0])
    for most in (size // 8 + 1, size):  # a 26th of the places is chosen; of made text it may be any share
        keys, places = np.empty(most, np.uint64), np.empty(most, np.int64)
        count = substring_kernels.winnow(data, offsets, width, window, ring, keys, places)
        if count >= 0:
            break
    return np.column_stack([keys[:count], (places[:count] + (at - offsets[0])).astype(np.uint64)])


def _width(settings: SubstringsSettings) -> int:
    """Bytes that are hashed together: two thirds of the shortest repeat, 100 by default, in windows of 51."""
    return -(-2 * settings.shortest // 3)


def _borders(starts: Ints, first_own: int, parts: int) -> Ints:
    """Where to cut `flat` for as many pieces of work as that: at starts of own records, ascending."""
    aims = np.linspace(starts[first_own], starts[-1], parts, endpoint=False)
    return np.unique(starts[np.searchsorted(starts, aims)])


def _again(settings: SubstringsSettings, work: Path, first_own: int, path: Path) -> Rows:
    """Fingerprints of own records whose key occurred before: place, the first one, and the one before or -1. [n, 3]."""
    rows = spilled.read(path, 2)
    starts = np.load(work / "starts.npy", mmap_mode="r")
    order = np.argsort(rows[:, 0], kind="stable")
    keys, places = rows[order, 0], rows[order, 1].astype(np.int64)
    some = np.zeros(len(keys) + 1, np.bool_)
    some[1:-1] = keys[1:] == keys[:-1]
    some = some[1:] | some[:-1]
    keys, places = keys[some], places[some]

    index = np.arange(len(keys))
    fresh = np.ones(len(keys), np.bool_)
    fresh[1:] = keys[1:] != keys[:-1]
    first = np.maximum.accumulate(np.where(fresh, index, 0))
    if settings.within:
        before = np.maximum(index - 1, first)
    else:  # the last one of an earlier record
        texts = np.searchsorted(starts, places, "right")
        fresh[1:] |= texts[1:] != texts[:-1]
        before = np.maximum(np.maximum.accumulate(np.where(fresh, index, 0)) - 1, first)
        first = np.where(texts[first] == texts, index, first)
    again = (first < index) & (places >= starts[first_own])
    first, before = places[first[again]], places[before[again]]
    return np.column_stack([places[again], first, np.where(before > first, before, -1)]).view(np.uint64)


def _spans(settings: SubstringsSettings, work: Path, path: Path) -> Ints:
    """Repeats in one piece of `flat`, from fingerprints that occurred before.

    Returns:
        By span: position, first code point, one past the last, partner, and 1 where it goes on at once after another
        span; int64 [n, 5].
    """
    from excise.data import substring_kernels  # noqa: PLC0415 - compiles

    rows = spilled.read(path, 3).view(np.int64)
    if len(rows) == 0:
        return np.zeros((0, 5), np.int64)
    places, first, before = np.ascontiguousarray(rows[np.argsort(rows[:, 0])].T)
    flat = np.memmap(work / "flat", np.uint8, "r")
    starts = np.load(work / "starts.npy", mmap_mode="r")
    spans = np.empty((len(rows), 4), np.int64)
    count = substring_kernels.extend(
        flat, starts, points(), places, first, before, _width(settings), settings.min_bytes, settings.min_points, spans
    )
    spans = spans[:count]
    goes_on = np.zeros(count, np.bool_)
    goes_on[1:] = (spans[1:, 1] == spans[:-1, 2]) & (spans[1:, 0] == spans[:-1, 0])
    substring_kernels.snap(flat, starts, spans)
    goes_on, spans = goes_on[filled := spans[:, 2] > spans[:, 1]], spans[filled]
    at = code_points(flat, np.repeat(starts[spans[:, 0]], 2), spans[:, 1:3].ravel()).reshape(-1, 2)
    partner = np.searchsorted(starts, spans[:, 3], "right") - 1
    return np.column_stack([spans[:, 0], at, partner, goes_on])


def _told(corpus: Corpus, spans: Ints) -> pa.Table:
    position, start, stop, partner, goes_on = np.ascontiguousarray(spans.T)
    reasons = [
        f"repeats {size:,} {'more ' if more else ''}characters of {{}}"
        for size, more in zip((stop - start).tolist(), goes_on.tolist(), strict=True)
    ]
    return spans_table(corpus, "substrings", position, partner, start, stop, reasons)

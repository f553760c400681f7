"""Put back: the original of a cleaned source, out of the cleaned file and the ledger."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from excise.adapters.files import columnar, saved, views
from excise.adapters.files.changes import Changes, changes_by_source
from excise.adapters.files.containers import CHUNK, decoded, encoded
from excise.adapters.files.table_files import opened
from excise.errors import ArtefactError, InputError
from excise.journal import fingerprint_of, written_aside
from excise.ledger import Cut, Ledger, replay, undo


def put_back(out: Path, ledger: Ledger, source: Mapping[str, Any], to: Path) -> None:
    """Write one original; it appears only when it is proved to be the original.

    Args:
        out: The folder that cleaning made.
        ledger: Its ledger.
        source: The source's entry in the ledger.
        to: The file to write.

    Raises:
        ArtefactError: The cleaned file was changed, or what was rebuilt is not the original.
        InputError: The cleaned file is not there.
    """
    if source["restore"] == "original":
        _exactly(ledger.folder / "originals" / inside(source["name"]), source["fingerprint"], to)
        return
    kept = _cleaned(out, source)
    if source["restore"] == "same":
        _exactly(kept, source["fingerprint"], to)
    elif source["format"] in columnar.FORMATS:
        _by_rows(kept, ledger, source, to)
    else:
        _by_undo(kept, ledger, source, to)


def put_back_only(out: Path, ledger: Ledger, source: Mapping[str, Any], to: Path, only: Collection[str]) -> None:
    """Write one source as it would be had some finders not acted; all else that was done to it stays.

    Args:
        out: The folder that cleaning made.
        ledger: Its ledger.
        source: The source's entry in the ledger.
        to: The file to write.
        only: The finders whose work is undone.

    Raises:
        ArtefactError: The cleaned file was changed.
        InputError: The cleaned file is not there, or finders have changed one value in one piece.
    """
    kept = _cleaned(out, source)
    if source["format"] == saved.BESIDE:
        with written_aside(to) as file:
            file.write(saved.adjusted(kept, to.parent))
        return
    done = changes_of(ledger, source["name"])
    left = done.without(only)
    if len(left.gone) == len(done.gone) and left.edits.num_rows == done.edits.num_rows:
        _exactly(kept, source["cleaned"], to)
    elif source["format"] in columnar.FORMATS:
        _by_rows(kept, ledger, source, to, left)
    else:
        name, compression = source["name"], source["compression"]
        original = undo(decoded(kept, compression, name), ledger.cuts(name))
        with written_aside(to) as file:
            for piece in encoded(replay(map(bytes, original), _cuts_left(ledger, source, done, left)), compression):
                file.write(piece)


def _cuts_left(ledger: Ledger, source: Mapping[str, Any], done: Changes, left: Changes) -> Iterator[Cut]:
    """The cuts of a source that stay where some of its changes are undone."""
    name = source["name"]
    rows, finders = _named(ledger.folder / "removed.parquet", name)
    stay = {*left.finders.to_pylist(), *left.edits["finder"].to_pylist()}
    gone = {*done.finders.to_pylist(), *done.edits["finder"].to_pylist()} - stay
    last = _last_of_none(ledger, source, done, left)
    for row, finder, cut in zip(rows, finders, ledger.cuts(name), strict=True):
        together = set(finder.split(","))
        if together & gone and together & stay:
            raise InputError(
                f"record {row}: {' and '.join(sorted(together))} changed one value in one piece, so they can only be "
                "undone together; name all of them",
                name,
            )
        if not together & gone:
            yield cut
        elif row == last:  # the comma behind it separated it from elements that do not come back
            element = cut.original.rstrip(b" \t\r\n,")
            yield Cut(cut.start + len(element), cut.original[len(element) :])


def _named(path: Path, source: str) -> tuple[list[int], list[str]]:
    """Row and finder of each cut of a source, in order."""
    try:
        table = pq.read_table(path, columns=["row", "finder"], filters=[("source", "=", source)])
        return table["row"].to_pylist(), table["finder"].to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(
            f"the ledger is damaged here, or of an earlier version that did not note the finders ({error}). "
            "Restore all, and clean again",
            path,
        ) from error


def _last_of_none(ledger: Ledger, source: Mapping[str, Any], done: Changes, left: Changes) -> int | None:
    """The last element that comes back into a JSON array of which nothing was kept."""
    table = ledger.decisions.filter(pc.equal(ledger.decisions["source"], source["name"]))
    records = source["records"] + pc.sum(pc.equal(table["action"], "reject")).as_py()
    back = np.setdiff1d(done.gone, left.gone)
    return int(back[-1]) if source["format"] == "json" and len(done.gone) == records and len(back) else None


def _cleaned(out: Path, source: Mapping[str, Any]) -> Path:
    """The cleaned file, as cleaning left it."""
    kept = out / "data" / inside(source["name"])
    if not kept.is_file():
        raise InputError("the cleaned file is gone; without it the original cannot be put together", kept)
    if fingerprint_of(kept) != source["cleaned"]:
        raise ArtefactError(
            f"{kept} was changed after it was cleaned, so the original cannot be put together from it. "
            "Bring back the cleaned file, or clean the original again."
        )
    return kept


def inside(name: str) -> Path:
    """A source's name as a path that stays inside the folder it is joined to.

    Raises:
        InputError: It would lead out of there.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or (os.name == "nt" and "\\" in name) or not path.parts:
        raise InputError(f"the ledger names a file {name!r}, which leads out of its folder; it was tampered with")
    return Path(path)


def rows_gone(ledger: Ledger, source: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """int64, ascending: rows of a source that went."""
    return changes_of(ledger, source).gone


def changes_of(ledger: Ledger, source: str) -> Changes:
    """What was done to a source."""
    mine = ledger.decisions.filter(pc.equal(ledger.decisions["source"], source))
    label = next((entry.get("label_field") for entry in ledger.sources if entry["name"] == source), None)
    return changes_by_source(mine, label).get(source, Changes.none())


def _by_rows(kept: Path, ledger: Ledger, source: Mapping[str, Any], to: Path, left: Changes | None = None) -> None:
    """Rows put together again; where something is left of the changes, that is done to them anew."""
    aside = ledger.folder / "rows" / inside(source["name"])
    with (
        opened(kept, source["format"], str(kept)) as stay,
        opened(aside, source["format"], str(aside)) as touched,
        written_aside(to) as file,
        stay.like(file) as sink,
    ):
        tables = columnar.merged(stay, touched, changes_of(ledger, source["name"]))
        if left is not None:
            tables = (new for _, new in columnar.changed(tables, left, views.parse(source["view"]), source["name"]))
        for table in tables:
            sink(table)


def _exactly(original: Path, fingerprint: str, to: Path) -> None:
    if not original.is_file():
        raise InputError("the original in the ledger is gone", original)

    def prove(aside: Path) -> None:
        if fingerprint_of(aside) != fingerprint:
            raise ArtefactError(
                f"{original} is not the file that was cleaned: it was changed since. Bring back that file."
            )

    with written_aside(to, prove) as file, original.open("rb") as stream:
        shutil.copyfileobj(stream, file, CHUNK)


def _by_undo(kept: Path, ledger: Ledger, source: Mapping[str, Any], to: Path) -> None:
    name, compression = source["name"], source["compression"]
    digest = xxhash.xxh3_128()

    def pieces() -> Iterator[bytes | memoryview]:
        for piece in undo(decoded(kept, compression, name), ledger.cuts(name)):
            digest.update(piece)
            yield piece

    def prove(aside: Path) -> None:
        if digest.hexdigest() != source["content"] or (
            source["restore"] == "cuts" and fingerprint_of(aside) != source["fingerprint"]
        ):
            raise ArtefactError(f"what was put together for {name} is not the original; nothing was written")

    with written_aside(to, prove) as file:
        for piece in encoded(pieces(), compression):
            file.write(piece)

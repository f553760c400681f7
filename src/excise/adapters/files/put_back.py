"""Put back: the original of a cleaned source, out of the cleaned file and the ledger."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from excise.adapters.files import columnar, saved, views
from excise.adapters.files.changes import Changes, changes_by_source
from excise.adapters.files.containers import CHUNK, decoded, encoded
from excise.adapters.files.cuts import cuts_of
from excise.adapters.files.find import Input, Inputs
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import read
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
        InputError: The cleaned file is not there.
    """
    kept = _cleaned(out, source)
    if source["format"] == saved.BESIDE:
        with written_aside(to) as file:
            file.write(saved.adjusted(kept, to.parent))
        return
    done, left = changes_of(ledger, source), changes_of(ledger, source, only)
    if len(left.gone) == len(done.gone) and left.edits.num_rows == done.edits.num_rows:
        _exactly(kept, source["cleaned"], to)
    elif not len(left):
        put_back(out, ledger, source, to)
    elif source["format"] in columnar.FORMATS:
        _by_rows(kept, ledger, source, to, left)
    else:
        _anew(kept, ledger, source, to, left)


def _anew(kept: Path, ledger: Ledger, source: Mapping[str, Any], to: Path, left: Changes) -> None:
    """The original, put together aside, cleaned anew with what is left: one edit may have covered another."""
    to.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=to.name + ".", dir=to.absolute().parent) as folder:
        whole = Path(folder, "original")
        _by_undo(kept, ledger, {**source, "restore": "content"}, whole, packed=False)
        one = Input(source["name"], whole, source["format"], "", whole.stat().st_size, source["content"])
        fields = Fields(text=source["view"] or None, id=source["id_field"], label=left.label)
        reading = read(Inputs(whole.parent, (one,), False, ()), Path(folder, "views"), fields, corrupt="reject")
        cuts = (Cut(c.start, c.original, c.replacement) for c in cuts_of(reading, 0, left))
        with written_aside(to) as file:
            for piece in encoded(replay(decoded(whole, "", source["name"]), cuts), source["compression"]):
                file.write(piece)


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


def changes_of(ledger: Ledger, source: Mapping[str, Any], without: Collection[str] = ()) -> Changes:
    """What was done to a source, or would have been had some finders not acted.

    Args:
        ledger: The ledger.
        source: The source's entry in it.
        without: The finders that have not acted.
    """
    mine = ledger.decisions_of(source["name"])
    acted = pc.invert(pc.is_in(mine["finder"], pa.array(sorted(without), pa.string())))
    return changes_by_source(mine.filter(acted), source.get("label_field")).get(source["name"], Changes.none())


def _by_rows(kept: Path, ledger: Ledger, source: Mapping[str, Any], to: Path, left: Changes | None = None) -> None:
    """Rows put together again; where something is left of the changes, that is done to them anew."""
    aside = ledger.folder / "rows" / inside(source["name"])
    with (
        opened(kept, source["format"], str(kept)) as stay,
        opened(aside, source["format"], str(aside)) as touched,
        written_aside(to) as file,
        stay.like(file) as sink,
    ):
        tables = columnar.merged(stay, touched, changes_of(ledger, source))
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


def _by_undo(kept: Path, ledger: Ledger, source: Mapping[str, Any], to: Path, *, packed: bool = True) -> None:
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
        for piece in encoded(pieces(), compression if packed else ""):
            file.write(piece)

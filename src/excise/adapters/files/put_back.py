"""Put back: the original of a cleaned source, out of the cleaned file and the ledger."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow.compute as pc
import xxhash

from excise.adapters.files import columnar
from excise.adapters.files.changes import Changes, changes_by_source
from excise.adapters.files.containers import CHUNK, decoded, encoded
from excise.adapters.files.table_files import opened
from excise.errors import ArtefactError, InputError
from excise.journal import fingerprint_of, written_aside
from excise.ledger import Ledger, undo


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
    name, how = inside(source["name"]), source["restore"]
    kept = out / "data" / name
    if how == "original":
        _exactly(ledger.folder / "originals" / name, source, to)
        return
    if not kept.is_file():
        raise InputError("the cleaned file is gone; without it the original cannot be put together", kept)
    if fingerprint_of(kept) != source["cleaned"]:
        raise ArtefactError(
            f"{kept} was changed after it was cleaned, so the original cannot be put together from it. "
            "Bring back the cleaned file, or clean the original again."
        )
    if how == "same":
        _exactly(kept, source, to)
    elif source["format"] in columnar.FORMATS:
        _by_rows(kept, ledger, source, to)
    else:
        _by_undo(kept, ledger, source, to)


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
    return changes_by_source(mine, label).get(source, Changes.of(np.zeros(0, np.int64)))


def _by_rows(kept: Path, ledger: Ledger, source: Mapping[str, Any], to: Path) -> None:
    aside = ledger.folder / "rows" / inside(source["name"])
    with (
        opened(kept, source["format"], str(kept)) as stay,
        opened(aside, source["format"], str(aside)) as touched,
        written_aside(to) as file,
        stay.like(file) as sink,
    ):
        for table in columnar.merged(stay, touched, changes_of(ledger, source["name"])):
            sink(table)


def _exactly(original: Path, source: Mapping[str, Any], to: Path) -> None:
    if not original.is_file():
        raise InputError("the original in the ledger is gone", original)

    def prove(aside: Path) -> None:
        if fingerprint_of(aside) != source["fingerprint"]:
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

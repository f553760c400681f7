"""Write: the cleaned file of each source, and the proof that the original can be put back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import xxhash

from excise.adapters.files import columnar, saved, views
from excise.adapters.files.changes import Changes, Int64s
from excise.adapters.files.containers import CHUNK, decoded, encoded
from excise.adapters.files.cuts import (
    CHANGED,
    unchanged,
)
from excise.adapters.files.read import Content
from excise.adapters.files.table_files import opened
from excise.corpus import Source
from excise.errors import ArtefactError, InputError
from excise.journal import fingerprint_of, written_aside
from excise.ledger import Cut, cuts_in, replay, undo

#: Decoded bytes read at a time while writing, so that slow compressors can say how far they are.
_PIECE = 1 << 20


def write_source(
    source: Source,
    content: Content,
    gone: Changes | Int64s,
    data: Path,
    ledger: Path,
    promise: Literal["bytes", "content"],
    told: Callable[[int], None],
) -> dict[str, Any]:
    """Write one cleaned file, prove that its original can be put back, and keep what that takes.

    Args:
        source: Where it was read.
        content: What is in it.
        gone: What is done to its records, or int64, ascending: rows that go.
        data: Folder of the cleaned files.
        ledger: Folder of the ledger; removed.parquet is written already.
        promise: Whether the file must come back bit for bit, or its records only.
        told: Told how many of its decoded bytes are dealt with.

    Returns:
        How it is restored ('same', 'cuts', 'original' or 'content'), the cleaned file's fingerprint and size, and the
        bytes in the ledger that this costs.

    Raises:
        InputError: The source was changed since it was read.
        ArtefactError: The original could not be rebuilt from what was written.
    """
    path, original = data / source.name, Path(source.path)
    changes = Changes.of(gone)
    shared = {"label_field": changes.label}
    if source.format == saved.BESIDE:
        return {**_write_beside(source, path, ledger), **shared}
    if not len(changes):
        _copy(original, path, source)
        return {**_told("same", path), **shared}
    price = 0
    with unchanged(source):
        if source.format in columnar.FORMATS:
            price = _write_rows(source, changes, path, ledger / "rows" / source.name)
        else:
            _write_bytes(source, content, path, ledger, told)
    if source.format not in columnar.FORMATS and not source.compression:
        return {**_told("cuts", path), **shared}
    if promise == "content":
        return {**_told("content", path, price), **shared}
    _copy(original, ledger / "originals" / source.name, source)  # no link: who writes into theirs would change ours
    return {**_told("original", path, price + source.size_bytes), **shared}


def _write_bytes(source: Source, content: Content, path: Path, ledger: Path, told: Callable[[int], None]) -> None:
    def cuts() -> Iterator[Cut]:
        return cuts_in(ledger / "removed.parquet", source.name)

    def prove(aside: Path) -> None:
        digest = xxhash.xxh3_128()
        for piece in undo(decoded(aside, source.compression, source.name), cuts()):
            digest.update(piece)
        if digest.hexdigest() != content.fingerprint:
            raise ArtefactError(f"{source.name}: the original could not be rebuilt from what was written")

    def cleaned() -> Iterator[bytes | memoryview]:
        done = 0
        for piece in replay(decoded(Path(source.path), source.compression, source.name, size=_PIECE), cuts()):
            yield piece
            done += len(piece)
            told(done)

    with written_aside(path, prove) as file:
        for piece in encoded(cleaned(), source.compression):
            file.write(piece)


def _write_rows(source: Source, changes: Changes, path: Path, rows: Path) -> int:
    """Write kept and touched rows, prove that they make up the original; bytes of the touched ones."""
    original, view = Path(source.path), views.parse(source.view)
    with opened(original, source.format, source.name) as whole:
        with written_aside(rows) as touched, written_aside(path) as kept:
            columnar.split(whole, changes, view, source.name, kept, touched)
        with opened(path, source.format, str(path)) as stay, opened(rows, source.format, str(rows)) as aside:
            same = columnar.same_rows(whole, columnar.merged(stay, aside, changes))
    if not same or fingerprint_of(original) != source.fingerprint:
        raise ArtefactError(f"{source.name}: the rows could not be put together again")
    return rows.stat().st_size


def _write_beside(source: Source, path: Path, ledger: Path) -> dict[str, Any]:
    """Write a file that goes along with data written before."""
    original = Path(source.path)
    new = saved.adjusted(original, path.parent)
    if new == original.read_bytes():
        _copy(original, path, source)
        return _told("same", path)
    with written_aside(path) as file:
        file.write(new)
    _copy(original, ledger / "originals" / source.name, source)
    return _told("original", path, source.size_bytes)


def _told(restore: str, path: Path, ledger_bytes: int = 0) -> dict[str, Any]:
    return {
        "restore": restore,
        "cleaned": fingerprint_of(path),
        "cleaned_bytes": path.stat().st_size,
        "ledger_bytes": ledger_bytes,
    }


def _copy(original: Path, path: Path, source: Source) -> None:
    def prove(aside: Path) -> None:
        if fingerprint_of(aside) != source.fingerprint:
            raise InputError(CHANGED, source.name)

    with written_aside(path, prove) as file, original.open("rb") as stream:
        shutil.copyfileobj(stream, file, CHUNK)

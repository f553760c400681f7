"""Look: the text of one record after cleaning — out of the cleaned file if it stayed, out of the ledger if it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.adapters.files import columnar, saved
from excise.adapters.files.containers import decoded, with_head
from excise.adapters.files.extract import Columns
from excise.adapters.files.find import Input
from excise.adapters.files.layouts import Fields, parsed
from excise.adapters.files.put_back import changes_of, inside
from excise.errors import ArtefactError, InputError
from excise.journal import fingerprint_of
from excise.ledger import Ledger

_Entry = Mapping[str, Any]


def removed_text(out: Path, ledger: Ledger, source: _Entry, row: int) -> str:
    """Text view of a record that was dropped; the raw bytes as text where it could not be read.

    Of a columnar source also that of a record that was changed, as it was.
    """
    if source["format"] in columnar.FORMATS:
        changes = changes_of(ledger, source)
        place = int(np.searchsorted(np.union1d(changes.gone, changes.changed), row))
        return _nth(_records(source, ledger.folder / "rows" / inside(source["name"])), place)
    raw = ledger.removed(source["name"], row)
    try:
        if source["format"] == "json":
            whole = b"[" + raw.strip(b" \t\r\n,") + b"]"
        elif source["format"] in {"csv", "tsv"}:
            whole = _header(out, source) + raw
        else:
            whole = raw
        return _nth((columns for _, columns, _ in parsed(_input(source, out), _fields(source), iter([whole]))), 0)
    except InputError:
        return raw.decode("utf-8", "replace").strip()


def kept_text(out: Path, ledger: Ledger, source: _Entry, row: int) -> str:
    """Text view of a record that stayed, by its row in the original.

    Raises:
        InputError: There is no such row.
    """
    place = row - int(np.searchsorted(changes_of(ledger, source).gone, row))
    return _nth(_records(source, _kept(out, source)), place)


def kept_by_id(out: Path, ledger: Ledger, locus: str) -> str | None:
    """Text view of a record that stayed, by the user's own id or by 'file#row'; None if there is none."""
    for source in ledger.sources:
        if source["id_field"] is not None and source["format"] != saved.BESIDE:
            for columns in _records(source, _kept(out, source)):
                place = pc.index(columns.ids, pa.scalar(locus, pa.string())).as_py()
                if place >= 0:
                    return str(columns.texts[place].as_py())
    name, _, row = locus.rpartition("#")
    for source in ledger.sources:
        if source["id_field"] is None and source["name"] == name and row.isdecimal():
            try:
                return kept_text(out, ledger, source, int(row))
            except InputError:
                return None
    return None


def _kept(out: Path, source: _Entry) -> Path:
    """The cleaned file, which must be as cleaning left it: rows are counted in it.

    Raises:
        ArtefactError: It was changed or is gone.
    """
    path = out / "data" / inside(source["name"])
    if not path.is_file() or fingerprint_of(path) != source["cleaned"]:
        raise ArtefactError(f"{path} was changed after it was cleaned, so its records can no longer be told apart.")
    return path


def _records(source: _Entry, path: Path) -> Iterator[Columns]:
    one, fields = _input(source, path), _fields(source)
    if source["format"] in columnar.FORMATS:
        found = columnar.parsed(one, fields, lambda size_bytes: None)
    else:
        found = parsed(one, fields, decoded(path, one.compression, one.name))
    return (columns for _, columns, _ in found)


def _input(source: _Entry, path: Path) -> Input:
    return Input(source["name"], path, source["format"], source["compression"], 0, "")


def _fields(source: _Entry) -> Fields:
    return Fields(text=source["view"] or None, id=source["id_field"])


def _nth(found: Iterator[Columns], place: int) -> str:
    for columns in found:
        if place < len(columns.texts):
            return str(columns.texts[place].as_py())
        place -= len(columns.texts)
    raise InputError("there is no such record")


def _header(out: Path, source: _Entry) -> bytes:
    path = out / "data" / inside(source["name"])
    head, _ = with_head(decoded(path, source["compression"], source["name"]))
    at = 0  # a header may hold line ends inside quotes; those come in pairs of quotes
    while (at := head.find(b"\n", at) + 1) > 0:
        if head.count(b'"', 0, at) % 2 == 0:
            return head[:at]
    return head + b"\n"

"""restore: the original data back from the output of `clean`, bit for bit, proved before it gets its name.

Or what some finders did undone, and all else left as it is.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.adapters.files.changes import touches
from excise.adapters.files.put_back import changes_of, inside, put_back, put_back_only
from excise.errors import InputError, OutputError, SettingError
from excise.journal import Progress, silent
from excise.ledger import Ledger
from excise.pipeline.explain import model_evidence


@dataclass(frozen=True)
class RestoreResult:
    """What was restored.

    Attributes:
        to: The file or folder.
        files: Number of files.
        bitwise: Whether each file has the original's bytes; False where only records were promised.
        only: The finders whose work was undone; empty where all of it was.
        warnings: What the user should know.
    """

    to: Path
    files: int
    bitwise: bool
    only: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        told: dict[str, Any] = {"to": str(self.to), "files": self.files, "bitwise": self.bitwise, "status": "done"}
        told |= {"only": list(self.only)} if self.only else {}
        return {**told, "warnings": list(self.warnings)} if self.warnings else told


def restore(out: str | Path, to: str | Path, *, only: Sequence[str] = (), progress: Progress = silent) -> RestoreResult:
    """Put the original data back together, or undo what some finders did.

    Args:
        out: The folder that `clean` made.
        to: Where the original goes: a file where one file was cleaned (or a folder to put it in, if it is there
            already), else a folder to make.
        only: Finders to undo: the result is the data as if these had not acted; all else that was removed or changed
            stays so. Everything is undone if empty.
        progress: Told how many files are back.

    Returns:
        Where it is, and whether it is the original bit for bit.

    Raises:
        SettingError: `only` names a finder that did nothing here.
        InputError: `out` holds no ledger of data.
        OutputError: `to` exists.
        ArtefactError: The cleaned data were changed, or the result is not the original.
    """
    home, target = Path(out), Path(to)
    ledger = Ledger.of_output(home)
    if not ledger.sources:
        with model_evidence(home) as evidence:
            name = evidence["model"]
        raise InputError(
            f"this is a compressed model; the original, {name}, is not in the ledger: weights that were removed "
            "are not kept. Use the model it was made from",
            home,
        )
    _refuse_idle(ledger, only)

    def write(source: Mapping[str, Any], path: Path) -> None:
        if only:
            put_back_only(home, ledger, source, path, only)
        else:
            put_back(home, ledger, source, path)

    single = len(ledger.sources) == 1 and not ledger.sources[0]["folder"]
    if single:
        if target.is_dir():
            target = target / inside(ledger.sources[0]["name"])
        _refuse_existing(target)
        write(ledger.sources[0], target)
    else:
        _refuse_existing(target)
        _folder(ledger, target, write, progress)
    bitwise = not only and all(source["restore"] != "content" for source in ledger.sources)
    return RestoreResult(target, len(ledger.sources), bitwise, tuple(only), _warnings(ledger, only))


def _refuse_idle(ledger: Ledger, only: Sequence[str]) -> None:
    if isinstance(only, str):
        raise SettingError(f"only is {only!r}; give a list, such as ['{only}'].")
    acted = Counter(ledger.decisions["finder"].filter(touches(ledger.decisions)).to_pylist())
    for finder in only:
        if finder not in acted:
            told = ", ".join(f"{name} ({count:,})" for name, count in sorted(acted.items())) or "none"
            raise SettingError(f"only has {finder!r}; it must be among the finders that did something here: {told}.")


def _warnings(ledger: Ledger, only: Sequence[str]) -> tuple[str, ...]:
    """Of a record that was dropped nothing was masked: what comes back has to be looked at anew."""
    undone = pc.is_in(ledger.decisions["finder"], pa.array([*only], pa.string()))
    masks = pc.is_in(ledger.decisions["action"], pa.array(["cut", "mask"]))
    inside = ledger.decisions["finder"].filter(pc.and_(masks, pc.invert(undone))).unique().to_pylist()
    count = sum(
        len(np.setdiff1d(changes_of(ledger, source).gone, changes_of(ledger, source, only).gone))
        for source in (ledger.sources if inside else ())
    )
    if not count:
        return ()
    records = "1 record comes" if count == 1 else f"{count:,} records come"
    finders = " and ".join(sorted(inside))
    return (f"{records} back whole, in which {finders} changed nothing; run {finders} on the result.",)


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise OutputError(f"{target} exists already. Name another place for the original.")


def _folder(ledger: Ledger, target: Path, write: Callable[[Mapping[str, Any], Path], None], progress: Progress) -> None:
    """All files into a folder that gets its name when they are complete."""
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=target.name + ".", dir=target.absolute().parent) as folder:
        partial = Path(folder) / "data"
        for done, source in enumerate(ledger.sources):
            progress("restoring", done, len(ledger.sources))
            write(source, partial / inside(source["name"]))
        progress("restoring", len(ledger.sources), len(ledger.sources))
        partial.rename(target)

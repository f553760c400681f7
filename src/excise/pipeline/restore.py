"""restore: the original data back from the output of `clean`, bit for bit, proved before it gets its name."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from excise.adapters.files.put_back import inside, put_back
from excise.errors import InputError, OutputError
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
    """

    to: Path
    files: int
    bitwise: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"to": str(self.to), "files": self.files, "bitwise": self.bitwise, "status": "done"}


def restore(out: str | Path, to: str | Path, *, progress: Progress = silent) -> RestoreResult:
    """Put the original data back together.

    Args:
        out: The folder that `clean` made.
        to: Where the original goes: a file where one file was cleaned (or a folder to put it in, if it is there
            already), else a folder to make.
        progress: Told how many files are back.

    Returns:
        Where it is, and whether it is the original bit for bit.

    Raises:
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
    single = len(ledger.sources) == 1 and not ledger.sources[0]["folder"]
    if single:
        if target.is_dir():
            target = target / inside(ledger.sources[0]["name"])
        _refuse_existing(target)
        put_back(home, ledger, ledger.sources[0], target)
    else:
        _refuse_existing(target)
        _folder(home, ledger, target, progress)
    bitwise = all(source["restore"] != "content" for source in ledger.sources)
    return RestoreResult(target, len(ledger.sources), bitwise)


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise OutputError(f"{target} exists already. Name another place for the original.")


def _folder(home: Path, ledger: Ledger, target: Path, progress: Progress) -> None:
    """All files into a folder that gets its name when they are complete."""
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=target.name + ".", dir=target.absolute().parent) as folder:
        partial = Path(folder) / "data"
        for done, source in enumerate(ledger.sources):
            progress("restoring", done, len(ledger.sources))
            put_back(home, ledger, source, partial / inside(source["name"]))
        progress("restoring", len(ledger.sources), len(ledger.sources))
        partial.rename(target)

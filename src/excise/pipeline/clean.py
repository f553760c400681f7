"""clean: duplicates out of a corpus, with a ledger that gives the original back and a report that says what went."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from excise import __version__
from excise.adapters.files.find import Inputs, find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import just_do
from excise.adapters.files.write import collect, write_source
from excise.corpus import Source
from excise.errors import GuardRailError, SettingError, UserError
from excise.evidence import report
from excise.journal import Journal, Progress, silent, write_json, written_aside
from excise.ledger import write_decisions, write_sources
from excise.pipeline.choices import checked
from excise.pipeline.clean_evidence import evidence_of
from excise.pipeline.study import Study, study


@dataclass(frozen=True)
class CleanResult:
    """What cleaning did, or with a dry run would do.

    Attributes:
        out: The output folder; None for a dry run.
        evidence: What OUT/evidence.json holds, in plain values.
        skipped: Steps that an earlier, interrupted run had finished.
    """

    out: Path | None
    evidence: Mapping[str, Any]
    skipped: tuple[str, ...] = ()

    @property
    def removed(self) -> int:
        """Records removed as redundant."""
        return sum(self.evidence["removed"].values())

    @property
    def kept(self) -> int:
        """Records that stay."""
        return int(self.evidence["after"]["records"])

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "out": None if self.out is None else str(self.out),
            "report": None if self.out is None else str(self.out / "report.html"),
            "skipped": list(self.skipped),
            **self.evidence,
        }


def clean(
    data: str | Path | Sequence[str | Path],
    out: str | Path | None,
    *,
    text: str | None = None,
    on: str | None = None,
    id: str | None = None,
    label: str | None = None,
    finders: Sequence[str] = ("exact", "normalised", "near"),
    threshold: float | None = None,
    settings: Mapping[str, Any] | None = None,
    actions: Mapping[str, str] | None = None,
    keep: str = "first",
    within: bool = False,
    per_cluster: int = 1,
    restore: Literal["bytes", "content"] = "bytes",
    corrupt: Literal["stop", "reject"] = "stop",
    allow_large: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> CleanResult:
    r"""Remove records that repeat others; records that stay are written byte for byte as they were.

    Args:
        data: A file, a directory, a glob, or a list of those.
        out: Folder to make; may be None for a dry run.
        text: Field or template such as '{question}\n{answer}' that is compared; detected if None.
        on: Field on which alone duplicates are found, instead of `text`.
        id: Field with ids; file name and row if None.
        label: Field with labels; removals whose labels disagree are named in the ledger and counted.
        finders: Any of recipe.FINDERS; they run in that order.
        threshold: Jaccard similarity of 5-word sequences from which near texts are duplicates, in (0, 1]; 0.8 if None.
        settings: Settings of finders by finder, as mappings or as their dataclasses.
        actions: What is done about what a finder finds, by finder, where that is not what it does anyhow.
        keep: Who of a cluster stays: first, last, longest, shortest, highest:FIELD or lowest:FIELD.
        within: Compare only records of one label.
        per_cluster: Records of each cluster that stay.
        restore: 'bytes': the original comes back bit for bit; 'content': its records do, and compressed files cost
            no copy of the original.
        corrupt: 'stop' at a record that cannot be read, or 'reject' it into the ledger.
        allow_large: Go on where a source of 1,000 records or more loses over half, to near duplicates or for having
            no text.
        dry_run: Find and count, write nothing.
        overwrite: Replace a finished OUT.
        progress: Told what goes on.

    Returns:
        Counts, warnings and pairs; where they lie.

    Raises:
        SettingError: A setting is out of range.
        InputError: The data cannot be read as they stand.
        OutputError: OUT exists or belongs to another run.
        GuardRailError: A removal so large that it is probably wrong; `allow_large` says which.
    """
    choices = checked(
        finders,
        settings or {},
        actions or {},
        threshold=threshold,
        keep=keep,
        within=within,
        per_cluster=per_cluster,
        restore=restore,
        corrupt=corrupt,
    )
    fields = Fields(text, on, id, label)
    if dry_run:
        inputs = find(data, progress=progress)
        with tempfile.TemporaryDirectory(prefix="excise-") as folder:
            found = study(inputs, Path(folder), fields, choices, just_do, progress)
            return CleanResult(None, {**evidence_of(found, fields, {}, ()), "status": "dry_run"})
    if out is None:
        raise SettingError("out is not given; name the folder to make, or ask for a dry run.")
    target = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a linked OUT
    inputs = find(data, without=[target, target.with_name(target.name + ".partial")], progress=progress)
    read = [one.path for one in inputs.files]
    began = time.monotonic()
    fingerprint = {
        "command": "clean",
        "version": __version__,
        "inputs": {one.name: one.fingerprint for one in inputs.files},
        "folder": inputs.folder,
        **choices.as_dict(),
        "text": text,
        "on": on,
        "id": id,
        "label": label,
    }
    with Journal(target, fingerprint, "ledger", inputs=read, overwrite=overwrite, progress=progress) as journal:
        try:
            found = study(inputs, journal.work, fields, choices, journal.step, progress)
            if found.stop is not None and not allow_large:
                raise GuardRailError(found.stop)
            written = _write(found, inputs, journal, restore, fields, progress)
        except UserError:  # what has to be mended changes the run's fingerprint: nothing here can be gone on with
            journal.discard()
            raise
        evidence = evidence_of(found, fields, written, inputs.skipped)
        evidence["seconds"] = round(time.monotonic() - began, 2)
        write_json(journal.folder / "evidence.json", evidence)
        report.write(journal.folder / "report.html", evidence)
        skipped = tuple(journal.skipped)
        journal.finish()
    return CleanResult(Path(out), evidence, skipped)


def _write(
    found: Study,
    inputs: Inputs,
    journal: Journal,
    restore: Literal["bytes", "content"],
    fields: Fields,
    progress: Progress,
) -> dict[str, Any]:
    """Ledger and cleaned files; by source, how it is restored and at what price."""
    ledger, data, gone = journal.folder / "ledger", journal.folder / "data", found.gone()
    sources = found.reading.corpus.sources
    decisions, removed = ledger / "decisions.parquet", ledger / "removed.parquet"

    def decide() -> None:
        with written_aside(decisions) as file:
            write_decisions(found.decisions, file)

    journal.step("decisions", decide, [decisions])
    cut = journal.step("removed records", lambda: collect(found.reading, gone, removed), [removed])
    contents = found.reading.contents
    written: dict[str, Any] = {}
    total, done = sum(content.size_bytes for content in contents), 0
    for index, source in enumerate(sources):
        progress("writing", done, total)
        rows = gone.get(source.name, np.zeros(0, np.int64))

        def work(
            index: int = index, source: Source = source, rows: NDArray[np.int64] = rows, before: int = done
        ) -> dict[str, Any]:
            return write_source(
                source, contents[index], rows, data, ledger, restore, lambda n: progress("writing", before + n, total)
            )

        result = journal.step(f"write {source.name}", work, [data / source.name])
        written[source.name] = {**result, "cut_bytes": cut.get(source.name, 0)}
        done += contents[index].size_bytes
    progress("writing", done, total)
    shared = {"folder": inputs.folder, "id_field": fields.id}
    extras = [{**written[s.name], "content": c.fingerprint, **shared} for s, c in zip(sources, contents, strict=True)]
    with written_aside(ledger / "sources.json") as file:
        write_sources(zip(sources, extras, strict=True), file)
    return written

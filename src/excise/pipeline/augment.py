"""augment: changed copies of records added to a corpus, with a ledger that says where each comes from."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise import __version__
from excise.adapters.files import columnar, rewrite, views
from excise.adapters.files.find import Inputs, find
from excise.adapters.files.read import Reading, Step, just_do, read
from excise.adapters.files.write import write_source
from excise.corpus import Source
from excise.data.augment.copies import missing
from excise.data.augment.draw import Balancing
from excise.data.augment.protect import PROTECTED
from excise.errors import InputError, SettingError, UserError
from excise.evidence import report
from excise.journal import Journal, Progress, silent, write_json, written_aside
from excise.ledger import CUTS, DECISIONS, write_decisions, write_sources
from excise.pipeline.added_rows import draw_rows, write_rows
from excise.pipeline.additions import write_additions
from excise.pipeline.augment_evidence import evidence_of
from excise.pipeline.augment_plan import Plan, planned

#: Names of files and folders that hold what a model is judged by. A made-up copy has no place there.
_HELD_OUT = re.compile(
    r"(?:^|[^a-z])(?:tests?|testing|valid|validation|val|dev|devel|eval|evaluation|held[-_]?out|hold[-_]?out)"
    r"(?:[^a-z]|$)"
)

#: More classes than this are no classes: most likely the wrong field.
_CLASSES = 10_000


@dataclass(frozen=True)
class AugmentResult:
    """What augmentation did, or with a dry run would do.

    Attributes:
        out: The output folder; None for a dry run.
        evidence: What OUT/evidence.json holds, in plain values.
        skipped: Steps that an earlier, interrupted run had finished.
    """

    out: Path | None
    evidence: Mapping[str, Any]
    skipped: tuple[str, ...] = ()

    @property
    def added(self) -> int:
        """Records added."""
        return sum(self.evidence["added"].values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "out": None if self.out is None else str(self.out),
            "report": None if self.out is None else str(self.out / "report.html"),
            "skipped": list(self.skipped),
            **self.evidence,
        }


def augment(
    data: str | Path | Sequence[str | Path],
    out: str | Path | None,
    *,
    op: Sequence[str],
    copies: int | None = None,
    share: float = 1.0,
    balance: str | None = None,
    text: str | None = None,
    label: str | None = None,
    id: str | None = None,
    protect: Sequence[str] = tuple(PROTECTED),
    mask_token: str = "<mask>",
    held_out: bool = False,
    marks: bool = True,
    corrupt: Literal["stop", "reject"] = "stop",
    seed: int = 0,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> AugmentResult:
    """Add changed copies of records to each file; the records that were there stay byte for byte as they were.

    A copy is its parent's record with another text, put behind the last record of the same file, so that no copy
    crosses from training to test data. Its label, and every other field, is its parent's.

    Args:
        data: A file, a directory, a glob, or a list of those.
        out: Folder to make; may be None for a dry run.
        op: Operations NAME=RATE, of noise, keyboard, ocr, homoglyph, drop, swap, crop, mask; '+' joins several that
            are done one after the other. Each added record is made by one operation.
        copies: Added records for each chosen record and operation; 1 if None.
        share: Fraction of the records that are chosen, in (0, 1].
        balance: Field with classes, and perhaps '=' and a share in (0, 1]: instead of `copies`, each class gets as
            many as it lacks to that share (1 if absent) of the largest class.
        text: The field that is changed; detected if None.
        label: Field with labels, to count them by; that of `balance` if None.
        id: Field with ids, which are made unique; file name and row if None.
        protect: What is never changed: urls, numbers, code (in backticks), masks.
        mask_token: What `mask` puts in.
        held_out: Augment files too whose names say test, valid, dev, eval or held out.
        marks: Add the fields `augmented_from` and `augmentation` to copies in JSON and parquet files. Csv, text and
            saved datasets have no room for them; the ledger has it all.
        corrupt: 'stop' at a record that cannot be read, or 'reject': leave it as it is and go on.
        seed: Of all draws. What becomes of a record depends on it, on the record's id, the operation and the copy.
        dry_run: Make and count copies, write nothing.
        overwrite: Replace a finished OUT.
        progress: Told what goes on.

    Returns:
        Counts, examples, and where they lie.

    Raises:
        SettingError: A setting is out of range.
        InputError: The data cannot be read as they stand.
        OutputError: OUT exists or belongs to another run.
    """
    plan = planned(op, copies, share, balance, text, label, id, protect, mask_token, held_out, marks, corrupt, seed)
    if dry_run:
        inputs = find(data, progress=progress)
        with tempfile.TemporaryDirectory(prefix="excise-") as folder:
            reading, tallies = _made(inputs, Path(folder), plan, just_do, progress)
            evidence = evidence_of(reading, tallies, plan.as_dict(), {}, inputs.skipped)
            return AugmentResult(None, {**evidence, "status": "dry_run"})
    if out is None:
        raise SettingError("out is not given; name the folder to make, or ask for a dry run.")
    target = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a linked OUT
    inputs = find(data, without=[target, target.with_name(target.name + ".partial")], progress=progress)
    began = time.monotonic()
    fingerprint = {
        "command": "augment",
        "version": __version__,
        "inputs": {one.name: one.fingerprint for one in inputs.files},
        "folder": inputs.folder,
        **plan.as_dict(),
    }
    read_from = [one.path for one in inputs.files]
    with Journal(target, fingerprint, "ledger", inputs=read_from, overwrite=overwrite, progress=progress) as journal:
        try:
            reading, tallies = _made(inputs, journal.work, plan, journal.step, progress)
            written = _write(reading, tallies, inputs, journal, plan, progress)
        except UserError:  # what has to be mended changes the run's fingerprint: nothing here can be gone on with
            journal.discard()
            raise
        evidence = evidence_of(reading, tallies, plan.as_dict(), written, inputs.skipped)
        evidence["seconds"] = round(time.monotonic() - began, 2)
        write_json(journal.folder / "evidence.json", evidence)
        report.write(journal.folder / "report.html", evidence)
        skipped = tuple(journal.skipped)
        journal.finish()
    return AugmentResult(Path(out), evidence, skipped)


def _made(
    inputs: Inputs, folder: Path, plan: Plan, step: Step, progress: Progress
) -> tuple[Reading, list[dict[str, Any] | None]]:
    """Read, choose, and make the copies; by source a Tally in plain values, None where it is left alone."""
    reading = read(inputs, folder / "views", plan.fields, corrupt=plan.corrupt, step=step, progress=progress)
    sources = reading.corpus.sources
    taken = [plan.held_out or _HELD_OUT.search(source.name.lower()) is None for source in sources]
    if not any(taken):
        names = ", ".join(source.name for source in sources[:4])
        raise SettingError(
            f"every file looks like a test set by its name ({names}), and those are left alone; "
            "give --held-out to augment them."
        )
    for index, source in enumerate(sources):
        if taken[index] and source.records:
            _refuse_unfit(reading, index)
    counts = _counted(reading, taken, step) if plan.balance is not None else []
    tallies: list[dict[str, Any] | None] = []
    total, done = sum(content.size_bytes for content in reading.contents), 0
    parts = folder / "added"
    parts.mkdir(exist_ok=True)
    for index, source in enumerate(sources):
        if not taken[index] or not source.records:
            tallies.append(None)
            continue
        made, decided = _parts(folder, index)

        def work(
            index: int = index, source: Source = source, made: Path = made, decided: Path = decided, before: int = done
        ) -> dict[str, Any]:
            balancing = None if plan.balance is None else _balancing(counts, index, plan.balance, plan)
            if source.format in columnar.FORMATS:
                return draw_rows(reading, index, plan.drawing, balancing, made, decided)
            return write_additions(
                reading,
                index,
                plan.drawing,
                balancing,
                plan.marks,
                made,
                decided,
                lambda n: progress("augmenting", before + n, total),
            )

        tallies.append(step(f"augment {source.name}", work, [made, decided]))
        done += reading.contents[index].size_bytes
        progress("augmenting", done, total)
    return reading, tallies


def _parts(folder: Path, index: int) -> tuple[Path, Path]:
    """Files for the copies of one source and for the decisions about them."""
    return folder / "added" / f"{index:06d}.made", folder / "added" / f"{index:06d}.decisions"


def _refuse_unfit(reading: Reading, index: int) -> None:
    """Raise where the text of a source is not one field of text in a file that can be written."""
    source, fixed = reading.corpus.sources[index], reading.contents[index].fixed
    if source.format not in rewrite.FORMS and source.format not in columnar.FORMATS:
        raise InputError(
            f"{source.format} files cannot be augmented; write them as jsonl or parquet first", source.name
        )
    view = views.parse(source.view)
    if source.format != "txt" and (len(view.fields) != 1 or view.pieces != ("", "")):
        raise SettingError(
            f"text is {source.view!r} in {source.name}, which is more than one field; "
            f"say which one is changed with --text, such as --text {view.fields[0]}."
        )
    if fixed:
        raise InputError(
            f"the field {fixed!r} holds lists or objects; augmentation changes plain text. Name another with --text",
            source.name,
        )


def _counted(reading: Reading, taken: Sequence[bool], step: Step) -> list[dict[str, int]]:
    """Records by class of each source; nothing for those that are left alone.

    Raises:
        SettingError: No record has a class, or there are so many that they are none.
    """

    def work() -> dict[str, Any]:
        found: list[dict[str, int]] = []
        for index in range(len(taken)):
            counts: Counter[str] = Counter()
            for batch in reading.corpus.batches_of(index) if taken[index] else ():
                for entry in pc.value_counts(pc.drop_null(batch["label"])).to_pylist():
                    counts[entry["values"]] += entry["counts"]
            found.append(dict(sorted(counts.items())))
        return {"classes": found}

    classes: list[dict[str, int]] = step("count classes", work)["classes"]
    number = len(set().union(*classes))
    if not 1 < number <= _CLASSES:
        told = "has one value only" if number == 1 else f"has {number:,} values" if number else "is empty everywhere"
        raise SettingError(f"balance names {reading.fields.label!r}, which {told}; give a field with classes.")
    return classes


def _balancing(counts: Sequence[Mapping[str, int]], index: int, ratio: float, plan: Plan) -> Balancing:
    """What one source contributes to even classes: the sources before it have contributed theirs."""
    whole: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for place, classes in enumerate(counts):
        whole.update(classes)
        if place < index:
            before.update(classes)
    return Balancing(plan.drawing.texts.operations, missing(whole, ratio), whole, before)


def _write(
    reading: Reading,
    tallies: Sequence[dict[str, Any] | None],
    inputs: Inputs,
    journal: Journal,
    plan: Plan,
    progress: Progress,
) -> dict[str, Any]:
    """Ledger and augmented files; by source, how it is restored and at what price."""
    ledger, data = journal.folder / "ledger", journal.folder / "data"
    sources, contents = reading.corpus.sources, reading.contents
    grown = [index for index, tally in enumerate(tallies) if tally is not None and tally["added"]]
    _write_ledger(reading, grown, ledger, journal)
    written: dict[str, Any] = {}
    total, done = sum(content.size_bytes for content in contents), 0
    for index, source in enumerate(sources):

        def work(index: int = index, source: Source = source, before: int = done) -> dict[str, Any]:
            def told(size_bytes: int) -> None:
                progress("writing", before + size_bytes, total)

            if index in grown and source.format in columnar.FORMATS:
                made, _ = _parts(journal.work, index)
                kept = ledger / "originals" / source.name
                path, seed = data / source.name, plan.drawing.seed
                # the features of a saved dataset stand in a file beside it: there is no room for more columns
                marks = plan.marks and source.format == "parquet"
                return write_rows(source, made, path, kept, plan.fields.id, seed, marks, told)
            # write_source applies the ledger's cuts of a source about which there are any; which rows, it need not know
            rows = np.zeros(1 if index in grown else 0, np.int64)
            return write_source(source, contents[index], rows, data, ledger, "bytes", told)

        written[source.name] = journal.step(f"write {source.name}", work, [data / source.name])
        done += contents[index].size_bytes
        progress("writing", done, total)
    shared = {"folder": inputs.folder, "id_field": plan.fields.id}
    extras = [{**written[s.name], "content": c.fingerprint, **shared} for s, c in zip(sources, contents, strict=True)]
    with written_aside(ledger / "sources.json") as file:
        write_sources(zip(sources, extras, strict=True), file)
    return written


def _write_ledger(reading: Reading, grown: Sequence[int], ledger: Path, journal: Journal) -> None:
    """What was made source by source, as one ledger."""
    decisions, removed = ledger / "decisions.parquet", ledger / "removed.parquet"

    def decide() -> None:
        with contextlib.ExitStack() as stack:
            tables = [DECISIONS.empty_table()]
            for index in grown:
                mapped = stack.enter_context(pa.memory_map(str(_parts(journal.work, index)[1])))
                tables.append(pa.ipc.open_file(mapped).read_all())
            with written_aside(decisions) as file:
                write_decisions(pa.concat_tables(tables), file)

    def insert() -> None:
        with (
            written_aside(removed) as file,
            pq.ParquetWriter(file, CUTS, compression="zstd", use_dictionary=["source", "finder"]) as writer,
        ):
            for index in grown:
                if reading.corpus.sources[index].format in columnar.FORMATS:
                    continue
                with pq.ParquetFile(_parts(journal.work, index)[0]) as part:
                    for group in range(part.num_row_groups):
                        writer.write_table(part.read_row_group(group))

    journal.step("decisions", decide, [decisions])
    journal.step("added records", insert, [removed])

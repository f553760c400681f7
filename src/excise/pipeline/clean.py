"""clean: duplicates out of a corpus, with a ledger that gives the original back and a report that says what went."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from excise import __version__
from excise.adapters.files.changes import Changes
from excise.adapters.files.cuts import collect
from excise.adapters.files.find import Inputs, find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import just_do
from excise.adapters.files.write import write_source
from excise.corpus import Source
from excise.data.threads import Mapped, in_order
from excise.errors import GuardRailError, InputError, SettingError, UserError
from excise.evidence import report
from excise.journal import Journal, Progress, digest_of, silent, write_json, written_aside
from excise.ledger import write_decisions, write_sources
from excise.pipeline import weights_file
from excise.pipeline.beside import Beside, under
from excise.pipeline.choices import Choices, checked
from excise.pipeline.clean_evidence import evidence_of
from excise.pipeline.index import Index
from excise.pipeline.study import REFERENCES, Study, study

#: Which finders look at what is given beside the data.
_USERS = {
    "like": ("unlike", "perplexity"),
    "features": ("outliers", "labels", "values"),
    "encoder": ("semantic", "outliers", "values"),
    "vectors": ("semantic", "outliers", "values"),
    "probabilities": ("labels",),
    "scorer": ("perplexity",),
    "threshold": ("near",),
}


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
    against: str | Path | Sequence[str | Path] | None = None,
    against_text: str | None = None,
    like: str | Path | Sequence[str | Path] | None = None,
    index: str | Path | None = None,
    features: Sequence[str] = (),
    encoder: str | Path | None = None,
    vectors: str | Path | None = None,
    probabilities: str | Path | None = None,
    scorer: str | Path | None = None,
    review: str | Path | None = None,
    apply: str | Path | None = None,
    cache: str | Path | None = None,
    engine: str = "local",
    memory: str | None = None,
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
        finders: Any of data.catalogue.FINDERS; they run in that order.
        threshold: Jaccard similarity of 5-word sequences from which near texts are duplicates, in (0, 1]; 0.8 if None.
        settings: Settings of finders by finder, as mappings or as their dataclasses.
        actions: What is done about what a finder finds, by finder, where that is not what it does anyhow.
        keep: Who of a cluster stays: first, last, longest, shortest, highest:FIELD or lowest:FIELD.
        within: Compare only records of one label.
        per_cluster: Records of each cluster that stay.
        against: Data that are only compared with: earlier data, or evaluation sets for the finder 'contaminated'.
        against_text: Field or template of those and of `like`; `text` or `on` if None, detected if those are None too.
        like: Texts of the wanted kind, for the finders 'unlike' and 'perplexity'; none of the data's own.
        index: Folder with the records that earlier runs kept; what this run keeps is added to it.
        features: Numeric fields for the finders that look at numbers, or 'auto' for all there are; else those look at
            vectors of the texts.
        encoder: Folder of a model that makes those vectors: a transformers encoder, or a table of token vectors.
        vectors: A .npy file with such vectors, a row a record; references and then data.
        probabilities: Out-of-sample probabilities of the labels, for the finder 'labels', in place of a classifier of
            its own: a .npz, .npy or .parquet file (adapters.probabilities).
        scorer: Folder of a language model for the finder 'perplexity', in place of one of n-grams.
        review: A csv file to write what is proposed to, with an empty column for a person's decisions; without `out`
            that is all that is written.
        apply: Such a file with decisions; they go before what Excise would do, and are kept in the ledger.
        cache: Folder where what is measured is kept, so that a run with other thresholds does not measure it again.
        engine: 'local', all cores of this machine; or 'ray', the cluster that RAY_ADDRESS names, or a local one.
        memory: Limit on heap and anonymous maps, such as '1GB', kept by working on fewer cores; files that are mapped
            do not count.
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
    given: dict[str, Any] = {"like": like, "features": features, "encoder": encoder, "vectors": vectors}
    given |= {"probabilities": probabilities, "scorer": scorer, "threshold": threshold}
    _used(choices.finders, given)
    if within and label is None:
        raise SettingError("within is set, but no label is named; name the field with the labels.")
    if against_text is not None and against is None and like is None:
        raise SettingError(
            f"against_text is {against_text!r}, but nothing is given to compare with; give against or like."
        )
    fields = Fields(text, on, id, label, choices.order_field, tuple(features))
    with contextlib.ExitStack() as stack:
        beside = Beside(
            against=None if against is None else under("against", find(against, progress=progress)),
            against_text=against_text or text or on,
            like=None if like is None else under("like", find(like, progress=progress)),
            index=None if index is None else stack.enter_context(_opened(Path(index), choices, fields, dry_run)),
            encoder=_existing(encoder),
            vectors=_existing(vectors),
            probabilities=_existing(probabilities),
            scorer=_existing(scorer),
            review=None if review is None else Path(review),
            apply=_existing(apply),
            cache=None if cache is None else Path(cache),
            mapped=_engine(engine),
            memory_bytes=_bytes(memory, engine),
            cluster=engine != "local",
        )
        if dry_run or (out is None and review is not None):
            return _only_studied(data, fields, choices, beside, progress)
        if out is None:
            raise SettingError("out is not given; name the folder to make, or ask for a dry run.")
        return _cleaned(data, Path(out), fields, choices, beside, allow_large, overwrite, progress)


def _fingerprint(inputs: Inputs, fields: Fields, choices: Choices) -> dict[str, Any]:
    """What the result depends on, but for what is brought beside the data."""
    return {
        "command": "clean",
        "version": __version__,
        "inputs": {one.name: one.fingerprint for one in inputs.files},
        "folder": inputs.folder,
        **choices.as_dict(),
        **asdict(fields),
    }


def _used(finders: Sequence[str], given: Mapping[str, Any]) -> None:
    """Raise where something is given that no finder of the run looks at."""
    for name, value in given.items():
        if value and not set(finders) & set(_USERS[name]):
            users = " or ".join(_USERS[name])
            raise SettingError(f"{name} is given, which only {users} looks at; the finders are {', '.join(finders)}.")


def _opened(folder: Path, choices: Choices, fields: Fields, dry: bool) -> Index:
    return Index(folder, choices, {"text": fields.text, "on": fields.on, "label": fields.label}, dry=dry)


def _existing(path: str | Path | None) -> Path | None:
    if path is not None and not Path(path).exists():
        raise InputError("no such file or directory", path)
    return None if path is None else Path(path)


def _only_studied(
    data: str | Path | Sequence[str | Path], fields: Fields, choices: Choices, beside: Beside, progress: Progress
) -> CleanResult:
    """What would be done."""
    inputs = find(data, progress=progress)
    beside.check(inputs)
    if beside.index is not None:
        beside.index.without(digest_of(_fingerprint(inputs, fields, choices)))
    with tempfile.TemporaryDirectory(prefix="excise-") as folder:
        found = study(inputs, Path(folder), fields, choices, beside, just_do, progress)
        return CleanResult(None, {**evidence_of(found, fields, {}, (), found.measured.tables), "status": "dry_run"})


def _cleaned(
    data: str | Path | Sequence[str | Path],
    out: Path,
    fields: Fields,
    choices: Choices,
    beside: Beside,
    allow_large: bool,
    overwrite: bool,
    progress: Progress,
) -> CleanResult:
    """What was done."""
    began = time.monotonic()
    target = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a linked OUT
    inputs = find(data, without=[target, target.with_name(target.name + ".partial")], progress=progress)
    beside.check(inputs)
    fingerprint = _fingerprint(inputs, fields, choices)
    run = digest_of(fingerprint)
    if beside.index is not None:
        beside.index.without(run)
    fingerprint.update(beside.told)
    read = [one.path for one in inputs.files]
    with Journal(target, fingerprint, "ledger", inputs=read, overwrite=overwrite, progress=progress) as journal:
        try:
            found = study(inputs, journal.work, fields, choices, beside, journal.step, progress)
            if found.stop is not None and not allow_large:
                raise GuardRailError(found.stop)
            written = _write(found, inputs, journal, fields, progress)
        except UserError:  # what has to be mended changes the run's fingerprint: nothing here can be gone on with
            journal.discard()
            raise
        evidence = evidence_of(found, fields, written, inputs.skipped, found.measured.tables)
        evidence["seconds"] = round(time.monotonic() - began, 2)
        write_json(journal.folder / "evidence.json", evidence)
        report.write(journal.folder / "report.html", evidence)
        skipped = tuple(journal.skipped)
        if beside.index is not None:
            own, sketches = found.reading.corpus, found.measured.folders[found.corpus.references :]
            beside.index.add(run, own, found.gone_mask(), sketches)
        journal.finish()
    return CleanResult(out, evidence, skipped)


def _bytes(given: str | None, engine: str) -> int | None:
    """A size as a number of bytes."""
    if given is None:
        return None
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMG]?)B?\s*", given, re.IGNORECASE)
    if found is None:
        raise SettingError(f"memory is {given!r}; expected a size such as 800MB or 4GB.")
    if engine != "local":
        raise SettingError(
            f"memory is {given!r} beside engine {engine}; a cluster has limits of its own. Leave it out."
        )
    return int(float(found[1]) * {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}[found[2].upper()])


def _engine(name: str) -> Mapped:
    """The engine of this name."""
    if name == "local":
        return in_order
    if name == "ray":
        from excise.adapters.ray import on_ray

        return on_ray()
    raise SettingError(f"engine is {name!r}; it must be local or ray.")


def _write(
    found: Study,
    inputs: Inputs,
    journal: Journal,
    fields: Fields,
    progress: Progress,
) -> dict[str, Any]:
    """Ledger and cleaned files; by source, how it is restored and at what price."""
    ledger, data = journal.folder / "ledger", journal.folder / "data"
    changes = found.reading.changes(found.decisions)
    sources = found.reading.corpus.sources
    decisions, removed = ledger / "decisions.parquet", ledger / "removed.parquet"

    def decide() -> None:
        with written_aside(decisions) as file:
            write_decisions(found.decisions, file)

    journal.step("decisions", decide, [decisions])
    with (
        written_aside(ledger / "references.parquet") as file,
        pq.ParquetWriter(file, REFERENCES, compression="zstd") as writer,
    ):
        for table in found.references():
            writer.write_table(table)
    if "weigh" in found.choices.actions.values():
        with written_aside(journal.folder / "weights.parquet") as file:
            weights_file.write(found, file)
    cut = journal.step("removed records", lambda: collect(found.reading, changes, removed), [removed])
    contents = found.reading.contents
    written: dict[str, Any] = {}
    total, done = sum(content.size_bytes for content in contents), 0
    for index, source in enumerate(sources):
        progress("writing", done, total)
        changed = changes.get(source.name, Changes.none())

        def work(
            index: int = index, source: Source = source, changed: Changes = changed, before: int = done
        ) -> dict[str, Any]:
            return write_source(
                source,
                contents[index],
                changed,
                data,
                ledger,
                found.choices.restore,
                lambda n: progress("writing", before + n, total),
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

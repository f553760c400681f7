"""clean: duplicates out of a corpus, with a ledger that gives the original back and a report that says what went."""

from __future__ import annotations

import json
import os
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
from numpy.typing import NDArray

from excise import __version__
from excise.adapters.files.find import Inputs, find
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import Reading, Step, just_do, read
from excise.adapters.files.write import collect, write_source
from excise.corpus import Corpus, Source
from excise.data import exact, keep, near, rails
from excise.errors import GuardRailError, SettingError, UserError
from excise.evidence import report
from excise.finding import FINDINGS
from excise.journal import Journal, Progress, silent, written_aside
from excise.ledger import DECISIONS, write_decisions, write_sources

FINDERS = ("exact", "normalised", "near")

#: Pairs shown in the report, and how much of each text.
_PAIRS, _PAIR_CHARACTERS = 20, 2000


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
    finders: Sequence[str] = FINDERS,
    threshold: float = 0.8,
    keep: str = "first",
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
        label: Field with labels, kept in the view.
        finders: Any of exact, normalised, near; they run in this order.
        threshold: Jaccard similarity of 5-word sequences from which near texts are duplicates, in (0, 1].
        keep: Who of a group stays: 'first' or 'longest'.
        restore: 'bytes': the original comes back bit for bit; 'content': its records do, and compressed files cost
            no copy of the original.
        corrupt: 'stop' at a record that cannot be read, or 'reject' it into the ledger.
        allow_large: Go on where a source loses more than half to near duplicates.
        dry_run: Find and count, write nothing.
        overwrite: Replace a finished OUT.
        progress: Told what goes on.

    Returns:
        Counts, warnings and pairs; where they lie.

    Raises:
        SettingError: A setting is out of range.
        InputError: The data cannot be read as they stand.
        OutputError: OUT exists or belongs to another run.
        GuardRailError: A removal so large that it is probably wrong.
    """
    settings = _checked(finders, threshold, keep, restore, corrupt)
    fields = Fields(text, on, id, label)
    if dry_run:
        inputs = find(data, progress=progress)
        with tempfile.TemporaryDirectory(prefix="excise-") as folder:
            study = _study(inputs, Path(folder), fields, settings, just_do, progress)
            return CleanResult(None, {**_evidence(study, settings, fields, {}, ()), "status": "dry_run"})
    if out is None:
        raise SettingError("out is not given; name the folder to make, or ask for a dry run.")
    target = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a linked OUT
    _refuse_overlap(data, target)
    beside = [target.with_name(target.name + end) for end in ("", ".partial", ".replaced")]
    inputs = find(data, without=beside, progress=progress)
    began = time.monotonic()
    fingerprint = {
        "command": "clean",
        "version": __version__,
        "inputs": {one.name: one.fingerprint for one in inputs.files},
        "folder": inputs.folder,
        **settings,
        "text": text,
        "on": on,
        "id": id,
        "label": label,
    }
    with Journal(target, fingerprint, "ledger", overwrite=overwrite, progress=progress) as journal:
        try:
            study = _study(inputs, journal.work, fields, settings, journal.step, progress)
        except UserError:  # what has to be mended changes the run's fingerprint: nothing here can be gone on with
            journal.discard()
            raise
        if study.stop is not None and not allow_large:
            raise GuardRailError(study.stop)
        written = _write(study, inputs, journal, restore, fields, progress)
        evidence = _evidence(study, settings, fields, written, inputs.skipped)
        evidence["seconds"] = round(time.monotonic() - began, 2)
        with written_aside(journal.folder / "evidence.json") as file:
            file.write(json.dumps(evidence, indent=1, ensure_ascii=False).encode() + b"\n")
        report.write(journal.folder / "report.html", evidence)
        skipped = tuple(journal.skipped)
        return CleanResult(journal.finish(), evidence, skipped)


def _refuse_overlap(data: str | Path | Sequence[str | Path], target: Path) -> None:
    """Refuse an input inside OUT, which finishing would replace.

    Raises:
        SettingError: It is.
    """
    for entry in [data] if isinstance(data, str | Path) else data:
        if Path(os.path.abspath(entry)).is_relative_to(target):  # noqa: PTH100
            raise SettingError(f"out is {target}, which holds the input {entry}; name another output.")


def _checked(finders: Sequence[str], threshold: float, keep: str, restore: str, corrupt: str) -> dict[str, Any]:
    """The settings that the result depends on.

    Raises:
        SettingError: One is out of range.
    """
    allowed = {"keep": (keep, ("first", "longest")), "restore": (restore, ("bytes", "content"))}
    allowed["corrupt"] = (corrupt, ("stop", "reject"))
    for name, (value, choices) in allowed.items():
        if value not in choices:
            raise SettingError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
    for finder in finders:
        if finder not in FINDERS:
            raise SettingError(f"find is {finder!r}; it must be one of {', '.join(FINDERS)}.")
    if not finders:
        raise SettingError(f"find names no finder; give one or more of {', '.join(FINDERS)}.")
    near.NearSettings(threshold)
    return {
        "find": [finder for finder in FINDERS if finder in finders],
        "threshold": float(threshold),
        "keep": keep,
        "restore": restore,
        "corrupt": corrupt,
    }


@dataclass(frozen=True)
class _Study:
    """What was read, found and decided; nothing is written yet."""

    reading: Reading
    decisions: pa.Table
    similarities: Mapping[str, Any]
    warnings: tuple[str, ...]
    stop: str | None

    def gone(self) -> dict[str, NDArray[np.int64]]:
        """Rows that go, ascending, by source."""
        names, rows = self.decisions["source"].combine_chunks(), self.decisions["row"].to_numpy()
        coded = names.dictionary_encode()
        codes = coded.indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        borders = np.searchsorted(codes[order], np.arange(len(coded.dictionary) + 1))
        return {
            name: np.sort(rows[order[a:b]])
            for name, a, b in zip(coded.dictionary.to_pylist(), borders, borders[1:], strict=False)
        }


def _study(
    inputs: Inputs, folder: Path, fields: Fields, settings: Mapping[str, Any], step: Step, progress: Progress
) -> _Study:
    reading = read(inputs, folder / "views", fields, corrupt=settings["corrupt"], step=step, progress=progress)
    corpus = reading.corpus
    path = folder / "decisions.arrow"

    def work() -> dict[str, Any]:
        findings = _find(corpus, settings, folder, progress)
        decided = keep.decide(findings, corpus, settings["keep"])
        with written_aside(path) as file, pa.ipc.new_file(file, DECISIONS) as sink:
            sink.write_table(decided)
        edges = np.linspace(settings["threshold"], 1.0, 21)
        similar = findings.filter(pc.equal(findings["finder"], "near"))["redundancy"].to_numpy()
        return {"edges": edges.round(6).tolist(), "counts": np.histogram(similar, edges)[0].tolist()}

    similarities = step("find", work, [path])
    with pa.memory_map(str(path)) as mapped:
        decided = pa.ipc.open_file(mapped).read_all()
    checked = rails.guard(decided, corpus)
    return _Study(reading, _with_rejects(reading, decided), similarities, tuple(checked.warnings), checked.stop)


def _find(corpus: Corpus, settings: Mapping[str, Any], folder: Path, progress: Progress) -> pa.Table:
    """FINDINGS of all finders asked for; the dear one sees only what the cheap ones leave."""
    tables = [FINDINGS.empty_table()]
    for finder in ("exact", "normalised"):
        if finder in settings["find"]:
            tables += exact.find(corpus, normalised=finder == "normalised", progress=progress)
    if "near" in settings["find"]:
        rank = keep.ranks(corpus, settings["keep"])
        skip = np.zeros(len(corpus), np.bool_)
        skip[keep.resolve(pa.concat_tables(tables), rank).position] = True
        tables += near.find(
            corpus, near.NearSettings(settings["threshold"]), skip=skip, rank=rank, folder=folder, progress=progress
        )
    return pa.concat_tables(tables)


def _with_rejects(reading: Reading, decided: pa.Table) -> pa.Table:
    """Decisions and unreadable records together, in the order of the corpus."""
    order = {source.name: index for index, source in enumerate(reading.corpus.sources)}
    tables = [decided]
    for index, source in enumerate(reading.corpus.sources):
        rows = reading.rejects_of(index).to_pylist()
        if rows:
            tables.append(
                pa.Table.from_pylist(
                    [
                        {
                            "id": f"{source.name}#{row['row']}",
                            "source": source.name,
                            "row": row["row"],
                            "action": "reject",
                            "finder": "reader",
                            "partner": None,
                            "redundancy": 1.0,
                            "reason": f"line {row['line']}: {row['reason']}",
                        }
                        for row in rows
                    ],
                    schema=DECISIONS,
                )
            )
    table = pa.concat_tables(tables)
    places = np.array([order[name] for name in table["source"].to_pylist()], np.int64)
    return table.take(pa.array(np.lexsort((table["row"].to_numpy(), places)))).combine_chunks()


def _write(
    study: _Study,
    inputs: Inputs,
    journal: Journal,
    restore: Literal["bytes", "content"],
    fields: Fields,
    progress: Progress,
) -> dict[str, Any]:
    """Ledger and cleaned files; by source, how it is restored and at what price."""
    ledger, data, gone = journal.folder / "ledger", journal.folder / "data", study.gone()
    sources = study.reading.corpus.sources
    removed = ledger / "removed.parquet"

    def decisions() -> None:
        write_decisions(ledger, study.decisions)

    journal.step("decisions", decisions, [ledger / "decisions.parquet"])
    journal.step("removed records", lambda: collect(study.reading, gone, removed), [removed])
    written: dict[str, Any] = {}
    for index, source in enumerate(sources):
        progress("writing", index, len(sources))
        rows = gone.get(source.name, np.zeros(0, np.int64))

        def work(index: int = index, source: Source = source, rows: NDArray[np.int64] = rows) -> dict[str, Any]:
            return write_source(source, study.reading.contents[index], rows, data, ledger, restore)

        written[source.name] = journal.step(f"write {source.name}", work, [data / source.name])
    progress("writing", len(sources), len(sources))
    extras = [
        {**written[s.name], "content": study.reading.contents[i], "folder": inputs.folder, "id_field": fields.id}
        for i, s in enumerate(sources)
    ]
    write_sources(ledger, zip(sources, extras, strict=True))
    return written


def _evidence(
    study: _Study,
    settings: Mapping[str, Any],
    fields: Fields,
    written: Mapping[str, Any],
    skipped: Sequence[str],
) -> dict[str, Any]:
    sources = study.reading.corpus.sources
    dropped = study.decisions.filter(pc.equal(study.decisions["action"], "drop"))
    rejected = study.decisions.num_rows - dropped.num_rows
    gone = {name: len(rows) for name, rows in study.gone().items()}
    before = {s.name: s.records + study.reading.rejects_of(i).num_rows for i, s in enumerate(sources)}
    after = {name: count - gone.get(name, 0) for name, count in before.items()}
    found = Counter(dropped["finder"].to_pylist())
    warnings = list(study.warnings)
    if rejected:
        warnings.append(f"{rejected:,} records could not be read and were set aside; the ledger says why.")
    if skipped:
        warnings.append(f"{len(skipped):,} files were not read, their kind is not known: {', '.join(skipped[:5])}.")
    evidence: dict[str, Any] = {
        "schema_version": 1,
        "kind": "clean",
        "status": "done",
        "settings": {
            **settings,
            **{name: getattr(fields, name) for name in ("text", "on", "id", "label")},
            "views": sorted({s.view for s in sources if s.view}),
        },
        "before": {
            "records": sum(before.values()),
            "bytes": sum(s.size_bytes for s in sources),
            "sources": before,
        },
        "after": {"records": sum(after.values()), "sources": after},
        "removed": {finder: found[finder] for finder in settings["find"]},
        "rejected": rejected,
        "warnings": warnings,
        "similarities": dict(study.similarities),
        "pairs": _pairs(study, dropped),
        "versions": {"excise": __version__, "pyarrow": pa.__version__, "numpy": np.__version__},
    }
    if written:
        evidence["after"]["bytes"] = sum(w["cleaned_bytes"] for w in written.values())
        evidence["price"] = {
            "originals_bytes": sum(w["ledger_bytes"] for w in written.values()),
            "linked": sum(w["linked"] for w in written.values()),
            "by": dict(sorted(Counter(w["restore"] for w in written.values()).items())),
        }
    return evidence


def _pairs(study: _Study, dropped: pa.Table) -> list[dict[str, Any]]:
    """Up to 20 removed records beside those that stay for them, spread over the corpus; near ones come first."""
    corpus = study.reading.corpus
    nearly = pc.equal(dropped["finder"], "near").to_numpy()
    chosen = [*_spread(np.flatnonzero(nearly), _PAIRS)]
    chosen += _spread(np.flatnonzero(~nearly), _PAIRS - len(chosen))
    rows = dropped.take(pa.array(chosen, pa.int64())).to_pylist()
    wanted = {row[end] for row in rows for end in ("id", "partner")}
    texts = _texts(corpus, wanted)
    return [
        {
            **{name: row[name] for name in ("id", "partner", "redundancy", "finder", "reason")},
            "text": texts.get(row["id"], ""),
            "partner_text": texts.get(row["partner"], ""),
        }
        for row in rows
    ]


def _spread(indices: NDArray[np.int64], count: int) -> list[int]:
    if len(indices) <= count:
        return [int(i) for i in indices]
    return [int(indices[len(indices) * i // count]) for i in range(count)]


def _texts(corpus: Corpus, ids: set[str]) -> dict[str, str]:
    """Beginnings of the texts of some records, by id."""
    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, str] = {}
    for batch in corpus.batches():
        here = np.flatnonzero(pc.is_in(batch["id"], wanted).to_numpy(zero_copy_only=False))
        for index in here.tolist():
            found[batch["id"][index].as_py()] = batch["text"][index].as_py()[:_PAIR_CHARACTERS]
        if len(found) == len(ids):
            break
    return found

"""study: what cleaning finds in a corpus and decides about it, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.adapters import review_file
from excise.adapters.files.find import Inputs
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import Reading, Step, numbered, read
from excise.corpus import Corpus
from excise.data import decide, keep, memory, rails, review, review_form
from excise.data.text import records_at
from excise.data.threads import in_order
from excise.errors import SettingError
from excise.finding import FINDINGS
from excise.journal import Progress, written_aside
from excise.ledger import DECISIONS
from excise.pipeline.beside import Beside, Measured, with_references
from excise.pipeline.choices import Choices
from excise.pipeline.finders import FINDERS, Search
from excise.pipeline.material import Material

#: The references for which records went, beside the decisions.
REFERENCES = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.large_string())])
#: How many are looked up at once.
_REFERENCES = 10_000


@dataclass(frozen=True)
class Study:
    """What was read, found and decided; nothing is written yet.

    Attributes:
        reading: The records to clean, as they were read.
        corpus: They, with what they are compared with before them.
        measured: What was measured of it.
        choices: What was asked for.
        findings: FINDINGS of all finders.
        decisions: DECISIONS, unreadable records among them, in the order of the corpus.
        warnings: What the guard rails say.
        stop: Why not to go on unless large removals are allowed, or None.
    """

    reading: Reading
    corpus: Corpus
    measured: Measured
    choices: Choices
    findings: pa.Table
    decisions: pa.Table
    warnings: tuple[str, ...]
    stop: str | None

    def gone(self) -> dict[str, NDArray[np.int64]]:
        """Rows that go, ascending, by source."""
        going = self.decisions.filter(pc.is_in(self.decisions["action"], pa.array(["drop", "reject"])))
        names, rows = going["source"].combine_chunks(), going["row"].to_numpy()
        coded = names.dictionary_encode()
        codes = coded.indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        borders = np.searchsorted(codes[order], np.arange(len(coded.dictionary) + 1))
        return {
            name: np.sort(rows[order[a:b]])
            for name, a, b in zip(coded.dictionary.to_pylist(), borders, borders[1:], strict=False)
        }

    def references(self) -> Iterator[pa.Table]:
        """Id and text of the references for which records go: they are not among the data, and are told of later."""
        names = pc.unique(self.decisions["partner"].drop_null())
        place = pc.unique(self.findings["partner_position"].drop_null()).to_numpy()
        place = np.sort(place[place < self.corpus.first_own])
        for start in range(0, len(place), _REFERENCES):
            found = records_at(self.corpus, place[start : start + _REFERENCES], ["id", "text"])
            yield pa.table(found, schema=REFERENCES).filter(pc.is_in(found["id"], names))

    def gone_mask(self) -> NDArray[np.bool_]:
        """Bool [records of the reading's corpus]: those that go."""
        gone, own = self.gone(), self.reading.corpus
        mask = np.zeros(len(own), np.bool_)
        for index, source in enumerate(own.sources):
            if source.name in gone:
                rows = np.concatenate([np.zeros(0, np.int64), *(b["row"].to_numpy() for b in own.batches_of(index))])
                first = own.first_position(index)
                mask[first : first + len(rows)] = np.isin(rows, gone[source.name])
        return mask


def study(
    inputs: Inputs, folder: Path, fields: Fields, choices: Choices, beside: Beside, step: Step, progress: Progress
) -> Study:
    """Read, find and decide.

    Args:
        inputs: The files.
        folder: Where views and what was found are laid.
        fields: What the user said about fields.
        choices: What was asked for.
        beside: What else was brought.
        step: `Journal.step` to go on where an earlier run stopped.
        progress: Told what goes on.
    """
    cluster = beside.mapped if beside.cluster else None
    reading = read(
        inputs, folder / "views", fields, corrupt=choices.corrupt, step=step, mapped=cluster, progress=progress
    )
    corpus = with_references(reading.corpus, beside, folder, step, progress)
    mapped = beside.mapped
    if beside.memory_bytes is not None:
        mapped = partial(in_order, cores=memory.cores_for(beside.memory_bytes, len(corpus)))
    measured = Measured(corpus, beside, fields, folder)
    material = Material(reading, corpus, beside, measured, mapped, folder, progress)
    path = folder / "decisions.arrow"
    rank = keep.ranks(corpus, choices.keep)
    group = _labels(corpus) if choices.within else None

    findings = FINDINGS.empty_table()
    told: list[str] = []
    for name in choices.finders:
        search = Search(
            corpus=corpus,
            settings=choices.settings[name],
            earlier=findings,
            actions=choices.actions,
            out=decide.out_already(findings, len(corpus), choices.actions),
            rank=rank,
            per_cluster=choices.per_cluster,
            group=group,
            folder=folder,
            measured=measured,
            material=material,
            mapped=mapped,
            progress=progress,
            warn=told.append,
        )
        findings = pa.concat_tables([findings, _found(name, search, step)])

    def work() -> None:
        how = (rank, choices.actions, choices.per_cluster)
        if beside.apply is None:
            decided = decide.decide(findings, corpus, *how)
        else:
            reviewed = review_form.checked(review_file.read(beside.apply), corpus, str(beside.apply))
            decided = review.apply(findings, reviewed, corpus, beside.apply.name, *how)
        _write(path, DECISIONS, [decided])

    step("decide", work, [path])
    decided = _read(path)
    _refuse_what_cannot_be_changed(reading, decided)
    checked = rails.guard(decided, reading.corpus, [content.blank for content in reading.contents])
    if beside.review is not None:
        review_file.write(beside.review, review_form.proposals(decided, corpus, choices.thresholds()))
    whole = _with_rejects(reading, decided)
    return Study(reading, corpus, measured, choices, findings, whole, (*checked.warnings, *told), checked.stop)


def _refuse_what_cannot_be_changed(reading: Reading, decisions: pa.Table) -> None:
    """Raise where a text is to be changed that can only go as a whole."""
    inside = decisions.filter(pc.is_in(decisions["action"], pa.array(["cut", "mask"])))
    for index, source in enumerate(reading.corpus.sources):
        here = inside.filter(pc.equal(inside["source"], source.name))
        reason = reading.editable(index) if len(here) else None
        if reason is not None:
            finder, action = here["finder"][0].as_py(), here["action"][0].as_py()
            raise SettingError(f"{finder} is to {action} parts of texts, but {reason} (--action {finder}=drop).")


def _labels(corpus: Corpus) -> NDArray[np.int64]:
    """A number for the label of each record."""
    labels = pa.chunked_array([batch["label"] for batch in corpus.batches()], pa.string()).combine_chunks()
    codes: NDArray[np.int64] = pc.fill_null(labels.dictionary_encode().indices.cast(pa.int64()), -1).to_numpy()
    return codes


def _found(name: str, search: Search, step: Step) -> pa.Table:
    """FINDINGS of one finder: a step, so that a killed run looks for them once.

    What a finder has measured is kept by itself; to judge it again costs little, and loads it for the evidence.
    """
    if hasattr(search.settings, "MEASURED"):
        return pa.concat_tables([FINDINGS.empty_table(), *FINDERS[name](search)])
    path = search.folder / f"{name}.arrow"

    def work() -> dict[str, Any]:
        told: list[str] = []
        _write(path, FINDINGS, FINDERS[name](replace(search, warn=told.append)))
        return {"warnings": told}

    for warning in step(f"find {name}", work, [path])["warnings"]:
        search.warn(warning)
    return _read(path)


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with written_aside(path, durable=False) as file, pa.ipc.new_file(file, schema) as sink:
        for table in tables:
            sink.write_table(table)


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def _with_rejects(reading: Reading, decided: pa.Table) -> pa.Table:
    """Decisions and unreadable records together, in the order of the corpus."""
    sources = reading.corpus.sources
    table = pa.concat_tables([decided, *(_rejected(s.name, reading.rejects_of(i)) for i, s in enumerate(sources))])
    places = pc.index_in(table["source"], pa.array([source.name for source in sources], pa.string()))
    order = np.lexsort((table["row"].to_numpy(), places.to_numpy()))
    return table.take(pa.array(order)).combine_chunks()


def _rejected(source: str, rejects: pa.Table) -> pa.Table:
    """DECISIONS on the records of a source that could not be read."""
    count, rows = rejects.num_rows, rejects["row"].combine_chunks()
    lines = pc.cast(rejects["line"].combine_chunks(), pa.string())
    columns = {
        "id": numbered(source, rows.to_numpy()),
        "source": pa.repeat(source, count),
        "row": rows,
        "action": pa.repeat("reject", count),
        "finder": pa.repeat("reader", count),
        "partner": pa.nulls(count, pa.string()),
        "redundancy": pa.repeat(1.0, count),
        "reason": pc.binary_join_element_wise("line ", lines, ": ", rejects["reason"].combine_chunks(), ""),
        **{name: pa.nulls(count, DECISIONS.field(name).type) for name in ("start", "stop", "value")},
        "by": pa.repeat("", count),
    }
    return pa.table(columns, schema=DECISIONS)

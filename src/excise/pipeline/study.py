"""study: what cleaning finds in a corpus and decides about it, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.adapters.files.find import Inputs
from excise.adapters.files.layouts import Fields
from excise.adapters.files.read import Reading, Step, numbered, read
from excise.corpus import Corpus
from excise.data import exact, keep, near, rails
from excise.finding import FINDINGS
from excise.journal import Progress, written_aside
from excise.ledger import DECISIONS


@dataclass(frozen=True)
class Study:
    """What was read, found and decided; nothing is written yet.

    Attributes:
        reading: The corpus.
        decisions: DECISIONS, unreadable records among them, in the order of the corpus.
        similarities: Histogram of the Jaccard similarities that were found: edges, counts.
        warnings: What the guard rails say.
        stop: Why not to go on unless large removals are allowed, or None.
    """

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


@dataclass(frozen=True)
class Search:
    """What a finder is given.

    Attributes:
        corpus: Where to look.
        settings: Of the run.
        earlier: FINDINGS of the finders before.
        folder: For what is spilled.
        progress: Told what goes on.
    """

    corpus: Corpus
    settings: Mapping[str, Any]
    earlier: pa.Table
    folder: Path
    progress: Progress


def _exact(search: Search) -> Iterator[pa.Table]:
    return exact.find(search.corpus, normalised=False, progress=search.progress)


def _normalised(search: Search) -> Iterator[pa.Table]:
    return exact.find(search.corpus, normalised=True, progress=search.progress)


def _near(search: Search) -> Iterator[pa.Table]:
    """The dear one sees only what the cheap ones leave."""
    rank = keep.ranks(search.corpus, search.settings["keep"])
    skip = np.zeros(len(search.corpus), np.bool_)
    skip[keep.resolve(search.earlier, rank).position] = True
    chosen = near.NearSettings(search.settings["threshold"])
    return near.find(search.corpus, chosen, skip=skip, rank=rank, folder=search.folder, progress=search.progress)


#: The finders by name, in the order in which they run.
FINDERS: dict[str, Callable[[Search], Iterator[pa.Table]]] = {
    "exact": _exact,
    "normalised": _normalised,
    "near": _near,
}


def study(
    inputs: Inputs, folder: Path, fields: Fields, settings: Mapping[str, Any], step: Step, progress: Progress
) -> Study:
    """Read, find and decide.

    Args:
        inputs: The files.
        folder: Where views and what was found are laid.
        fields: What the user said about fields.
        settings: finders, threshold, keep, corrupt.
        step: `Journal.step` to go on where an earlier run stopped.
        progress: Told what goes on.
    """
    reading = read(inputs, folder / "views", fields, corrupt=settings["corrupt"], step=step, progress=progress)
    corpus = reading.corpus
    path = folder / "decisions.arrow"

    findings = FINDINGS.empty_table()
    for name in settings["finders"]:
        search = Search(corpus, settings, findings, folder, progress)
        findings = pa.concat_tables([findings, _found(name, search, step)])

    def work() -> dict[str, Any]:
        decided = keep.decide(findings, corpus, settings["keep"])
        _write(path, DECISIONS, [decided])
        edges = np.linspace(settings["threshold"], 1.0, 21)
        similar = decided.filter(pc.equal(decided["finder"], "near"))["redundancy"].to_numpy()
        return {"edges": edges.round(6).tolist(), "counts": np.histogram(similar, edges)[0].tolist()}

    similarities = step("decide", work, [path])
    decided = _read(path)
    checked = rails.guard(decided, corpus, [content.blank for content in reading.contents])
    return Study(reading, _with_rejects(reading, decided), similarities, tuple(checked.warnings), checked.stop)


def _found(name: str, search: Search, step: Step) -> pa.Table:
    """FINDINGS of one finder: a step, so that a killed run looks for them once."""
    path = search.folder / f"{name}.arrow"
    step(f"find {name}", lambda: _write(path, FINDINGS, FINDERS[name](search)), [path])
    return _read(path)


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with written_aside(path) as file, pa.ipc.new_file(file, schema) as sink:
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
    return table.take(pa.array(np.lexsort((table["row"].to_numpy(), places.to_numpy())))).combine_chunks()


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
    }
    return pa.table(columns, schema=DECISIONS)

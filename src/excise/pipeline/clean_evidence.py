"""The evidence of cleaning: counts before and after, warnings, and pairs to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise import __version__
from excise.adapters.files.layouts import Fields
from excise.corpus import Corpus
from excise.data.decide import DISAGREE
from excise.pipeline.study import Study

#: Pairs shown in the report, and how much of each text.
_PAIRS, _PAIR_CHARACTERS = 20, 2000


def evidence_of(
    study: Study,
    fields: Fields,
    written: Mapping[str, Any],
    skipped: Sequence[str],
) -> dict[str, Any]:
    """What OUT/evidence.json holds.

    Args:
        study: What was found and decided.
        fields: What the user said about fields.
        written: By source, what `write_source` told; empty for a dry run.
        skipped: Files that no reader takes.
    """
    sources = study.reading.corpus.sources
    dropped = study.decisions.filter(pc.equal(study.decisions["action"], "drop"))
    rejected = pc.sum(pc.equal(study.decisions["action"], "reject")).as_py() or 0
    gone = {name: len(rows) for name, rows in study.gone().items()}
    before = {s.name: s.records + study.reading.rejects_of(i).num_rows for i, s in enumerate(sources)}
    after = {name: count - gone.get(name, 0) for name, count in before.items()}
    found = Counter(dropped["finder"].to_pylist())
    warnings = [*study.warnings, *_notes(study, rejected, skipped)]
    if study.stop is not None and not written:
        warnings.append(f"A run would stop here: {study.stop}")
    evidence: dict[str, Any] = {
        "schema_version": 1,
        "kind": "clean",
        "status": "done",
        "settings": {
            **study.choices.as_dict(),
            **{name: getattr(fields, name) for name in ("text", "on", "id", "label")},
            "views": sorted({s.view for s in sources if s.view}),
        },
        "before": {
            "records": sum(before.values()),
            "bytes": sum(s.size_bytes for s in sources),
            "decoded_bytes": sum(c.size_bytes for c in study.reading.contents),
            "sources": before,
        },
        "after": {"records": sum(after.values()), "sources": after},
        "removed": {finder: found[finder] for finder in study.choices.finders},
        "rejected": rejected,
        "warnings": warnings,
        "similarities": _similarities(study, dropped),
        "pairs": _pairs(study, dropped),
        "versions": {"excise": __version__, "pyarrow": pa.__version__, "numpy": np.__version__},
    }
    if written:
        evidence["after"]["bytes"] = sum(w["cleaned_bytes"] for w in written.values())
        evidence["after"]["decoded_bytes"] = sum(
            c.size_bytes - written[s.name]["cut_bytes"] if c.fingerprint else written[s.name]["cleaned_bytes"]
            for s, c in zip(sources, study.reading.contents, strict=True)
        )
        evidence["price"] = {
            "originals_bytes": sum(w["ledger_bytes"] for w in written.values()),
            "by": dict(sorted(Counter(w["restore"] for w in written.values()).items())),
        }
    return evidence


def _similarities(study: Study, dropped: pa.Table) -> dict[str, Any]:
    """Histogram of the Jaccard similarities of near duplicates: edges, counts."""
    chosen = study.choices.settings.get("near")
    edges = np.linspace(0.8 if chosen is None else chosen.threshold, 1.0, 21)
    similar = dropped.filter(pc.equal(dropped["finder"], "near"))["redundancy"].to_numpy()
    return {"edges": edges.round(6).tolist(), "counts": np.histogram(similar, edges)[0].tolist()}


def _notes(study: Study, rejected: int, skipped: Sequence[str]) -> Iterator[str]:
    """What a person should know about the reading."""
    if rejected:
        yield f"Records set aside because they could not be read: {rejected:,}; the ledger says why."
    blank = sum(content.blank for content in study.reading.contents)
    if blank > 1:
        yield f"Records whose text is empty: {blank:,}; the empty text counts as a text that they repeat."
    disagree = pc.sum(pc.match_substring(study.decisions["reason"], DISAGREE)).as_py()
    if disagree:
        yield f"Removed records whose label is not that of the record that stays: {disagree:,}; the ledger names both."
    if skipped:
        yield f"Files left out because their kind is not known: {len(skipped):,} ({', '.join(skipped[:5])})."


def _pairs(study: Study, dropped: pa.Table) -> list[dict[str, Any]]:
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

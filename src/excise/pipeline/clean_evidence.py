"""The evidence of cleaning: counts before and after, who found what, warnings, and records to look at.

Counts are exact, and worked out in arrays of four bytes a record; records to look at are a few, chosen without chance.
"""

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
from excise.data import text
from excise.data.decide import DISAGREE
from excise.data.excerpts import excerpts
from excise.pipeline import clean_labels, clean_samples
from excise.pipeline.distributions import distributions, shares, spread
from excise.pipeline.study import Study

#: Pairs of records in the evidence, and how much of each text.
_PAIRS, _PAIR_CHARACTERS = 20, 2000
#: Pairs of finders whose records are named, and how many of them.
_OVERLAPS, _EXAMPLES = 12, 3
#: What is done to a record that stays.
_CHANGES = ("cut", "mask", "relabel")


def evidence_of(
    study: Study,
    fields: Fields,
    written: Mapping[str, Any],
    skipped: Sequence[str],
    tables: Mapping[str, pa.Table] | None = None,
) -> dict[str, Any]:
    """What OUT/evidence.json holds.

    Args:
        study: What was found and decided.
        fields: What the user said about fields.
        written: By source, what `write_source` told; empty for a dry run.
        skipped: Files that no reader takes.
        tables: What was measured, by finder: a row a record that is no reference.
    """
    sources, choices, corpus = study.reading.corpus.sources, study.choices, study.corpus
    decisions, tables = study.decisions, tables or {}
    dropped = decisions.filter(pc.equal(decisions["action"], "drop"))
    changing = decisions.filter(pc.is_in(decisions["action"], pa.array(_CHANGES)))
    rejected = pc.sum(pc.equal(decisions["action"], "reject")).as_py() or 0
    gone = {name: len(rows) for name, rows in study.gone().items()}
    before = {s.name: s.records + study.reading.rejects_of(i).num_rows for i, s in enumerate(sources)}
    after = {name: count - gone.get(name, 0) for name, count in before.items()}
    removed, changed = _counts(dropped["finder"]), _distinct(changing, "finder")
    names = [*choices.finders, *sorted((removed.keys() | changed.keys()) - {*choices.finders})]
    warnings = [*study.warnings, *_notes(study, rejected, skipped)]
    if study.stop is not None and not written:
        warnings.append(f"A run would stop here: {study.stop}")
    own = study.findings.filter(pc.greater_equal(study.findings["position"], corpus.first_own))
    evidence: dict[str, Any] = {
        "schema_version": 1,
        "kind": "clean",
        "status": "done",
        "settings": {
            **choices.as_dict(),
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
        "removed": {finder: removed.get(finder, 0) for finder in names},
        "weighed": dict(sorted(_distinct(decisions.filter(pc.equal(decisions["action"], "weigh")), "finder").items())),
        "changed": {finder: changed[finder] for finder in names if finder in changed},
        "changed_records": pc.count_distinct(changing["id"]).as_py(),
        "rejected": rejected,
        "warnings": warnings,
        **_agreement(own, corpus, names),
        "sources": _by_source(before, dropped, changing, decisions),
        "clusters": clean_samples.clusters(dropped, corpus, {"near": 0.8, "semantic": 0.9, **choices.thresholds()}),
        "samples": clean_samples.samples(own, corpus, choices.actions),
        "distributions": distributions(own, tables, choices.settings, corpus.first_own),
        "similarities": _similarities(study, dropped),
        "pairs": _pairs(study, dropped),
        "versions": {"excise": __version__, "pyarrow": pa.__version__, "numpy": np.__version__},
    }
    action = choices.actions.get("labels", "drop")
    held = _of(own, "contaminated")
    optional = {
        "shares": shares(tables, choices.settings),
        "labels": clean_labels.suspicious_labels(_of(own, "labels"), corpus, action, tables.get("labels")),
        "label_noise": clean_labels.label_noise(tables.get("labels")),
        "values": clean_labels.suspicious_values(_of(own, "values"), corpus),
        "contamination": clean_samples.contamination(held, corpus) if "contaminated" in choices.finders else None,
        "weights": _weights(decisions, sum(after.values())),
        "reviewed": _reviewed(decisions),
    }
    evidence |= {name: part for name, part in optional.items() if part}
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


def _of(findings: pa.Table, finder: str) -> pa.Table:
    return findings.filter(pc.equal(findings["finder"], finder))


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    values, counts = pc.value_counts(column).flatten()
    return dict(zip(values.to_pylist(), counts.to_pylist(), strict=True))


def _distinct(decisions: pa.Table, by: str) -> dict[str, int]:
    """Records by a column of their decisions; a record with several counts once."""
    told = decisions.group_by(by).aggregate([("id", "count_distinct")])
    return dict(zip(told[by].to_pylist(), told["id_count_distinct"].to_pylist(), strict=True))


def _agreement(findings: pa.Table, corpus: Corpus, names: Sequence[str]) -> dict[str, Any]:
    """How many records each finder found, how many only it found, and what two of them both found."""
    seen = np.zeros(len(corpus), np.uint32)
    position = findings["position"].to_numpy()
    for place, name in enumerate(names):
        mine = position[pc.equal(findings["finder"], name).to_numpy()]
        seen[mine] |= np.uint32(1 << place)
    kinds, counts = np.unique(seen[seen > 0], return_counts=True)
    bits = {name: np.uint32(1 << place) for place, name in enumerate(names)}
    found = {name: int(counts[(kinds & bit) > 0].sum()) for name, bit in bits.items()}
    alone = {name: int(counts[kinds == bit].sum()) for name, bit in bits.items()}
    pairs = [
        (one, other, int(counts[(kinds & both) == both].sum()))
        for place, one in enumerate(names)
        for other in names[place + 1 :]
        for both in [bits[one] | bits[other]]
    ]
    pairs = sorted((pair for pair in pairs if pair[2]), key=lambda pair: -pair[2])
    overlaps = [
        {
            "finders": [one, other],
            "records": count,
            "examples": _examples(seen, bits[one], bits[other], corpus) if place < _OVERLAPS else {},
        }
        for place, (one, other, count) in enumerate(pairs)
    ]
    return {"found": found, "alone": alone, "overlaps": overlaps}


def _examples(seen: NDArray[np.uint32], one: np.uint32, other: np.uint32, corpus: Corpus) -> dict[str, list[str]]:
    """Ids of records that both found, and that only one of the two did."""
    both = one | other
    wanted = {"both": both, "first": one, "second": other}
    places = {side: spread(np.flatnonzero((seen & both) == bits), _EXAMPLES) for side, bits in wanted.items()}
    return {side: _ids(corpus, np.array(chosen, np.int64)) for side, chosen in places.items()}


def _ids(corpus: Corpus, positions: NDArray[np.int64]) -> list[str]:
    found: list[str] = text.records_at(corpus, positions, ["id"])["id"].to_pylist()
    return found


def _by_source(
    before: Mapping[str, int], dropped: pa.Table, changing: pa.Table, decisions: pa.Table
) -> list[dict[str, Any]]:
    """What each source lost."""
    removed, changed = _counts(dropped["source"]), _distinct(changing, "source")
    rejected = _counts(decisions.filter(pc.equal(decisions["action"], "reject"))["source"])
    return [
        {
            "source": name,
            "records": records,
            "removed": removed.get(name, 0),
            "changed": changed.get(name, 0),
            "rejected": rejected.get(name, 0),
        }
        for name, records in before.items()
    ]


def _weights(decisions: pa.Table, left: int) -> dict[str, Any] | None:
    """How much the records that stay weigh; those without a weight of their own weigh 1."""
    told = decisions.filter(pc.equal(decisions["action"], "weigh"))
    values = pc.cast(told["value"], pa.float64()).to_numpy()
    if not len(values):
        return None
    edges = np.linspace(0.0, max(1.0, float(values.max())), 21)
    total, squares = values.sum() + left - len(values), (values**2).sum() + left - len(values)
    return {
        "records": len(values),
        "lowest": float(values.min()),
        "mean": float(total / left),
        "effective_records": float(total**2 / squares) if squares else 0.0,
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "counts": np.histogram(values, edges)[0].tolist(),
    }


def _reviewed(decisions: pa.Table) -> list[dict[str, Any]]:
    """What persons decided, by review."""
    theirs = decisions.filter(pc.not_equal(decisions["by"], ""))
    return [
        {"by": name, "decisions": _counts(theirs.filter(pc.equal(theirs["by"], name))["action"])}
        for name in pc.unique(theirs["by"]).to_pylist()
    ]


def _similarities(study: Study, dropped: pa.Table) -> dict[str, Any]:
    """Histogram of the Jaccard similarities of near duplicates: edges, counts."""
    chosen = study.choices.settings.get("near")
    edges = np.linspace(0.8 if chosen is None else chosen.threshold, 1.0, 21)
    similar = _of(dropped, "near")["redundancy"].to_numpy()
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
    dropped = dropped.filter(pc.is_valid(dropped["partner"]))
    nearly = pc.equal(dropped["finder"], "near").to_numpy()
    chosen = spread(np.flatnonzero(nearly), _PAIRS)
    chosen += spread(np.flatnonzero(~nearly), _PAIRS - len(chosen))
    rows = dropped.take(pa.array(chosen, pa.int64())).to_pylist()
    texts = excerpts(study.corpus, {row[end]: [0] for row in rows for end in ("id", "partner")}, _PAIR_CHARACTERS)
    return [
        {
            **{name: row[name] for name in ("id", "partner", "redundancy", "finder", "reason")},
            **{
                name: texts[row[end], 0].text if (row[end], 0) in texts else ""
                for name, end in (("text", "id"), ("partner_text", "partner"))
            },
        }
        for row in rows
    ]

"""Review: decisions that follow a person's, who saw what was proposed.

A person's word comes before the choice of who stays, so that all others are decided on as if it had always been so: a
record that is kept may be one for which others go, and where the one that would have stayed is dropped, its copies go
for another of them, or stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from excise.corpus import Corpus
from excise.data import text
from excise.data.decide import PAIRED, decide
from excise.data.matches import EQUALITIES, reason
from excise.finding import FINDINGS
from excise.ledger import DECISIONS

#: Finders under whose name a person's decisions go through `decide`: this, the action, the finder that proposed it.
_MARK = "review:"
#: Finders whose sentence can be told from the other side of a pair.
_NAMED = (*EQUALITIES, "near")


def apply(
    findings: pa.Table,
    reviewed: pa.Table,
    corpus: Corpus,
    name: str,
    rank: NDArray[np.int64] | None = None,
    actions: Mapping[str, str] | None = None,
    per_cluster: int = 1,
) -> pa.Table:
    """What is done about each record where a person decided on some: `decide`, with their word first.

    keep: what the row proposes is not done, and the record does not go for anything. drop: it goes, and nothing goes
    for it. cut: the span of the row goes. relabel: the record gets the label and is not judged by that finder again.

    Args:
        findings: FINDINGS of any finders.
        reviewed: REVIEWED, as of `review_form.checked`.
        corpus: The records.
        name: Of the review, for the ledger's `by`.
        rank: As of `decide`.
        actions: As of `decide`.
        per_cluster: As of `decide`.

    Returns:
        DECISIONS in the order of the corpus, with `by` for those that the person took; a row with the action 'keep'
        for each that they kept.
    """
    chosen, rows = dict(actions or {}), reviewed.to_pylist()
    seen = _seen(findings, reviewed)
    words = [_word(row, seen, name) for row in rows if row["decision"] != "keep"]
    said = pa.concat_tables([_unanswered(findings, rows, chosen), pa.Table.from_pylist(words, schema=FINDINGS)])
    chosen |= {word["finder"]: word["finder"].split(":")[1] for word in words}

    decided = decide(said, corpus, rank, chosen, per_cluster)
    kept = [row for row in rows if row["decision"] == "keep"]
    # Nothing goes for a record that goes: one that a person keeps can stay without a change to any other.
    asked = pa.array([row["id"] for row in kept], pa.string())
    freed = pc.and_(pc.equal(decided["action"], "drop"), pc.is_in(decided["id"], asked))
    missed = decide(_changes_of(decided.filter(freed)["id"], said, chosen), corpus, rank, chosen)
    parts = [decided.filter(pc.invert(freed)), missed]
    return _in_order(
        pa.concat_tables([_signed(pa.concat_tables(parts), name), _kept(kept, seen, corpus, name)]), corpus
    )


def _changes_of(ids: Any, findings: pa.Table, actions: Mapping[str, str]) -> pa.Table:
    """Findings by which these records, now that they stay, are changed."""
    changing = [name for name in pc.unique(findings["finder"]).to_pylist() if actions.get(name, "drop") != "drop"]
    about = pc.and_(pc.is_in(findings["locus"], ids), pc.is_in(findings["finder"], pa.array(changing, pa.string())))
    return findings.filter(about)


def _seen(findings: pa.Table, reviewed: pa.Table) -> dict[tuple[int, str], dict[str, Any]]:
    """By position and finder, the most redundant finding about a record, told from its side."""
    wanted = pc.unique(reviewed["position"])
    about = pc.or_kleene(
        pc.is_in(findings["position"], wanted), pc.fill_null(pc.is_in(findings["partner_position"], wanted), False)
    )
    found: dict[tuple[int, str], dict[str, Any]] = {}
    asked = set(wanted.to_pylist())
    for row in findings.filter(about).to_pylist():
        sides = [row]
        if row["finder"] in PAIRED and row["partner_position"] is not None:
            told = reason(row["finder"], row["redundancy"], row["locus"]) if row["finder"] in _NAMED else row["reason"]
            turned = {"locus": row["partner"], "position": row["partner_position"], "partner": row["locus"]}
            sides.append({**row, **turned, "partner_position": row["position"], "reason": told})
        for side in sides:
            key = (side["position"], side["finder"])
            if side["position"] in asked and (key not in found or side["redundancy"] > found[key]["redundancy"]):
                found[key] = side
    return found


def _word(row: Mapping[str, Any], seen: Mapping[tuple[int, str], Mapping[str, Any]], name: str) -> dict[str, Any]:
    """A person's decision as a finding that stands for itself; with what was seen, if anything was."""
    known = seen.get((row["position"], row["finder"]))
    told = known["reason"] if known else f"{name} says so"
    return {
        "finder": f"{_MARK}{row['decision']}:{row['finder'] or 'review'}",
        "locus": row["id"],
        "position": row["position"],
        "partner": known["partner"] if known else None,
        "redundancy": known["redundancy"] if known else 1.0,
        "start": row["start"] if row["decision"] == "cut" else None,
        "stop": row["stop"] if row["decision"] == "cut" else None,
        "reason": f"{told}; {name}: {row['comment']}" if row["comment"] else told,
        "value": row["value"],
    }


def _unanswered(findings: pa.Table, rows: list[dict[str, Any]], actions: Mapping[str, str]) -> pa.Table:
    """The findings that stand, now that some are answered: all pairs, for who stays is decided on them."""
    here = findings["position"].to_numpy()
    coded = findings["finder"].combine_chunks().dictionary_encode()
    finders, code = coded.dictionary.to_pylist(), coded.indices.to_numpy()
    paired = np.array([name in PAIRED for name in finders], np.bool_)[code]
    action = np.array([actions.get(name, "drop") for name in finders], object)[code]
    decided = {
        decision: np.array([row["position"] for row in rows if row["decision"] == decision], np.int64)
        for decision in ("keep", "drop", "cut", "relabel")
    }
    off: NDArray[np.bool_] = (action == "drop") & np.isin(here, np.append(decided["keep"], decided["drop"]))
    off |= (action == "relabel") & np.isin(here, decided["relabel"])
    # What a row names by finder, and where it has a span by that, is answered by it.
    spans: dict[tuple[int, str], set[tuple[int | None, int | None]]] = {}
    for row in rows:
        spans.setdefault((row["position"], row["finder"]), set()).add((row["start"], row["stop"]))
    for index in np.flatnonzero(np.isin(here, np.concatenate(list(decided.values())))).tolist():
        answered = spans.get((int(here[index]), finders[code[index]]), set())
        span = (findings["start"][index].as_py(), findings["stop"][index].as_py())
        off[index] |= span in answered or (None, None) in answered
    return findings.filter(pa.array(~off | paired))


def _signed(decided: pa.Table, name: str) -> pa.Table:
    """A person's decisions under the name of the finder that proposed them, and of the review."""
    finder = decided["finder"].to_pylist()
    theirs = [told.startswith(_MARK) for told in finder]
    gone = set(decided.filter(pc.equal(decided["action"], "drop"))["id"].to_pylist())
    partner = [
        None if mine and other in gone else other
        for mine, other in zip(theirs, decided["partner"].to_pylist(), strict=True)
    ]
    columns = {
        "finder": pa.array([f.split(":", 2)[2] if t else f for f, t in zip(finder, theirs, strict=True)], pa.string()),
        "partner": pa.array(partner, pa.string()),
        "by": pa.array([name if mine else "" for mine in theirs], pa.string()),
    }
    for column, values in columns.items():
        decided = decided.set_column(decided.schema.get_field_index(column), DECISIONS.field(column), values)
    return decided


def _kept(
    rows: list[dict[str, Any]], seen: Mapping[tuple[int, str], Mapping[str, Any]], corpus: Corpus, name: str
) -> pa.Table:
    """A row of DECISIONS for each that a person kept: what was proposed, and that it is not done."""
    places = np.array([row["position"] for row in rows], np.int64)
    asked = np.unique(places)
    found = text.records_at(corpus, asked, ["row"])["row"].to_pylist()
    numbers = dict(zip(asked.tolist(), found, strict=True))
    told = []
    for row in rows:
        known = seen.get((row["position"], row["finder"]), {})
        why = known.get("reason", f"{name} says so")
        told.append(
            {
                "id": row["id"],
                "source": corpus.sources[corpus.source_of(row["position"])].name,
                "row": numbers[row["position"]],
                "action": "keep",
                "finder": row["finder"] or "review",
                "partner": known.get("partner"),
                "redundancy": known.get("redundancy", 0.0),
                "reason": f"{why}; {name}: {row['comment']}" if row["comment"] else why,
                "start": row["start"],
                "stop": row["stop"],
                "by": name,
            }
        )
    return pa.Table.from_pylist(told, schema=DECISIONS)


def _in_order(decisions: pa.Table, corpus: Corpus) -> pa.Table:
    places = pc.index_in(decisions["source"], pa.array([s.name for s in corpus.sources], pa.string())).to_numpy()
    return decisions.take(pa.array(np.lexsort((decisions["row"].to_numpy(), places)))).combine_chunks()

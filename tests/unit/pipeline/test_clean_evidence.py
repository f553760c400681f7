"""Counts of the evidence, by hand."""

import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.finding import Finding, table_of
from excise.ledger import DECISIONS
from excise.pipeline import clean_evidence


def decisions(*rows):
    base = {"source": "m", "row": 0, "finder": "near", "redundancy": 0.5, "reason": "", "by": ""}
    return pa.Table.from_pylist([{**base, **row} for row in rows], schema=DECISIONS)


def test_weights():
    told = decisions(
        {"id": "a", "action": "weigh", "value": "0.5"},
        {"id": "b", "action": "weigh", "value": "0.25"},
        {"id": "c", "action": "drop"},
    )
    found = clean_evidence._weights(told, left=6)  # four others weigh 1
    assert (found["records"], found["lowest"]) == (2, 0.25)
    assert found["mean"] == pytest.approx(4.75 / 6)
    assert found["effective_records"] == pytest.approx(4.75**2 / (4 + 0.25 + 0.0625))
    assert sum(found["counts"]) == 2 and found["edges"][-1] == 1.0
    assert clean_evidence._weights(decisions({"id": "c", "action": "drop"}), left=6) is None


def test_where_finders_agree():
    data = Corpus.from_texts(["t"] * 9, "m")
    seen = {"exact": [1, 2, 3, 3], "quality": [2, 3, 4, 5, 6, 7], "labels": [3], "pii": []}
    findings = table_of([Finding(name, f"m#{i}", 1.0, "", i) for name, places in seen.items() for i in places])
    found = clean_evidence._agreement(findings, data, list(seen))
    assert found["found"] == {"exact": 3, "quality": 6, "labels": 1, "pii": 0}
    assert found["alone"] == {"exact": 1, "quality": 4, "labels": 0, "pii": 0}
    assert [(pair["finders"], pair["records"]) for pair in found["overlaps"]] == [
        (["exact", "quality"], 2),
        (["exact", "labels"], 1),
        (["quality", "labels"], 1),
    ]
    assert found["overlaps"][0]["examples"] == {
        "both": ["m#2", "m#3"],
        "first": ["m#1"],
        "second": ["m#4", "m#5", "m#6"],
    }


def test_who_decided_and_what_each_source_lost():
    told = decisions(
        {"id": "a", "action": "drop"},
        {"id": "b", "action": "keep", "by": "r.csv"},
        {"id": "c", "action": "drop", "by": "r.csv", "source": "n"},
        {"id": "d", "action": "mask"},
        {"id": "d", "action": "mask"},
        {"id": "e", "action": "reject"},
    )
    assert clean_evidence._reviewed(told) == [{"by": "r.csv", "decisions": {"keep": 1, "drop": 1}}]
    dropped, changing = (told.filter(pa.compute.equal(told["action"], action)) for action in ("drop", "mask"))
    assert clean_evidence._by_source({"m": 7, "n": 2}, dropped, changing, told) == [
        {"source": "m", "records": 7, "removed": 1, "changed": 1, "rejected": 1},
        {"source": "n", "records": 2, "removed": 1, "changed": 0, "rejected": 0},
    ]

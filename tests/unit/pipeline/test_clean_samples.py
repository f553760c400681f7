"""Records to look at: the right ones, the same ones each time, no more of them than a person reads."""

import json

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import labels
from excise.data.classify import Probabilities
from excise.data.decide import decide
from excise.data.excerpts import excerpts
from excise.finding import Finding, table_of
from excise.pipeline import clean_labels, clean_samples


def corpus(texts, labels=None):
    return Corpus.from_texts(texts, "m", batch=7, labels=labels)


def near(position, partner, redundancy, finder="near"):
    return Finding(finder, f"m#{position}", redundancy, "why", position, f"m#{partner}", partner)


def groups(texts, findings, thresholds=None):
    data = corpus(texts)
    dropped = decide(table_of(findings), data)
    return clean_samples.clusters(dropped, data, thresholds or {"near": 0.8})


def test_the_largest_and_the_most_doubtful():
    texts = [f"text {i}" for i in range(80)]
    large = [near(i, 0, 0.99) for i in range(1, 9)]
    twos = [near(i + 1, i, 0.8 + i / 1000) for i in range(10, 60, 2)]
    found = groups(texts, [*twos, *large])
    assert [(g["anchor"], g["shown_for"], g["records"], g["more"]) for g in found[:2]] == [
        ("m#0", "largest", 9, 3),
        ("m#10", "doubtful", 2, 0),
    ]
    assert [g["anchor"] for g in found[1:]] == [f"m#{i}" for i in range(10, 30, 2)]
    assert [len(g["members"]) for g in found[:2]] == [5, 1]


def test_of_equal_texts_one_is_shown_and_the_least_similar_come_first():
    findings = [near(1, 0, 1.0, "exact"), near(2, 0, 1.0, "exact"), near(3, 0, 0.9), near(4, 0, 0.85)]
    (group,) = groups([f"text {i}" for i in range(5)], findings)
    assert [member["id"] for member in group["members"]] == ["m#4", "m#3", "m#1"]
    assert (group["lowest"], group["more"]) == (0.85, 1)


def test_only_equal_texts_in_twos_are_shown_too():
    found = groups(["a", "a", "b", "b"], [near(1, 0, 1.0, "exact"), near(3, 2, 1.0, "exact")])
    assert [(g["anchor"], g["text"], g["members"][0]["text"]) for g in found] == [("m#0", "a", "a"), ("m#2", "b", "b")]
    assert groups(["a"], []) == []


def test_long_texts_are_shown_from_where_they_differ():
    same = "字" * 5000
    (group,) = groups([same + "甲" + "尾" * 3000, same + "乙" + "尾" * 3000], [near(1, 0, 0.95)])
    assert group["start"] == 4800
    assert group["text"] == "字" * 200 + "甲" + "尾" * 1799
    assert group["members"][0]["text"] == "字" * 200 + "乙" + "尾" * 1799
    assert (group["characters"], group["members"][0]["characters"]) == (8001, 8001)


def test_samples_are_spread_and_what_is_masked_is_masked():
    texts = [f"{i:03d} to a{i}@b.cd or x@y.zz now" for i in range(40)]
    findings = [
        Finding("pii", f"m#{i}", 1.0, "an address", i, start=at, stop=stop, value="<EMAIL>")
        for i in range(40)
        for at, stop in ((7, 7 + len(f"a{i}@b.cd")), (11 + len(f"a{i}@b.cd"), 17 + len(f"a{i}@b.cd")))
    ]
    found = clean_samples.samples(table_of(findings), corpus(texts), {"pii": "mask"})["pii"]
    assert [row["id"] for row in found] == ["m#0", "m#10", "m#20", "m#30"]
    assert found[1]["text"] == "010 to <EMAIL> or <EMAIL> now"
    assert [found[1]["text"][a:b] for a, b in found[1]["spans"]] == ["<EMAIL>", "<EMAIL>"]
    assert "@" not in json.dumps(found)


def test_a_span_far_inside_is_shown_in_context():
    texts = ["文" * 3000 + "LINE" + "字" * 3000]
    findings = [Finding("lines", "m#0", 1.0, "a line of many", 0, start=3000, stop=3004)]
    (row,) = clean_samples.samples(table_of(findings), corpus(texts), {"lines": "cut"})["lines"]
    assert row["start"] == 2800
    ((start, stop),) = row["spans"]
    assert row["text"][start:stop] == "LINE" and len(row["text"]) == 2000


def test_labels_come_with_the_models_view_the_surest_first():
    probable = np.array([[0.9, 0.1]] * 20 + [[0.1, 0.9]] * 20 + [[0.05, 0.95], [0.08, 0.92]])
    data = corpus([f"t{i}" for i in range(42)], ["x"] * 20 + ["y"] * 20 + ["x", "x"])
    measured = labels.measure(data, labels.LabelsSettings(), probabilities=Probabilities(("x", "y"), probable))
    findings = pa.concat_tables([*labels.judge(measured, data, labels.LabelsSettings())])
    found = clean_labels.suspicious_labels(findings, data, "relabel", measured)
    assert [(row["id"], row["given"], row["suggested"]) for row in found] == [("m#40", "x", "y"), ("m#41", "x", "y")]
    assert [row["probabilities"] for row in found] == [{"y": 0.95, "x": 0.05}, {"y": 0.92, "x": 0.08}]
    assert clean_labels.label_noise(measured) == {"labels": ["x", "y"], "counts": [[20, 2], [0, 20]], "wrong": 2}


def test_values_come_with_what_was_expected():
    data = corpus(["a", "b"], ["1.5", "99"])
    (row,) = clean_labels.suspicious_values(table_of([Finding("values", "m#1", 0.9, "far", 1, value="2.25")]), data)
    assert (row["id"], row["given"], row["expected"], row["text"]) == ("m#1", 99.0, 2.25, "b")


def test_evaluation_items_are_shown_beside_the_record_that_holds_them():
    item = "How many clips did Natalia sell in April and May all together, if she sold half as many in May?"
    texts = ["filler " * 50 + item.upper() + " The answer is 72.", "other"]
    data = Corpus.from_texts(texts, "m").beside(Corpus.from_texts([item, "unseen"], "test"))
    findings = table_of([Finding("contaminated", "m#0", 0.9, "holds it", 2, "test#0", 0)])
    found = clean_samples.contamination(findings, data)
    (row,) = found.pop("examples")
    assert found == {"items": 2, "touched": 1}
    assert (row["id"], row["matched"], row["records"], row["longest"]) == ("test#0", 0.9, 1, 20)
    assert row["spans"] == [[0, len(item) - 1]], "all but the question mark"
    assert item.upper() in row["example_text"] and len(row["example_text"]) < 700


@pytest.mark.parametrize("start", [0, 2, 9])
def test_excerpts(start):
    data = corpus(["零一二三四五六七八九"] * 20, ["x"] * 20)
    found = excerpts(data, {"m#3": [start], "m#15": [start], "none": [0]}, 4)
    assert found.keys() == {("m#3", start), ("m#15", start)}
    one = found["m#15", start]
    assert (one.text, one.start, one.characters, one.label) == (
        "零一二三四五六七八九"[start : start + 4],
        start,
        10,
        "x",
    )


def test_findings_without_spans_and_partners_are_no_trouble():
    assert clean_samples.samples(table_of([]), corpus(["a"]), {}) == {}
    assert clean_labels.suspicious_labels(table_of([]), corpus(["a"]), "drop", None) == []
    assert (
        clean_samples.clusters(pa.Table.from_pylist([], decide(table_of([]), corpus(["a"])).schema), corpus(["a"]), {})
        == []
    )

"""A person's word comes first; what is left is as consistent as without it."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.corpus import Corpus
from excise.data import review, review_form
from excise.data.decide import decide
from excise.errors import InputError
from excise.finding import Finding, table_of

ACTIONS = {"labels": "relabel", "pii": "mask", "lines": "cut"}
TEXTS = ["one copy", "one copy", "one copy", "near by", "mail a@b.c and d@e.f", "odd", "a header line", "last"]


def corpus():
    return Corpus.from_texts(TEXTS, "m", labels=["x", "x", "y", None, "x", "y", "x", "y"])


def pair(finder, position, partner, redundancy=1.0):
    told = f"has the same text as m#{partner}"
    return Finding(finder, f"m#{position}", redundancy, told, position, f"m#{partner}", partner)


FINDINGS = table_of(
    [
        pair("exact", 1, 0),
        pair("exact", 2, 0),
        pair("near", 3, 0, 0.9),
        Finding("pii", "m#4", 1.0, "an e-mail address", 4, start=5, stop=10, value="<EMAIL>"),
        Finding("pii", "m#4", 1.0, "an e-mail address", 4, start=15, stop=20, value="<EMAIL>"),
        Finding("outliers", "m#5", 0.7, "far from all", 5),
        Finding("quality", "m#5", 0.9, "too short", 5),
        Finding("labels", "m#1", 0.8, "labelled x, likely y", 1, value="y"),
        Finding("labels", "m#7", 0.6, "labelled y, likely x", 7, value="x"),
        Finding("lines", "m#6", 1.0, "a line of 9 records", 6, start=0, stop=8),
    ]
)


def rows(*told):
    """What a file would give: strings, and row numbers from 2."""
    names = ("id", "decision", "finder", "span", "value", "comment", "made_for")
    read = [{**dict.fromkeys(names, ""), **row, "line": i} for i, row in enumerate(told, start=2)]
    return pa.Table.from_pylist(read, schema=pa.schema([*((n, pa.string()) for n in names), ("line", pa.int64())]))


def applied(*told, findings=FINDINGS, name="review.csv"):
    data = corpus()
    found = review.apply(findings, review_form.checked(rows(*told), data, name), data, name, None, ACTIONS)
    return found.to_pylist()


def of(decisions, name):
    return [(d["action"], d["finder"], d["partner"], d["by"]) for d in decisions if d["id"] == name]


def test_no_decision_is_as_proposed():
    told = [{"id": f"m#{i}"} for i in range(8)]
    assert applied(*told) == decide(FINDINGS, corpus(), None, ACTIONS).to_pylist()


def test_keep_wins_and_the_ledger_says_who():
    found = applied({"id": "m#1", "decision": "Keep", "finder": "exact", "comment": "not the same"})
    assert of(found, "m#1") == [("relabel", "labels", None, ""), ("keep", "exact", "m#0", "review.csv")]
    assert of(found, "m#2") == [("drop", "exact", "m#0", "")]
    kept = next(d for d in found if d["action"] == "keep")
    assert kept["reason"] == "has the same text as m#0; review.csv: not the same"


def test_a_record_that_is_kept_is_still_changed_where_it_would_have_been():
    findings = table_of([pair("exact", 4, 0), *(Finding("pii", "m#4", 1.0, "mail", 4, start=5, stop=10, value="<E>"),)])
    found = applied({"id": "m#4", "decision": "keep", "finder": "exact"}, findings=findings)
    assert of(found, "m#4") == [("mask", "pii", None, ""), ("keep", "exact", "m#0", "review.csv")]


def test_a_bridge_between_equal_texts_can_be_kept():
    """The copies it stands between stay equal: the other still goes."""
    findings = table_of([pair("exact", 2, 0), pair("exact", 2, 1)])
    found = applied({"id": "m#2", "decision": "keep", "finder": "exact"}, findings=findings)
    assert of(found, "m#1") == [("drop", "exact", "m#0", "")]
    assert of(found, "m#2") == [("keep", "exact", "m#0", "review.csv")]


def test_keep_holds_against_every_finder():
    assert of(applied({"id": "m#5", "decision": "保留", "finder": "outliers"}), "m#5") == [
        ("keep", "outliers", None, "review.csv")
    ]


def test_what_would_have_gone_for_a_dropped_record_goes_for_its_copy_or_stays():
    found = applied({"id": "m#0", "decision": "删除"})
    assert of(found, "m#0") == [("drop", "review", None, "review.csv")]
    assert [d["action"] for d in found if d["id"] == "m#1"] == ["relabel"], "the first of the copies stays now"
    assert of(found, "m#2") == [("drop", "exact", "m#1", "")]
    assert "m#0" not in {d["partner"] for d in found}


def test_nothing_goes_for_a_record_that_goes():
    found = applied(
        {"id": "m#0", "decision": "drop"}, {"id": "m#1", "decision": "drop"}, {"id": "m#2", "decision": "drop"}
    )
    gone = {d["id"] for d in found if d["action"] == "drop"}
    assert gone == {"m#0", "m#1", "m#2", "m#5"}
    assert not {d["partner"] for d in found} & gone


def test_a_dropped_copy_is_told_with_what_was_seen():
    (found,) = [d for d in applied({"id": "m#3", "decision": " DROP ", "finder": "near"}) if d["id"] == "m#3"]
    assert (found["finder"], found["partner"], found["redundancy"], found["by"]) == ("near", "m#0", 0.9, "review.csv")


def test_one_span_of_several_is_kept():
    found = applied({"id": "m#4", "decision": "keep", "finder": "pii", "span": "5..10"})
    assert [(d["action"], d["start"], d["by"]) for d in found if d["id"] == "m#4"] == [
        ("mask", 15, ""),
        ("keep", 5, "review.csv"),
    ]


def test_relabel_as_proposed_or_otherwise():
    found = applied(
        {"id": "m#7", "decision": "改标", "finder": "labels", "value": "x"},
        {"id": "m#5", "decision": "relabel： Sport News ", "finder": "outliers"},
    )
    assert [(d["action"], d["value"], d["by"]) for d in found if d["id"] == "m#7"] == [("relabel", "x", "review.csv")]
    # The other finder still says that it is too short: nobody said that it stays.
    assert of(found, "m#5") == [("drop", "quality", None, "")]


def test_relabel_and_keep():
    found = applied(
        {"id": "m#5", "decision": "relabel:Sport", "finder": "outliers"},
        {"id": "m#5", "decision": "keep", "finder": "quality"},
    )
    assert [(d["action"], d["finder"], d["value"]) for d in found if d["id"] == "m#5"] == [
        ("relabel", "outliers", "Sport"),
        ("keep", "quality", None),
    ]


def test_cut_takes_the_span_of_a_row_that_proposed_to_drop():
    findings = table_of([Finding("substrings", "m#6", 0.8, "comes again", 6, start=2, stop=8)])
    found = applied({"id": "m#6", "decision": "cut", "finder": "substrings", "span": "2..8"}, findings=findings)
    assert [(d["action"], d["finder"], d["start"], d["stop"], d["by"]) for d in found] == [
        ("cut", "substrings", 2, 8, "review.csv")
    ]


def test_a_reference_never_goes_and_its_copy_may_be_kept():
    data = Corpus.from_texts(["same"], "own").beside(Corpus.from_texts(["same"], "ref"))
    findings = table_of([Finding("exact", "own#0", 1.0, "has the same text as ref#0", 1, "ref#0", 0)])
    told = review_form.checked(rows({"id": "own#0", "decision": "keep", "finder": "exact"}), data, "r.csv")
    assert [d["action"] for d in review.apply(findings, told, data, "r.csv").to_pylist()] == ["keep"]
    with pytest.raises(InputError, match=r"r.csv:2: id is 'ref#0'; no record"):
        review_form.checked(rows({"id": "ref#0", "decision": "drop"}), data, "r.csv")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"id": "m#1", "decision": "maybe"}, "r.csv:2: decision is 'maybe'; it must be empty"),
        ({"id": "m#1", "decision": "keep:this"}, "r.csv:2: decision is 'keep:this'"),
        ({"id": "m#1", "decision": ":x"}, "r.csv:2: decision is ':x'"),
        ({"id": "m#1", "decision": "relabel"}, "r.csv:2: decision is relabel, but there is no label"),
        ({"id": "m#1", "decision": "relabel: "}, "r.csv:2: decision is relabel, but there is no label"),
        ({"id": "m#1", "decision": "cut"}, "r.csv:2: decision is cut, but the row names no span"),
        ({"id": "m#99"}, "r.csv:2: id is 'm#99'; no record of these data"),
        ({"id": "m#1", "made_for": "data-0"}, "r.csv:2: made_for is 'data-0'; these data are"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_row(told, message):
    with pytest.raises(InputError) as caught:
        review_form.checked(rows(told), corpus(), "r.csv")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "decisions", [("keep", "drop"), ("drop", "relabel:x"), ("relabel:x", "relabel:y"), ("keep", "relabel:x", "drop")]
)
def test_contradictions_are_refused_with_both_rows(decisions):
    told = [{"id": "m#1", "decision": d, "finder": str(i)} for i, d in enumerate(decisions)]
    with pytest.raises(InputError, match=rf"r.csv:{len(told) + 1}: 'm#1' is told to .* in row \d"):
        review_form.checked(rows(*told), corpus(), "r.csv")


def test_a_file_without_the_columns_is_refused():
    with pytest.raises(InputError, match="there is no column 'decision'; a review has the columns id, source"):
        review_form.checked(pa.table({"id": ["m#1"], "line": [2]}), corpus(), "r.csv")


def test_the_data_are_the_files_and_the_view_but_no_reference():
    data = corpus()
    assert review_form.fingerprint(data) == review_form.fingerprint(data.beside(Corpus.from_texts(["r"], "ref")))
    assert review_form.fingerprint(data) != review_form.fingerprint(Corpus.from_texts(TEXTS[:-1], "m"))


def test_proposals_come_with_their_texts_the_most_doubtful_first():
    decided = decide(FINDINGS, corpus(), None, ACTIONS)
    (table,) = review_form.proposals(decided, corpus(), {"near": 0.8, "labels": 0.55, "quality": 0.1})
    told = table.to_pylist()
    assert [row["finder"] for row in told[:3]] == ["labels", "near", "quality"]  # .05/.45, .1/.2, .8/.9 above
    near = told[1]
    assert (near["text"], near["partner_text"], near["decision"]) == ("near by", "one copy", None)
    masked = next(row for row in told if row["span"] == "15..20")
    assert (masked["value"], masked["text"]) == ("<EMAIL>", TEXTS[4])
    assert {row["made_for"] for row in told} == {review_form.fingerprint(corpus())}


def test_the_text_of_a_long_record_is_shown_around_the_span():
    data = Corpus.from_texts(["文" * 1000 + "线" * 10 + "字" * 1000], "m")
    found = table_of([Finding("lines", "m#0", 1.0, "again", 0, start=1000, stop=1010)])
    (table,) = review_form.proposals(decide(found, data, None, ACTIONS), data)
    text = table["text"][0].as_py()
    assert text == "…" + "文" * 80 + "线" * 10 + "字" * 210 + "…"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from(["exact", "near"])), max_size=10),
    st.dictionaries(st.integers(0, 7), st.sampled_from(["keep", "drop", ""]), max_size=6),
)
def test_whatever_a_person_says_no_record_goes_for_one_that_goes(edges, said):
    findings = table_of([pair(kind, max(a, b), min(a, b)) for a, b, kind in edges if a != b])
    found = applied(*({"id": f"m#{i}", "decision": word} for i, word in said.items()), findings=findings)
    gone = {d["id"] for d in found if d["action"] == "drop"}
    assert not gone & {d["partner"] for d in found if d["action"] == "drop"}
    assert not gone & {f"m#{i}" for i, word in said.items() if word == "keep"}
    assert gone >= {f"m#{i}" for i, word in said.items() if word == "drop"}
    assert {d["id"] for d in found if d["by"]} == {f"m#{i}" for i, word in said.items() if word}

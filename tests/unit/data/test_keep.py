"""Who stays: hand-made findings and what must come of them."""

import pyarrow as pa
import pytest

from excise.corpus import Corpus, Source, batch_of
from excise.data import keep
from excise.data.decide import decide
from excise.errors import InputError, SettingError
from excise.finding import FINDINGS, Finding, table_of
from excise.ledger import DECISIONS

CORPUS = Corpus.from_texts(["aa", "bbbb", "c", "dddd", "eee", "f"])


def finding(finder, position, partner, redundancy=1.0):
    return Finding(finder, f"memory#{position}", redundancy, "", position, f"memory#{partner}", partner)


def decided(*findings, policy="first"):
    table = decide(table_of(findings), CORPUS, keep.ranks(CORPUS, policy))
    assert table.schema == DECISIONS
    return [(r["row"], r["finder"], r["partner"], r["redundancy"]) for r in table.to_pylist()]


def test_ranks():
    assert keep.ranks(CORPUS, "first").tolist() == [0, 1, 2, 3, 4, 5]
    assert keep.ranks(CORPUS, "longest").tolist() == [3, 0, 4, 1, 2, 5]
    assert keep.ranks(Corpus.from_texts(["中中", "abc"]), "longest").tolist() == [1, 0]  # code points, not bytes
    assert keep.ranks(Corpus.from_texts([]), "longest").tolist() == []
    with pytest.raises(SettingError, match="keep is 'best'; it must be one of first, last, longest"):
        keep.ranks(CORPUS, "best")


def test_a_chain_does_not_remove_what_matches_nothing_that_stays():
    # 0 ~ 1 ~ 2, but 0 and 2 do not match: closure would remove both 1 and 2.
    chain = (finding("near", 1, 0, 0.9), finding("near", 2, 1, 0.85))
    assert decided(*chain) == [(1, "near", "memory#0", 0.9)]
    assert decided(*chain, policy="longest") == [(0, "near", "memory#1", 0.9), (2, "near", "memory#1", 0.85)]


def test_the_most_similar_of_those_that_stay_is_the_partner():
    assert decided(finding("near", 5, 0, 0.81), finding("near", 5, 3, 0.95), finding("near", 5, 1, 0.95)) == [
        (5, "near", "memory#1", 0.95)
    ]


def test_longest_may_keep_a_record_that_was_not_the_partner():
    group = (finding("normalised", 1, 0), finding("normalised", 2, 0), finding("exact", 2, 0))
    assert decided(*group) == [(1, "normalised", "memory#0", 1.0), (2, "exact", "memory#0", 1.0)]
    assert decided(*group, policy="longest") == [
        (0, "normalised", "memory#1", 1.0),
        (2, "normalised", "memory#1", 1.0),
    ]


def test_copies_of_a_record_that_goes_go_for_the_record_that_stays():
    # 3 and 4 equal 2; 2 is near 0 and goes: their partner is 0, which they match as well as 2 does.
    found = (finding("exact", 3, 2), finding("normalised", 4, 2), finding("near", 2, 0, 0.9))
    assert decided(*found) == [(p, "near", "memory#0", 0.9) for p in (2, 3, 4)]
    # Found through a copy that is not the group's best, it is the same.
    assert decided(found[0], found[1], finding("near", 4, 0, 0.9)) == decided(*found)


def test_a_match_inside_a_group_of_equals_adds_nothing():
    assert decided(finding("exact", 1, 0), finding("near", 1, 0, 1.0)) == [(1, "exact", "memory#0", 1.0)]


def test_rows_ids_and_sentences():
    corpus = Corpus((*CORPUS.sources,) * 1, CORPUS.views)
    table = decide(table_of([finding("near", 4, 1, 0.999)]), corpus).to_pylist()
    assert table == [
        {
            "id": "memory#4",
            "source": "memory",
            "row": 4,
            "action": "drop",
            "finder": "near",
            "partner": "memory#1",
            "redundancy": 0.999,
            "reason": "shares 99 % of the 5-word sequences of both with memory#1",
            "start": None,
            "stop": None,
            "value": None,
            "by": "",
        }
    ]


def test_no_findings_decide_nothing():
    assert decided() == []
    assert decide(FINDINGS.empty_table(), Corpus.from_texts([])).num_rows == 0


def test_what_goes_for_itself_goes_first_and_nothing_goes_for_it():
    # 0 is an outlier: its copies 1 and 2 have each other, and 4, near the outlier 5 only, stays.
    alone = Finding("outliers", "memory#0", 0.9, "", 0)
    other = Finding("outliers", "memory#5", 0.8, "", 5)
    found = (finding("exact", 1, 0), finding("exact", 2, 0), finding("near", 4, 5, 0.9), alone, other)
    assert decided(*found) == [
        (0, "outliers", None, 0.9),
        (2, "exact", "memory#1", 1.0),
        (5, "outliers", None, 0.8),
    ]


def test_a_dead_record_still_speaks_for_its_equals():
    # 0 equals 1 and is near 3; 0 goes for what it is: 3 goes for 1, which has the same text.
    alone = Finding("outliers", "memory#0", 0.9, "", 0)
    found = (finding("exact", 1, 0), finding("near", 3, 0, 0.9), alone)
    assert decided(*found) == [(0, "outliers", None, 0.9), (3, "near", "memory#1", 0.9)]


def test_references_stay_and_others_go_for_them():
    corpus = CORPUS.beside(CORPUS)
    found = [finding("exact", 6, 0), finding("exact", 1, 0), finding("near", 7, 3, 0.9), finding("near", 9, 7, 0.9)]
    table = decide(table_of(found), corpus, keep.ranks(corpus, "last"))
    assert [(r["row"], r["partner"]) for r in table.to_pylist()] == [(0, "memory#0"), (1, "memory#3")]


def test_of_a_cluster_the_best_k_stay():
    found = table_of([finding("exact", n, 0) for n in (1, 2, 3, 5)])
    assert decide(found, CORPUS, per_cluster=3)["row"].to_pylist() == [3, 5]
    assert decide(found, CORPUS, keep.ranks(CORPUS, "last"), per_cluster=2)["row"].to_pylist() == [0, 1, 2]


def test_weights_instead_of_removals():
    found = table_of([finding("exact", 1, 0), finding("exact", 4, 0), Finding("outliers", "memory#2", 0.75, "", 2)])
    table = decide(found, CORPUS, actions={"exact": "weigh", "outliers": "weigh"})
    assert set(table["action"].to_pylist()) == {"weigh"}
    weights = dict(zip(table["row"].to_pylist(), map(float, table["value"].to_pylist()), strict=True))
    assert weights == pytest.approx({0: 1 / 3, 1: 1 / 3, 2: 0.25, 4: 1 / 3}, abs=1e-6)


def test_a_suggested_label_is_no_weight():
    found = table_of(
        [Finding("labels", "memory#1", 0.9, "r", 1, value="0"), Finding("unlike", "memory#2", 0.9, "r", 2, value="0.3")]
    )
    table = decide(found, CORPUS, actions={"labels": "weigh", "unlike": "weigh"})
    assert [float(value) for value in table["value"].to_pylist()] == pytest.approx([0.1, 0.3])


def test_spans_that_overlap_are_cut_once_and_only_in_records_that_stay():
    def span(row, start, stop):
        return Finding("lines", f"memory#{row}", 1.0, "r", row, start=start, stop=stop)

    found = table_of([span(1, 2, 5), span(1, 0, 3), span(1, 2, 4), span(2, 0, 1), finding("exact", 2, 0)])
    table = decide(found, CORPUS, actions={"lines": "cut"}).to_pylist()
    assert [(r["row"], r["action"], r["start"], r["stop"]) for r in table] == [
        (1, "cut", 0, 3),
        (1, "cut", 3, 5),
        (2, "drop", None, None),
    ]


def test_ranks_by_a_field():
    def ranked(policy, *values):
        batch = batch_of([str(n) for n in range(len(values))], [""] * len(values))
        batch = batch.set_column(6, "order", pa.array(values, pa.string()))
        source = Source("s", "s", "memory", "", 0, "", len(values), "text")
        return keep.ranks(Corpus((source,), ((batch,),)), policy).tolist()

    assert ranked("highest:size", "9", "10", None, "10") == [2, 0, 3, 1]
    assert ranked("lowest:date", "2024-05-01", "2023-12-31", None, "2024-01-01") == [2, 0, 3, 1]
    with pytest.raises(SettingError, match="highest names the field to rank by"):
        keep.ranks(CORPUS, "highest")
    with pytest.raises(SettingError, match="first takes no field"):
        keep.ranks(CORPUS, "first:date")


def test_sources_are_named():
    both = Corpus.from_texts(["x"], "one"), Corpus.from_texts(["x", "y"], "two")
    corpus = Corpus(tuple(c.sources[0] for c in both), tuple(c.views[0] for c in both))
    table = decide(table_of([finding("exact", 1, 0)]), corpus)
    assert pa.Table.to_pylist(table.select(["id", "source", "row", "partner"])) == [
        {"id": "two#0", "source": "two", "row": 0, "partner": "one#0"}
    ]


def test_an_empty_value_is_missing_and_mixed_ones_have_no_order():
    def ranked(*values):
        batch = batch_of([str(n) for n in range(len(values))], [""] * len(values))
        batch = batch.set_column(6, "order", pa.array(values, pa.string()))
        source = Source("s", "s", "memory", "", 0, "", len(values), "text")
        return keep.ranks(Corpus((source,), ((batch,),)), "highest:q").tolist()

    assert ranked("9", "10", "", " 11") == [2, 1, 3, 0]
    with pytest.raises(InputError, match="some values are numbers and others are not, such as 'n/a'"):
        ranked("9", "n/a", "10")

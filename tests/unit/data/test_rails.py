"""Guard rails: what warns, what stops, and what does neither."""

import pytest

from excise.corpus import Corpus
from excise.data import rails
from excise.data.decide import decide
from excise.finding import Finding, table_of


def guard(records, removed, finder="near", spread=1, blank=0):
    """`removed` of the records go, in favour of the first `spread`."""
    corpus = Corpus.from_texts([str(i) for i in range(records)])
    found = [
        Finding(finder, f"memory#{p}", 0.9, "", p, f"memory#{p % spread}", p % spread)
        for p in range(spread, spread + removed)
    ]
    return rails.guard(decide(table_of(found), corpus), corpus, [blank])


def test_nothing_found_is_said():
    assert guard(10, 0).warnings == (
        "Nothing was found: no record repeats another. Check that the text field is the right one.",
    )
    assert rails.guard(decide(table_of([]), Corpus.from_texts([])), Corpus.from_texts([]), [0]).warnings == ()


@pytest.mark.parametrize(("removed", "warned"), [(500, False), (501, True)])
def test_a_source_that_loses_more_than_half_is_named(removed, warned):
    found = guard(1000, removed, spread=400)
    assert found.warnings == (("memory loses 501 of 1,000 records (50.1 %).",) if warned else ())
    assert (found.stop is not None) == warned


def test_only_near_findings_on_sources_of_a_thousand_stop():
    assert guard(999, 600, spread=300).stop is None
    assert guard(1000, 600, spread=300, finder="exact").stop is None
    stop = guard(1000, 600, spread=300).stop
    assert stop is not None
    assert "600 of the 1,000 records of memory" in stop
    assert "--allow-large" in stop


def test_so_do_records_without_text_where_they_go():
    assert guard(1000, 600, spread=300, finder="exact", blank=500).stop is None
    assert guard(1000, 0, blank=900).stop is None  # nothing goes
    stop = guard(1000, 600, spread=300, finder="exact", blank=601).stop
    assert stop is not None and "601 of the 1,000 records of memory have an empty text" in stop


def test_a_large_cluster_is_named():
    assert guard(10_000, 100).warnings == (
        "100 records go in favour of memory#0: more than 1 % of the corpus in one cluster.",
    )
    assert guard(10_000, 99).warnings == ()
    assert guard(100, 15).warnings == ()  # 16 of 100 is more than 1 %, but small numbers say little

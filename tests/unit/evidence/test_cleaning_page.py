"""The page of a cleaning: what is in the evidence is on it, and only arranged."""

import re

import pytest

from cleaning_sample import CLEANING
from evidence_samples import CLEAN
from excise.evidence import report
from excise.evidence.cleaning import arranged, with_spans


@pytest.fixture(scope="module")
def page():
    return report.page(CLEANING)


def plain(html):
    english = re.sub(r'<span lang="zh">.*?</span>', "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", english))


def test_the_bar_holds_every_record_once():
    bar = arranged(CLEANING, "")["bar"]
    assert sum(piece["count"] for piece in bar) == CLEANING["before"]["records"]
    assert sum(float(piece["width"]) for piece in bar) == pytest.approx(100, abs=0.01)
    assert [piece["colour"] for piece in bar[:2]] == ["kept", "changed"]


def test_each_finder_has_one_colour_in_bar_and_table():
    told = arranged(CLEANING, "")
    colours = {row["name"]: row["colour"] for row in told["finders"]}
    assert len(set(colours.values())) == len(colours) == 8
    assert all(colours[piece["name"]] == piece["colour"] for piece in told["bar"] if piece["name"] in colours)


def test_what_two_finders_agree_on_is_in_both_cells_and_the_examples_are_named(page):
    rows = {row["name"]: [cell["count"] for cell in row["cells"]] for row in arranged(CLEANING, "")["matrix"]}
    names = list(rows)
    assert rows["labels"][names.index("outliers")] == rows["outliers"][names.index("labels")] == 9
    assert rows["exact"][names.index("exact")] == CLEANING["found"]["exact"]
    assert "only outliers" in plain(page) and "短信/第一批.jsonl#6" in page


def test_clusters_stand_beside_the_record_that_stays_with_differences_marked(page):
    assert page.index("sms/train.jsonl#3</h4>") < page.index("sms/train.jsonl#17</h4>")
    assert "won a <mark>2</mark>,000 pound" in page
    assert "大家<mark>务必</mark>准时" in page
    assert "and 5 more" in plain(page)
    assert '<span class="fold">⋯ 615 ⋯</span>' in page


def test_characters_that_act_are_shown_and_nothing_becomes_markup(page):
    assert "\x1b" not in page and "\u202e" not in page
    assert '<span class="sign">⟨ESC⟩</span>' in page and '<span class="sign">⟨U+202E⟩</span>' in page
    assert "<script>" not in page


def test_a_label_is_shown_with_the_models_view(page):
    words = plain(page)
    assert "given ham · suggested spam" in words
    assert 'style="width: 97.0%"' in page
    assert "0.97" in words


def test_text_that_was_cut_says_how_long_it_is(page):
    assert "12,400 characters" in plain(page)


def test_what_to_type_next_names_a_finder_that_removed_something(page):
    assert "excise restore OUT --only exact -o DATA" in page
    assert "excise explain OUT ID" in page


def test_who_decided_is_named(page):
    assert "review.csv: 4 keep, 2 drop, 1 relabel" in plain(page)


def test_sources_are_sorted_by_what_they_lose():
    many = [{"source": f"{i}.jsonl", "records": 10, "removed": i, "changed": 0, "rejected": 0} for i in range(5)]
    told = arranged({**CLEANING, "sources": many}, "")["sources"]
    assert [row["removed"] for row in told] == [4, 3, 2, 1, 0]


def test_an_older_evidence_is_shown_by_pairs_and_similarities():
    told = arranged(CLEAN, "")
    assert len(told["pairs"]) == 2 and not told["clusters"]
    assert told["distributions"][0]["threshold"] == [None, 0.8]
    assert [row["removed"] for row in told["sources"]] == [400, 82]


@pytest.mark.parametrize(
    ("spans", "shown"),
    [
        ([], "a&lt;bcdef"),
        ([[1, 3]], "a<mark>&lt;b</mark>cdef"),
        ([[0, 2, "<X>"], [5, 99]], '<mark>a&lt;</mark><span class="new">&lt;X&gt;</span>bcd<mark>ef</mark>'),
    ],
)
def test_spans_are_marked_with_what_replaces_them(spans, shown):
    assert with_spans("a<bcdef", spans) == shown

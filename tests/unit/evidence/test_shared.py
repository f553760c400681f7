"""Runs of words that two texts share: their places and lengths."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.evidence.shared import shared


def test_runs_in_another_order_and_case():
    one, other = "a b c d e; then f g h i j k", "F G H I J K and A, B, C, D, E"
    runs = shared(one, other)
    assert [(one[r.start : r.stop], r.words) for r in runs] == [("a b c d e", 5), ("f g h i j k", 6)]
    assert [other[r.other] for r in runs] == ["A", "F"]


def test_code_points_of_scripts_without_spaces():
    one, other = "今天下午三点在会议室开会", "通知：今天下午三点在会议室开会，请准时"
    (run,) = shared(one, other)
    assert (run.start, run.stop, run.other, run.words) == (0, 12, 3, 12)


@pytest.mark.parametrize(("one", "other"), [("", "a b"), ("a b c d e f", ""), ("a b c d", "x y")])
def test_nothing_shared(one, other):
    assert shared(one, other) == []


def test_a_text_shorter_than_a_run_is_one():
    assert [run.words for run in shared("big dog", "the big dog barks")] == [2]


@given(st.lists(st.sampled_from("abc"), max_size=20), st.lists(st.sampled_from("abc"), max_size=20))
def test_each_run_is_in_the_other_text_and_they_are_apart(one, other):
    mine, theirs = " ".join(one), " ".join(other)
    reached = 0
    for run in shared(mine, theirs, 3):
        assert theirs[run.other :].startswith(mine[run.start : run.stop])
        assert run.start >= reached
        assert len(mine[run.start : run.stop].split()) == run.words
        reached = run.stop


def test_a_table_of_one_word_takes_no_time():
    began = time.monotonic()
    shared("x " * 2000, "x " * 20_000)
    assert time.monotonic() - began < 5

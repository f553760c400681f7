"""Differences: what both share is bare, what one lacks is marked, nothing is lost."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from excise.evidence.differences import LONGEST, beside, differing, marked
from excise.evidence.visible import visible


@pytest.mark.parametrize(
    ("removed", "kept", "shown"),
    [
        ("a b c", "a x c", ("a <mark>b</mark> c", "a <mark>x</mark> c")),
        ("same", "same", ("same", "same")),
        ("", "new", ("", "<mark>new</mark>")),
        ("三点开会", "四点开会", ("<mark>三</mark>点开会", "<mark>四</mark>点开会")),
        ("<b>", "<i>", ("&lt;<mark>b</mark>&gt;", "&lt;<mark>i</mark>&gt;")),
        ("abc中文", "abd中文", ("<mark>abc</mark>中文", "<mark>abd</mark>中文")),
    ],
)
def test_marks(removed, kept, shown):
    assert marked(removed, kept) == shown


def told(side):
    """What a person reads of HTML."""
    return Markup(re.sub(r"<[^>]*>", "", side)).unescape()


@given(st.text(max_size=60), st.text(max_size=60))
def test_both_texts_are_whole(removed, kept):
    for text, side in zip((removed, kept), marked(removed, kept), strict=True):
        assert told(side) == visible(text)


@given(st.lists(st.sampled_from("ab c"), max_size=12), st.lists(st.sampled_from("ab c"), max_size=12))
def test_what_is_not_marked_is_the_same_on_both_sides(one, other):
    flags = differing(one, other)
    bare = [
        "".join(p for p, flag in zip(*side, strict=True) if not flag) for side in zip((one, other), flags, strict=True)
    ]
    assert bare[0] == bare[1]


def test_the_kept_text_marks_what_any_of_the_others_lacks():
    kept, (first, second) = beside("one two three", ["one 2 three", "one two 3"])
    assert kept == "one <mark>two</mark> <mark>three</mark>"
    assert (first, second) == ("one <mark>2</mark> three", "one two <mark>3</mark>")


def test_long_stretches_that_are_the_same_are_left_out_and_counted():
    same = "abcdefghi " * 60
    kept, (other,) = beside(same + "x", [same + "y"])
    left = int(re.search(r"⋯ (\d+) ⋯", kept)[1])
    assert left == 600 - 2 * 60
    assert len(told(kept)) == len(told(other)) == 601 - left + len(f"⋯ {left} ⋯")
    assert kept.endswith("<mark>x</mark>") and other.endswith("<mark>y</mark>")
    assert "⋯" not in beside(same, [same])[0], "equal texts are shown as they are"
    kept, (part,) = beside("x " + same, [same])
    assert "⋯ 480 ⋯" in part and "⋯ 540 ⋯" in kept, "a text that is a part of the other is cut as that one is"


@pytest.mark.parametrize("text", ["a ", "啊", "a b "])
def test_one_word_a_thousand_times_takes_no_time(text):
    """difflib tries each pair of equal words: 30 s where this takes 10 ms."""
    began = time.monotonic()
    beside(text * 1000, ["z " + text * 500])
    assert time.monotonic() - began < 3


def test_a_long_text_is_cut_and_says_so():
    side, _ = marked("x " * LONGEST, "x " * LONGEST)
    assert len(side) == LONGEST + 1
    assert side.endswith("…")

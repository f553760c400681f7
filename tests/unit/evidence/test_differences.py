"""Differences: what both share is bare, what one lacks is marked, nothing is lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from excise.evidence.differences import LONGEST, marked


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


@given(st.text(max_size=60), st.text(max_size=60))
def test_both_texts_are_whole(removed, kept):
    for text, side in zip((removed, kept), marked(removed, kept), strict=True):
        assert Markup(re.sub(r"</?mark>", "", side)).unescape() == text


def test_a_long_text_is_cut_and_says_so():
    side, _ = marked("x " * LONGEST, "x " * LONGEST)
    assert len(side) == LONGEST + 1
    assert side.endswith("…")

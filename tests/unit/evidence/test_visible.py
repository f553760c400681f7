"""Characters that act are told by sign, all others stay."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.evidence.visible import shown, visible


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("\x1b[2J", "⟨ESC⟩[2J"),
        ("a\r\n\tb", "a⟨CR⟩\n\tb"),
        ("\x00\x07\x7f", "⟨NUL⟩⟨BEL⟩⟨DEL⟩"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("ab\u202ecd", "ab⟨U+202E⟩cd"),
        ("\ufeff文\u200b本", "⟨U+FEFF⟩文⟨U+200B⟩本"),
        ("\ud800", "⟨U+D800⟩"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
    ],
)
def test_signs(text, sign):
    assert visible(text) == sign


@given(st.text())
def test_nothing_acts_and_nothing_else_changes(text):
    found = visible(text)
    assert not [c for c in found if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]
    plain = "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or c in "\n\t")
    assert not plain or visible(plain) == plain


def test_in_a_page_signs_are_set_apart_and_the_rest_escaped():
    assert shown("<b>\x1b") == '&lt;b&gt;<span class="sign">⟨ESC⟩</span>'

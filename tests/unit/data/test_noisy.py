"""Values and limits in words: the value is told on its side of the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.data.noisy import shown

NUMBERS = st.floats(1e-6, 1e6)


@pytest.mark.parametrize(
    ("value", "limit", "learnt", "told"),
    [
        (0.0174, 0.0173192372667242, True, ("0.0174", "0.0173")),
        (0.01732, 0.0173192372667242, True, ("0.01732", "0.017319")),  # as many digits as the value needs
        (0.5, 0.0173192372667242, True, ("0.5", "0.0173")),
        (0.0174, 0.0173192372667242, False, ("0.0174", "0.0173192372667242")),
        (-0.51, -0.5, False, ("-0.51", "-0.5")),
        (123456.0, 1000, False, ("123500", "1000")),
        (2.0, 123456.0, True, ("2", "123000")),
    ],
)
def test_by_hand(value, limit, learnt, told):
    assert shown(value, limit, learnt=learnt) == told


@given(NUMBERS, NUMBERS, st.booleans())
def test_the_value_is_told_on_its_side_of_the_limit(value, limit, learnt):
    number, rule = map(float, shown(value, limit, learnt=learnt))
    assert (number > rule) == (value > limit) or number == rule
    assert number == pytest.approx(value, rel=0.06) and rule == pytest.approx(limit, rel=0.006 if learnt else 1e-14)


def test_shares_in_percent():
    assert shown(0.302, 0.3, percent=True) == ("30.2 %", "30 %")
    assert shown(0.4, 0.3, percent=True) == ("40 %", "30 %")

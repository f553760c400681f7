"""Goals: what is written is what was read; judging follows the numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.errors import SettingError
from excise.evidence.goals import Goal, judge, parse
from excise.evidence.quantities import QUANTITIES, UNITS

OPS = ("<=", ">=", "<", ">", "=")


@st.composite
def goals(draw):
    name = draw(st.sampled_from(list(QUANTITIES)))
    quantity = QUANTITIES[name]
    units = ["", *UNITS[quantity.dimension], *(["x"] if quantity.relative else []), *([] if name == "kl" else ["%"])]
    value = draw(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
    return Goal(name, draw(st.sampled_from(OPS)), value, draw(st.sampled_from(units)))


@given(goals())
def test_a_written_goal_reads_back_as_itself(goal):
    assert parse(str(goal)) == goal


@given(st.text(max_size=20))
def test_any_other_text_is_a_users_mistake(text):
    try:
        goal = parse(text)
    except SettingError as error:
        assert "goal is" in str(error)
    else:
        assert parse(str(goal)) == goal


@given(
    st.floats(min_value=0.01, max_value=10),
    st.floats(min_value=0.01, max_value=10),
    st.floats(min_value=0, max_value=1),
    st.floats(min_value=0, max_value=1),
)
def test_a_goal_is_decided_only_where_the_whole_interval_is_on_one_side(limit, measured, below, above):
    low, high = measured - below * measured, measured + above
    measure = {"before": 1.0, "after": measured, "ratio": measured, "interval": {"ratio": [low, high]}}
    judged = judge([Goal("bpb", "<=", limit, "x")], {"bpb": measure})[0]
    expected = "met" if high <= limit else "not met" if low > limit else "undecided"
    assert judged.outcome == expected
    assert judged.missed == (measured > limit)


@pytest.mark.parametrize("name", list(QUANTITIES))
def test_every_quantity_can_be_a_goal(name):
    assert parse(f"{name}<=1").name == name

"""Laws of the quality rules: the counters are those of a slow twin; thresholds act as thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules_oracle
from excise.corpus import Corpus
from excise.data import noisy, rules
from excise.data.rule_kernels import COUNTERS

SIGNS = st.text(st.sampled_from("aB é中文，。的了กが \t\u3000\n\n.…!?\"”)#-*•{}1，；・'　"), max_size=80)
WORDS = st.sampled_from(
    [
        "the",
        "To,",
        "(and",
        "red",
        "x1",
        "的",
        "天气",
        "。",
        "lorem ipsum",
        "“JavaScript",
        "Privacy policy",
        "\n",
        "\n\n",
        "end.",
        "…",
        "-",
        "• a",
        "了！",
    ]
)
SPOKEN = st.lists(st.tuples(WORDS, st.sampled_from(["", " ", " ", "  "])), max_size=60).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)
REPEATING = st.tuples(st.lists(st.sampled_from("abcde中文"), max_size=8), st.integers(1, 12)).map(
    lambda drawn: " ".join(drawn[0] * drawn[1])
)
TEXTS = st.lists(st.one_of(SIGNS, SPOKEN, REPEATING), min_size=1, max_size=4)


@given(TEXTS)
@settings(max_examples=400)
def test_counters_equal_the_twins(texts):
    measured = rules.measure(Corpus.from_texts(texts), rules.RulesSettings())
    assert measured.column_names == list(COUNTERS)
    for row, text in zip(measured.to_pylist(), texts, strict=True):
        expected = rules_oracle.counters(text)
        assert row == {name: expected[name] for name in COUNTERS}, text


@given(TEXTS)
@settings(max_examples=50)
def test_every_value_is_in_its_range(texts):
    for name, value in rules.values(rules.measure(Corpus.from_texts(texts), rules.RulesSettings())).items():
        judged = value[~np.isnan(value)]
        assert (judged >= 0).all(), name
        if rules.RULES[name].share:
            assert (judged <= 1).all(), name


@given(st.lists(st.floats(0, 1e6) | st.just(float("nan")), max_size=9), st.floats(0, 1e6), st.booleans())
def test_beyond_is_zero_on_the_right_side_and_grows(values, limit, at_most):
    value = np.array(values, np.float64)
    over = noisy.beyond(value, limit, at_most=at_most)
    wrong = value > limit if at_most else value < limit
    assert ((over > 0) == wrong).all() or (over[wrong] >= 0).all()  # 1 - a/b may round to 0 for neighbours
    assert (over[~wrong] == 0).all()
    assert ((over >= 0) & (over <= 1)).all()
    order = np.argsort(value[~np.isnan(value)])
    steps = np.diff(over[~np.isnan(value)][order])
    assert (steps >= 0).all() if at_most else (steps <= 0).all()


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.booleans())
def test_a_shown_value_is_told_apart_from_its_limit(value, limit, percent):
    told, rule = noisy.shown(value, limit, percent=percent)
    if value != pytest.approx(limit, rel=1e-14):
        assert told != rule

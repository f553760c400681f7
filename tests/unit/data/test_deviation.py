"""The usual deviation: that of normal values, by hand, and where most values are equal."""

import numpy as np
import pytest

from excise.data.deviation import usual


def test_of_normal_values_it_is_the_standard_deviation():
    assert usual(3 * np.random.default_rng(0).standard_normal(100_000)) == pytest.approx(3, rel=0.02)


def test_by_hand_of_mostly_equal_values_and_of_none():
    assert usual(np.array([1.0, 2, 3, 4, 14])) == pytest.approx(1.4826)
    assert usual(np.array([5.0] * 8 + [9, 9])) == pytest.approx(0.8 * np.sqrt(np.pi / 2))
    assert usual(np.array([5.0, 5])) == usual(np.zeros(0)) == 0

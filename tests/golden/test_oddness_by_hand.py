"""ECOD, neighbour distances and scales worked out by hand."""

import math

import numpy as np
import pytest

from excise.data import oddness
from excise.data.oddness import RobustScale, as_they_are


def quiet(done):
    pass


def test_ecod_of_one_column():
    # Shares as low: 1/4, 3/4, 3/4, 1; as high: 1, 3/4, 3/4, 1/4. Skewed to the right: the high side counts.
    values = np.array([[0.0], [1.0], [1.0], [9.0]])
    expected = [-math.log(1 / 4), -math.log(3 / 4), -math.log(3 / 4), -math.log(1 / 4)]
    np.testing.assert_allclose(oddness.ecod(values, np.arange(4), quiet), expected)


def test_ecod_sums_sides_and_takes_the_largest():
    # First column skewed to the right, second to the left; row 3 is low in the first and high in the second.
    values = np.array([[1.0, 5.0], [2.0, 4.0], [9.0, -9.0], [0.0, 6.0]])
    low = [[2 / 4, 3 / 4], [3 / 4, 2 / 4], [1, 1 / 4], [1 / 4, 1]]
    high = [[3 / 4, 2 / 4], [2 / 4, 3 / 4], [1 / 4, 1], [1, 1 / 4]]
    expected = [
        max(
            -math.log(low[i][0]) - math.log(low[i][1]),
            -math.log(high[i][0]) - math.log(high[i][1]),
            -math.log(high[i][0]) - math.log(low[i][1]),
        )
        for i in range(4)
    ]
    np.testing.assert_allclose(oddness.ecod(values, np.arange(4), quiet), expected)


def test_ecod_without_missing_values_and_constant_columns():
    values = np.array([[0.0, 7.0, np.nan], [1.0, 7.0, 2.0], [1.0, 7.0, 3.0], [np.inf, 7.0, np.nan]])
    found = oddness.ecod(values, np.arange(4), quiet)
    # The infinite value counts as 1, as high as any: shares as low 1/4, 1, 1, 1; as high 1, 3/4, 3/4, 3/4; skewed left.
    # Third column: 1/2, 1 as low and 1, 1/2 as high; no skew: the high side.
    expected = [math.log(4), math.log(2), math.log(4 / 3) + math.log(2), math.log(4 / 3)]
    np.testing.assert_allclose(found, expected)


def test_the_distance_to_the_second_nearest():
    values = np.array([[0.0], [1.0], [3.0], [10.0]])
    odd, nearest, least = oddness.neighbours(values, np.arange(4), as_they_are, 2, 0, quiet)
    np.testing.assert_allclose(odd, [3, 2, 3, 9], rtol=1e-5)
    assert nearest.tolist() == [1, 0, 1, 2]
    np.testing.assert_allclose(least, [1, 1, 2, 7], rtol=1e-5)


def test_rows_that_are_left_out_are_nobodys_neighbours():
    values = np.array([[0.0], [1.0], [3.0], [10.0]])
    odd, nearest, _ = oddness.neighbours(values, np.array([0, 2, 3]), as_they_are, 1, 0, quiet)
    np.testing.assert_allclose(odd, [3, 3, 7], rtol=1e-5)
    assert nearest.tolist() == [2, 0, 2]


def test_the_nearest_of_draws_of_all_rows():
    # With at most 20 rows every draw holds all of them, itself left out.
    values = np.array([[0.0], [1.0], [3.0], [10.0]])
    found = oddness.samples(values, np.arange(4), as_they_are, 0, quiet)
    np.testing.assert_allclose(found, [1, 1, 2, 7], rtol=1e-5)


def test_scale_of_a_normal_and_of_nearly_constant_columns():
    values = np.stack([np.linspace(0, 100, 101), np.full(101, 3.0), np.zeros(101)], axis=1)
    values[0, 2] = 101.0
    scale = RobustScale.of(values, 0)
    assert scale.columns.tolist() == [0, 2]
    assert scale.centre.tolist() == [50, 0]
    assert scale.spread[0] == pytest.approx((90 - 10) / 2.5631)
    assert scale.spread[1] == pytest.approx(math.sqrt(101 - 1))  # mean 1, mean square 101
    scaled = scale.apply(np.array([[np.nan, 3.0, np.inf], [50 + 2 * scale.spread[0], 9.0, 0.0]]))
    np.testing.assert_allclose(scaled, [[0, 1e4], [2, 0]], rtol=1e-6)


def test_a_column_that_varies_by_rounding_is_constant():
    assert not len(RobustScale.of(np.array([[0.1 + 0.2], [0.3], [0.3]]), 0).columns)

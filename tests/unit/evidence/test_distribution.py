"""Bars, their heights, and on which side of the threshold they are."""

import re

import pytest

from excise.evidence.distribution import distribution


def bars(svg):
    return [(float(h), fill) for h, fill in re.findall(r'height="([\d.]+)" fill="var\(--(\w+)\)"', svg)]


def test_heights_are_square_roots_and_a_single_record_shows():
    tall, quarter, one = (height for height, _ in bars(distribution([0, 1, 2, 3], [10_000, 2_500, 1])))
    assert quarter == pytest.approx(tall / 2)
    assert one == 1.5


@pytest.mark.parametrize(
    ("threshold", "gone"),
    [((None, None), []), ((None, 2), [2, 3]), ((1, None), [0]), ((1, 3), [0, 3]), ((None, 0), [0, 1, 2, 3])],
)
def test_what_lies_outside_the_threshold_goes(threshold, gone):
    found = bars(distribution([0, 1, 2, 3, 4], [5, 5, 5, 5], threshold))
    assert [i for i, (_, colour) in enumerate(found) if colour == "gone"] == gone


def test_the_threshold_is_drawn_with_its_number_where_it_lies():
    svg = distribution([0, 10], [3], (2.5, None))
    x = float(re.search(r'<line x1="([\d.]+)"[^>]*dasharray', svg)[1])
    assert x == pytest.approx(6 + 0.25 * 328)
    assert ">2.5</text>" in svg
    assert "dasharray" not in distribution([0, 10], [3], (11, None)), "beyond the axis it has no place"


def test_no_records_and_one_value():
    assert bars(distribution([0, 1], [0])) == []
    assert len(bars(distribution([3, 3], [7]))) == 1

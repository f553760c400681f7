"""Numbers as people read them."""

import pytest

from excise.evidence import numbers


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("bytes", 999, "999 B"),
        ("bytes", 11_540_992, "11.5 MB"),
        ("bytes", 4_237, "4.24 kB"),
        ("bytes", 123_456_789_012, "123 GB"),
        ("parameters", 5_770_496, "5,770,496"),
        ("top1", 0.7451, "74.5 %"),
        ("latency", 3.178, "3.18 ms"),
        ("prefill", 22_167.3, "22,167 tok/s"),
        ("kl", 0.0, "0.000"),
        ("kl", 0.00012, "1.2e-04"),
        ("perplexity", 59.71, "59.7"),
        ("kl", None, "–"),
    ],
)
def test_shown(name, value, text):
    assert numbers.shown(name, value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.2, "−80 %"),
        (1.0, "±0 %"),
        (1.0001, "±0 %"),
        (1.027, "+2.7 %"),
        (0.995, "−0.5 %"),
        (2.0, "+100 %"),
        (11.9, "11.9×"),
    ],
)
def test_percent(ratio, text):
    assert numbers.percent(ratio) == text


@pytest.mark.parametrize(
    ("name", "low", "high", "effect"),
    [("bpb", 0.9, 0.99, "gain"), ("bpb", 1.01, 1.1, "loss"), ("bpb", 0.9, 1.1, "level"), ("prefill", 1.1, 1.2, "gain")],
)
def test_effect_follows_the_interval_and_the_direction(name, low, high, effect):
    assert numbers.effect(name, {"ratio": (low + high) / 2, "interval": {"ratio": [low, high]}}) == effect


def test_an_exact_measure_needs_no_interval():
    measure = {"ratio": 0.5, "interval": None}
    assert (numbers.effect("bytes", measure), numbers.interval("bytes", measure)) == ("gain", "")


def test_interval_has_one_percent_sign():
    assert numbers.interval("bpb", {"interval": {"ratio": [0.99, 1.027]}}) == "−1.0 … +2.7 %"
    assert numbers.interval("latency", {"interval": {"ratio": [0.5, 11.9]}}) == "−50 % … 11.9×"

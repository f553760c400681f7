"""The goal grammar: what is allowed, what it means, what is said when it is wrong."""

import pytest

from excise.errors import SettingError
from excise.evidence.goals import Goal, judge, parse


@pytest.mark.parametrize(
    ("text", "goal", "limit", "relative"),
    [
        ("bytes<=0.3x", Goal("bytes", "<=", 0.3, "x"), 0.3, True),
        ("bytes<=30%", Goal("bytes", "<=", 30.0, "%"), 0.3, True),
        (" bpb <= 1.02x ", Goal("bpb", "<=", 1.02, "x"), 1.02, True),
        ("memory<500MB", Goal("memory", "<", 500.0, "MB"), 500e6, False),
        ("memory<=1.5GiB", Goal("memory", "<=", 1.5, "GiB"), 1.5 * 2**30, False),
        ("latency<=2s", Goal("latency", "<=", 2.0, "s"), 2000.0, False),
        ("latency<=3", Goal("latency", "<=", 3.0, ""), 3.0, False),
        ("ppl<30", Goal("perplexity", "<", 30.0, ""), 30.0, False),
        ("top1>=95%", Goal("top1", ">=", 95.0, "%"), 0.95, False),
        ("kl<=0.02nats", Goal("kl", "<=", 0.02, "nats"), 0.02, False),
        ("parameters=1x", Goal("parameters", "=", 1.0, "x"), 1.0, True),
        ("prefill>=1e3tok/s", Goal("prefill", ">=", 1000.0, "tok/s"), 1000.0, False),
        ("bits<=.5x", Goal("bits", "<=", 0.5, "x"), 0.5, True),
    ],
)
def test_reads(text, goal, limit, relative):
    found = parse(text)
    assert (found, found.limit, found.relative) == (goal, limit, relative)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bytes", "expected NAME"),
        ("bytes<=", "expected NAME"),
        ("bytes<=-1", "expected NAME"),
        ("bytes<=nan", "expected NAME"),
        ("bytes<=1x and more", "expected NAME"),
        ("speed<=1x", "'speed' is not measured. Names: bytes, tensor_bytes"),
        ("bytes<=3ms", "'ms' is not a unit of bytes. Write a plain number or one of: x, %, B"),
        ("kl<=0.9x", "kl compares with BEFORE already and takes no x. Example: kl<=0.02"),
        ("top1>=1x", "Example: top1>=95%"),
        ("kl<=3%", "'%' is not a unit of kl"),
        ("bytes<=1e999", "too large"),
    ],
)
def test_says_what_is_wrong_and_what_is_right(text, told):
    with pytest.raises(SettingError) as raised:
        parse(text)
    assert text.strip() in str(raised.value)
    assert told in str(raised.value)


def test_a_target_is_the_same_grammar_with_an_equals_sign():
    assert parse("bytes=0.3x", setting="target", ops=("=",)) == Goal("bytes", "=", 0.3, "x")
    with pytest.raises(SettingError, match=r"target is 'bytes<=0.3x'; write bytes=…"):
        parse("bytes<=0.3x", setting="target", ops=("=",))


MEASURES = {
    "bytes": {"before": 1000, "after": 300, "ratio": 0.3, "interval": None},
    "bpb": {"before": 2.0, "after": 2.02, "ratio": 1.01, "interval": {"after": [1.98, 2.06], "ratio": [0.99, 1.03]}},
    "kl": {"before": None, "after": 0.05, "ratio": None, "interval": {"after": [0.04, 0.06]}},
}


@pytest.mark.parametrize(
    ("text", "outcome", "missed", "measured"),
    [
        ("bytes<=0.3x", "met", False, 0.3),
        ("bytes<0.3x", "not met", True, 0.3),
        ("bytes<=400B", "met", False, 300),
        ("bpb<=1.03x", "met", False, 1.01),
        ("bpb<=1.02x", "undecided", False, 1.01),
        ("bpb<=1.00x", "undecided", True, 1.01),
        ("bpb<=0.98x", "not met", True, 1.01),
        ("bpb<=2.1", "met", False, 2.02),
        ("kl<0.05", "undecided", True, 0.05),
    ],
)
def test_judges(text, outcome, missed, measured):
    judged = judge([parse(text)], MEASURES)[0]
    assert (judged.outcome, judged.missed, judged.measured) == (outcome, missed, measured)


def test_refuses_to_judge_what_was_not_measured():
    with pytest.raises(
        SettingError, match=r"goal is 'latency<=1x'; latency was not measured here. Measured: bytes, bpb"
    ):
        judge([parse("latency<=1x")], MEASURES)

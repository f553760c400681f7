"""The verdict is honest: no gain is not worth it, a gain with a price is a trade-off."""

import pytest

from excise.evidence.compare import doubts_of, verdict_of
from excise.evidence.goals import judge, parse
from excise.evidence.numbers import effect


def measures(size=0.5, latency=(0.8, 0.75, 0.85), prefill=(1.0, 0.99, 1.01), bpb=(1.0, 0.999, 1.001), loss=3.0):
    def ratio(value, low, high):
        return {"before": 1.0, "after": value, "ratio": value, "interval": {"ratio": [low, high], "after": [low, high]}}

    return {
        "bytes": {"before": 100, "after": 100 * size, "ratio": size, "interval": None},
        "latency": ratio(*latency),
        "prefill": ratio(*prefill),
        "bpb": ratio(*bpb),
        "loss": {"before": 3.0, "after": loss, "ratio": loss / 3, "interval": None},
    }


@pytest.mark.parametrize(
    ("changed", "worth", "sentence"),
    [
        ({}, "yes", "Smaller: 0.50× on disk; faster here at writing; predicts as well (bits per byte ±0 %). Worth it."),
        ({"latency": (1.2, 1.1, 1.3)}, "yes", "Smaller: 0.50× on disk; slower here at writing; predicts as well"),
        ({"latency": (1, 0.9, 1.1)}, "yes", "Smaller: 0.50× on disk; not faster here; predicts as well"),
        ({"bpb": (1.2, 1.19, 1.21)}, "trade-off", "predicts worse (bits per byte +20 %). A trade-off"),
        ({"bpb": (1.02, 0.98, 1.06)}, "trade-off", "too little text to tell"),
        ({"bpb": (0.9, 0.88, 0.92)}, "yes", "predicts better (bits per byte −10 %). Worth it."),
        (
            {"size": 1.0, "latency": (1, 0.9, 1.1)},
            "no",
            "Not smaller; not faster here; predicts as well (bits per byte ±0 %). Not",
        ),
        ({"size": 1.0}, "yes", "Not smaller; faster here at writing"),
        ({"size": 2.0, "latency": (1, 0.9, 1.1)}, "no", "Larger: 2.00× on disk"),
        ({"loss": 7.0, "bpb": (2.3, 2.2, 2.4)}, "no", "predicts worse than counting tokens would"),
    ],
)
def test_words(changed, worth, sentence):
    found = verdict_of(measures(**changed), unigram_nats=6.0)
    assert found["worth"] == worth
    assert sentence in found["sentence"]


def test_a_change_within_the_noise_is_no_change():
    found = verdict_of(measures(latency=(0.9, 0.7, 1.1), prefill=(1.01, 1.005, 1.02)), 6.0)
    assert (found["decode"], found["prefill"]) == ("same", "same")


def test_goals_decide_where_there_are_any():
    table = measures(bpb=(1.01, 0.99, 1.03))
    told = verdict_of(table, 6.0, judge([parse("bytes<=0.5x"), parse("bpb<=1.02x")], table))["sentence"]
    assert told.endswith("Goals met. Not certain: bpb<=1.02x.")
    told = verdict_of(table, 6.0, judge([parse("bytes<=0.4x")], table))["sentence"]
    assert told.endswith("Goal missed: bytes<=0.4x.")


def test_a_model_in_memory_is_judged_by_its_memory():
    table = measures()
    table["memory"] = table.pop("bytes")
    assert verdict_of(table, 6.0)["size"] == "smaller"


def test_what_the_text_is_too_short_to_tell_is_never_certain():
    table = measures(bpb=(0.5, 0.5, 0.5), loss=7.0)
    table["bpb"]["interval"] = {}
    found = verdict_of(table, 6.0)
    assert (found["quality"], found["worth"]) == ("unclear", "trade-off")
    assert effect("bpb", table["bpb"]) == "level"
    goals = judge([parse("bpb<=0.6x"), parse("bpb<=0.4x"), parse("bytes<=0.5x")], table)
    assert [(g.outcome, g.missed) for g in goals] == [("undecided", False), ("undecided", True), ("met", False)]


def test_two_models_worse_than_counting_are_worth_nothing():
    table = measures(bpb=(0.9, 0.88, 0.92), loss=2.5)
    found = verdict_of(table, unigram_nats=2.4)
    assert (found["quality"], found["worth"]) == ("better", "no")
    table["kl"] = {"interval": {"after": [0, 1]}}
    (told,) = doubts_of(table, {"windows": 30, "unigram_nats": 2.4})
    assert "Both models predict this text worse than its token counts alone would (2.40 nats" in told
    assert doubts_of(table, {"windows": 30, "unigram_nats": 2.6}) == []


@pytest.mark.parametrize(
    ("windows", "interval", "told"),
    [
        (1, {}, "gives 1 window: too little for intervals, so quality is not judged"),
        (9, {}, "gives 9 windows: too little for intervals"),
        (29, {"after": [0, 1]}, "gives 29 windows: intervals are rough"),
    ],
)
def test_few_windows_are_said(windows, interval, told):
    (found,) = doubts_of({**measures(), "kl": {"interval": interval}}, {"windows": windows, "unigram_nats": 6.0})
    assert told in found

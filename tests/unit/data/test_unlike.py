"""Finder 'unlike'."""

import json
import math
import random

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import bag_kernels, text, unlike
from excise.data.ngram_model import train
from excise.data.unicode import points
from excise.errors import InputError, SettingError
from excise.finding import FINDINGS
from excise.journal import silent

ENGLISH = [
    "river",
    "house",
    "garden",
    "window",
    "morning",
    "letter",
    "doctor",
    "engine",
    "market",
    "winter",
    "people",
    "yellow",
]
COOKING = ["butter", "flour", "oven", "sugar", "whisk", "bake", "spoon", "salt", "onion", "fry", "knead", "simmer"]
CHINESE = "河流房屋花园窗户早晨书信医生机器市场冬天人们黄色"


def made(words, count, seed, join=" "):
    rng = random.Random(seed)
    return [join.join(rng.choice(words) for _ in range(rng.randint(20, 60))) for _ in range(count)]


TARGET = Corpus.from_texts(made(ENGLISH, 400, 1), name="target")
TEXTS = made(ENGLISH, 150, 2) + made(COOKING, 30, 3) + made(CHINESE, 30, 4, "")
CORPUS = Corpus.from_texts(TEXTS)


@pytest.fixture(scope="module")
def measured():
    return unlike.measure(CORPUS, unlike.UnlikeSettings(), like=TARGET)


def found(measured, **settings):
    (table,) = unlike.judge(measured, CORPUS, unlike.UnlikeSettings(**settings))
    assert table.schema == FINDINGS
    return table.to_pylist()


@pytest.mark.parametrize("by", ["difference", "importance"])
def test_what_is_unlike_goes(measured, by):
    rows = found(measured, by=by)
    gone = [row["position"] for row in rows]
    assert set(range(150, 210)) <= set(gone)
    assert len(gone) <= 60 + 6  # false alarms: 1 % of 150 expected
    assert all(0 < float(row["value"]) <= 1 for row in rows)
    assert all(row["redundancy"] == pytest.approx(1 - float(row["value"]), abs=1e-5) for row in rows)


def test_reasons_tell_value_and_limit(measured):
    (row,) = [row for row in found(measured, limit=0.125) if row["position"] == 200]
    assert row["reason"].startswith("a model of the target needs ")
    assert row["reason"].endswith(" bits a byte more for it than a model of this corpus; at most 0.125")
    (row,) = [row for row in found(measured, by="importance", limit=0.0) if row["position"] == 200]
    assert row["reason"].endswith("in the target as here, on average; at least exp(0)")
    rows = found(measured, keep=0.5)
    assert max(len(row["reason"].rpartition("at most ")[2].strip("-")) for row in rows) <= 8, "a learnt limit is short"


def test_a_share_is_kept(measured):
    for by in ("difference", "importance"):
        for keep in (0.25, 0.36, 0.5, 1.0):
            rows = found(measured, by=by, keep=keep)
            assert len(rows) == 210 - round(210 * keep)
    best = {row["position"] for row in found(measured, keep=0.5)}
    assert set(range(150, 210)) <= best


def test_the_weight_is_a_ratio_of_likelihoods(measured):
    value = measured["difference"].to_numpy()
    row = found(measured, limit=0.5)[0]
    assert float(row["value"]) == pytest.approx(2 ** -(value[row["position"]] - 0.5), rel=1e-5)
    value = measured["importance"].to_numpy()
    row = found(measured, by="importance", limit=0.5)[0]
    assert float(row["value"]) == pytest.approx(math.exp(value[row["position"]] - 0.5), rel=1e-5)


def test_the_limit_is_that_of_the_held_out_target(measured):
    quantiles = json.loads(measured.schema.metadata[b"difference"])
    assert len(quantiles) == 1001 and quantiles == sorted(quantiles)
    assert unlike.limit_of(measured, unlike.UnlikeSettings(false_alarms=0.0)) == quantiles[-1]
    assert unlike.limit_of(measured, unlike.UnlikeSettings(false_alarms=0.1)) == pytest.approx(quantiles[900])
    held = json.loads(measured.schema.metadata[b"importance"])
    assert unlike.limit_of(measured, unlike.UnlikeSettings(by="importance", false_alarms=0.1)) == pytest.approx(
        held[100]
    )


def test_importance_by_hand():
    """Laplace-smoothed log ratio of the features of 'a b': a, b and the pair."""
    counts = np.zeros((1, unlike.BUCKETS), np.int64)
    scratch = np.empty(64, np.int64)

    def tally(*texts):
        data, offsets = text.buffers(pa.array(texts, pa.large_string()))
        into = np.zeros((1, unlike.BUCKETS), np.int64)
        bag_kernels.tally(data, offsets, np.zeros(len(texts), np.int64), points(), scratch, into)
        return into

    counts = tally("A b", "a c")  # case folds: a twice, b, c, ab, ac
    assert sorted(counts[counts > 0].tolist()) == [1, 1, 1, 1, 2]
    other = tally("b c")  # b, c, bc
    ratios = unlike._nats(counts) - unlike._nats(other)
    data, offsets = text.buffers(pa.array(["a, b"], pa.large_string()))
    sums, number = np.empty(1), np.empty(1, np.int64)
    bag_kernels.weigh(data, offsets, np.zeros(1, np.int64), points(), scratch, ratios, sums, number)
    n, m = 10_000 + 6, 10_000 + 3
    expected = math.log(3 / n) - math.log(1 / m) + math.log(2 / n) - math.log(2 / m) + math.log(2 / n) - math.log(1 / m)
    assert number[0] == 3 and sums[0] == pytest.approx(expected)


def test_the_difference_is_target_minus_corpus_a_byte():
    texts = pa.array(["the river", "flour oven", ""], pa.large_string())
    pieces = list(text.pieces(Corpus.from_texts(TEXTS), 1 << 20, silent, ""))
    first, second, third = (
        train(pieces, lambda piece, a=a, b=b: np.arange(piece.count) // 10 % 10 == (a + b))
        for a, b in ((0, 0), (1, 0), (1, 1))
    )
    ratios = np.zeros((2, unlike.BUCKETS))
    models = unlike._Likeness(first, [second, third], ratios)
    scores = unlike._scores(texts, np.array([1, 0, 0]), models)
    difference, importance, sizes = (column.to_numpy() for column in scores.columns)
    expected = (first.bits(texts) - np.where([True, False, False], third.bits(texts), second.bits(texts)))[:2] / [9, 10]
    assert difference[:2] == pytest.approx(expected) and np.isnan(difference[2])
    assert importance[:2].tolist() == [0, 0] and sizes.tolist() == [9, 10, 0]


def test_features_are_words_letters_and_pairs():
    scratch = np.empty(200, np.int64)

    def features(one):
        data = np.frombuffer(one.encode(), np.uint8)
        return scratch[: bag_kernels.features(data, 0, len(data), points(), 1 << 40, scratch)].tolist()

    assert len(features("two words")) == 3 and len(features("天气很好。")) == 7 and features(" ,. ") == []
    assert features("天 气") == features("天气") and features("Two") == features("two")
    assert features("a b")[1] != features("b a")[2] or features("a b") != features("b a")
    assert len(features("caf\u00e9 \U0001f600 x")) == 5


def test_empty_and_wordless_texts_are_not_judged():
    corpus = Corpus.from_texts(["", "...", *made(ENGLISH, 20, 5)])
    table = unlike.measure(corpus, unlike.UnlikeSettings(), like=TARGET)
    assert np.isnan(table["difference"][0].as_py()) and np.isnan(table["importance"][1].as_py())
    rows = next(unlike.judge(table, corpus, unlike.UnlikeSettings(by="importance", limit=100.0)))
    assert rows["position"].to_pylist() == [*range(2, 22)]
    none = unlike.measure(Corpus.from_texts([]), unlike.UnlikeSettings(), like=TARGET)
    for settings in (unlike.UnlikeSettings(), unlike.UnlikeSettings(keep=0.5)):
        assert next(unlike.judge(none, Corpus.from_texts([]), settings)).num_rows == 0


def test_references_are_left_out_and_pieces_change_nothing(measured, monkeypatch):
    monkeypatch.setattr(unlike, "_PIECE_BYTES", 2000)
    corpus = Corpus.from_texts(TEXTS, batch=50)
    again = unlike.measure(corpus, unlike.UnlikeSettings(), like=TARGET, mapped=map)
    assert again.equals(measured) and again.schema.metadata == measured.schema.metadata
    beside = Corpus.from_texts(TEXTS[:5]).beside(Corpus.from_texts(["reference"] * 3, name="other"))
    table = unlike.measure(beside, unlike.UnlikeSettings(), like=TARGET)
    assert table.num_rows == 5
    rows = next(unlike.judge(table, beside, unlike.UnlikeSettings(limit=-100.0)))
    assert rows["position"].to_pylist() == [3, 4, 5, 6, 7]


def test_no_model_sees_what_is_held_out(monkeypatch):
    """The target's held-out records are no better known than records like them."""
    rng = random.Random(0)
    lines = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(400)) for _ in range(300)]
    table = unlike.measure(Corpus.from_texts(lines[:100]), unlike.UnlikeSettings(), like=Corpus.from_texts(lines[100:]))
    held = np.median(json.loads(table.schema.metadata[b"difference"]))
    assert abs(held - np.median(table["difference"].to_numpy())) < 0.05


def test_a_target_too_small_is_refused():
    with pytest.raises(InputError, match="the target has 10 records, of which 1 are held out; 20 are needed"):
        unlike.measure(CORPUS, unlike.UnlikeSettings(), like=Corpus.from_texts(["text"] * 10))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"by": "likeness"}, "must be difference or importance"),
        ({"false_alarms": 1.0}, "one good record in a hundred"),
        ({"false_alarms": -0.1}, "at least 0"),
        ({"keep": 0.0}, "above 0 and at most 1"),
        ({"keep": 0.5, "limit": 0.5}, "Give one"),
        ({"limit": float("nan")}, "must be a number"),
        ({"sample_bytes": 0}, "1 or more"),
    ],
)
def test_settings_out_of_range_say_so(settings, says):
    with pytest.raises(SettingError, match=says):
        unlike.UnlikeSettings(**settings)

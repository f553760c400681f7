"""Finder 'perplexity'."""

import random

import numpy as np
import pyarrow as pa
import pytest

from excise.corpus import Corpus
from excise.data import perplexity
from excise.errors import InputError, SettingError
from excise.finding import FINDINGS

NOUNS = ["river", "house", "garden", "window", "morning", "letter", "doctor", "engine", "market", "winter"]
VERBS = ["crossed", "painted", "opened", "described", "repaired", "watched", "remembered", "followed"]


def prose(count, seed=0):
    rng = random.Random(seed)

    def line():
        return (
            f"The {rng.choice(NOUNS)} near the {rng.choice(NOUNS)} was {rng.choice(VERBS)} by the {rng.choice(NOUNS)}."
        )

    return [" ".join(line() for _ in range(rng.randint(3, 6))) for _ in range(count)]


def garbage(count, seed=1):
    rng = random.Random(seed)
    return ["".join(chr(rng.randrange(33, 126)) for _ in range(300)) for _ in range(count)]


def found(texts, **settings):
    corpus, chosen = Corpus.from_texts(texts), perplexity.PerplexitySettings(**settings)
    (table,) = perplexity.judge(perplexity.measure(corpus, chosen), corpus, chosen)
    assert table.schema == FINDINGS
    return table.to_pylist()


def test_garbage_is_above_and_boilerplate_below():
    texts = prose(400) + garbage(4) + ["Home | About | Contact | Home | About | Contact " * 5] * 20
    rows = found(texts, upper=4, lower=0.25)
    assert [row["position"] for row in rows] == [*range(400, 424)]
    assert rows[0]["reason"].startswith("it is too surprising: ") and rows[0]["reason"].endswith("; at most 4")
    assert rows[-1]["reason"].startswith("it is too predictable: 0.") and rows[-1]["reason"].endswith("; at least 0.25")
    assert all(0 < row["redundancy"] <= 1 for row in rows)


def test_a_record_is_not_scored_by_a_model_that_saw_it():
    (odd,) = garbage(1)
    measured = perplexity.measure(Corpus.from_texts([*prose(200), odd]), perplexity.PerplexitySettings())
    assert measured["bits_per_byte"][200].as_py() > 7.5  # after one look it would be half of that


def test_quantiles_take_at_most_their_share():
    texts = prose(500)
    assert len(found(texts, upper_quantile=0.98, lower_quantile=None)) == 9  # of 500, the 10th largest is the limit
    assert len(found(texts, upper_quantile=None, lower_quantile=0.02)) == 9
    assert found(texts, upper_quantile=None, lower_quantile=None) == []
    assert (
        found(
            ["the same text over and over again, for ever, and longer than a hundred bytes, of which there are some"]
            * 300
        )
        == []
    )


def test_short_and_empty_texts_are_not_judged():
    corpus = Corpus.from_texts([*prose(50), "~@!#", ""])
    settings = perplexity.PerplexitySettings(upper=3, lower=0)
    measured = perplexity.measure(corpus, settings)
    assert np.isnan(measured["bits_per_byte"][51].as_py())
    assert next(perplexity.judge(measured, corpus, settings)).num_rows == 0
    settings = perplexity.PerplexitySettings(upper=3, lower=0, min_length=0)
    assert next(perplexity.judge(measured, corpus, settings))["position"].to_pylist() == [50]


def test_a_model_of_other_texts():
    texts = prose(20, seed=3) + ["那天天气很好，全家人都到河边去钓鱼和游泳。" * 3] * 20
    measured = perplexity.measure(
        Corpus.from_texts(texts), perplexity.PerplexitySettings(), like=Corpus.from_texts(prose(300))
    )
    bits = measured["bits_per_byte"].to_numpy()
    assert bits[:20].max() < 2 < 6 < bits[20:].min()


def test_a_model_of_the_users():
    corpus = Corpus.from_texts(["aa", "b"]).beside(Corpus.from_texts(["ref"], name="other"))
    measured = perplexity.measure_with(corpus, lambda texts: [len(t) for t in texts])
    assert measured.to_pydict() == {"bits_per_byte": [2.0, 1.0], "size_bytes": [2, 1]}
    settings = perplexity.PerplexitySettings(upper=1, min_length=0, lower_quantile=None)
    assert next(perplexity.judge(measured, corpus, settings))["locus"].to_pylist() == ["memory#0"]
    with pytest.raises(InputError, match=r"it must give one each"):
        perplexity.measure_with(corpus, lambda texts: [1.0])
    with pytest.raises(InputError, match=r"nan for record 2; bits per byte are never"):
        perplexity.measure_with(corpus, lambda texts: [1.0, float("nan")])


def test_the_same_in_any_pieces_and_by_any_engine(monkeypatch):
    texts = prose(120) + garbage(2)
    whole = perplexity.measure(Corpus.from_texts(texts), perplexity.PerplexitySettings())
    monkeypatch.setattr(perplexity, "_PIECE_BYTES", 900)
    assert perplexity.measure(Corpus.from_texts(texts, batch=11), perplexity.PerplexitySettings(), mapped=map).equals(
        whole
    )


def test_a_sample_bounds_the_training(monkeypatch):
    seen = []
    real = perplexity.train
    monkeypatch.setattr(perplexity, "train", lambda *a: seen.append(real(*a)) or seen[-1])
    perplexity.measure(Corpus.from_texts(prose(2000)), perplexity.PerplexitySettings(sample_bytes=20_000))
    assert [model.total for model in seen] == pytest.approx([20_000, 20_000], rel=0.25)


def test_progress_and_an_empty_corpus():
    said = []
    perplexity.measure(Corpus.from_texts(prose(3)), perplexity.PerplexitySettings(), progress=lambda *a: said.append(a))
    assert said[0] == ("training models of the text", 0, 2) and said[-1] == ("measuring surprise", 3, 3)
    assert found([]) == []


def test_limits_are_those_applied():
    measured = pa.table({"bits_per_byte": [1.0, 2.0, 3.0, 9.0], "size_bytes": [200, 200, 200, 5]})
    assert perplexity.limits(measured, perplexity.PerplexitySettings(upper_quantile=1, lower_quantile=0)) == (1, 3)
    assert perplexity.limits(measured, perplexity.PerplexitySettings(upper=0, lower=0)) == (0, 0)
    corpus = Corpus.from_texts(["a"] * 4)
    rows = next(perplexity.judge(measured, corpus, perplexity.PerplexitySettings(upper=0, lower=0)))
    assert rows["redundancy"].to_pylist() == [1, 1, 1]  # 0 is a limit


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"upper": -1.0}, "upper is -1.0; it must not be below 0"),
        ({"lower": float("nan")}, "must not be below 0"),
        ({"upper_quantile": 99.0}, "0.99 is one in a hundred"),
        ({"lower_quantile": -0.1}, "from 0 to 1"),
        ({"min_length": -1}, "not be below 0"),
        ({"sample_bytes": 0}, "1 or more"),
        ({"upper": 1.0, "lower": 2.0}, "Exchange them"),
    ],
)
def test_settings_out_of_range_say_so(settings, says):
    with pytest.raises(SettingError, match=says):
        perplexity.PerplexitySettings(**settings)

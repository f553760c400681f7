"""Windows and token losses: streaming, refusals, and the slices and examples made of them."""

import numpy as np
import pytest
import torch

from evidence_fakes import WORDS, FakeModel
from excise.errors import InputError, NumericsError, SettingError
from excise.evidence import losses, quality
from excise.evidence.quality import TokenLosses, Windows, cut, token_losses

TEXT = "the quick brown fox jumps over the lazy dog. "


def test_windows_are_spread_over_the_text():
    model = FakeModel()
    texts = [TEXT * 4] * 30
    whole = cut(texts, model, model, length=64)
    assert whole.available == len(whole.tokens) == 30 * (1 + len(TEXT) * 4) // 64
    some = cut(texts, model, model, length=64, windows=5)
    assert len(some.tokens) == 5
    places = [
        np.flatnonzero((whole.document[:, 0] == d) & (whole.tokens == t).all(axis=1))[0]
        for t, d in zip(some.tokens, some.document[:, 0], strict=True)
    ]
    assert places == [i * whole.available // 5 for i in range(5)]
    assert len(cut(texts, model, model, length=64, windows=10**6).tokens) == whole.available


def test_a_text_that_does_not_fill_one_window_is_refused():
    model = FakeModel()
    assert cut(["abc"], model, model, length=4).tokens.shape == (1, 4)
    with pytest.raises(InputError, match=r"gives 4 tokens, which do not fill one window of 5\. Give more text"):
        cut(["abc"], model, model, length=5)


def test_refuses_what_cannot_be_compared():
    model, other = FakeModel(), FakeModel()
    with pytest.raises(SettingError, match="windows is 0"):
        cut(["abc"], model, model, windows=0)
    other.encode = lambda text: model.encode(text[:1])
    with pytest.raises(SettingError, match="record 1 as different tokens"):
        cut(["a", "bc"], model, other, length=2)
    other.vocabulary = WORDS + 1
    with pytest.raises(SettingError, match="vocabulary is 32 before and 33 after"):
        token_losses(model, other, np.zeros((1, 4), dtype=np.int64))


def test_batches_do_not_change_the_numbers(monkeypatch):
    before, after = FakeModel(), FakeModel(noise=0.5)
    windows = cut([TEXT * 3] * 20, before, after, length=32).tokens
    at_once = token_losses(before, after, windows)
    assert before.seen == [windows.shape]
    monkeypatch.setattr(quality, "_LOGITS_BYTES", 4 * 32 * WORDS * 3)
    in_parts = token_losses(before, after, windows)
    assert max(shape[0] for shape in before.seen[1:]) == 3
    for name in ("before", "after", "kl", "agree"):
        assert np.array_equal(getattr(at_once, name), getattr(in_parts, name))
    assert (at_once.kl >= 0).all()
    assert at_once.kl.max() > 0


def test_names_the_model_and_window_that_gives_nan():
    before, after = FakeModel(), FakeModel()
    after.table[5, 7] = torch.nan
    windows = np.full((3, 4), 1, dtype=np.int64)
    windows[2, 1] = 5
    with pytest.raises(NumericsError, match="the model after is NaN or Inf in window 2"):
        token_losses(before, after, windows)


@pytest.fixture
def made():
    """Two windows over three documents; document 1 loses most, token 9 is rare."""
    tokens = np.array([[0, 1, 1, 1, 0], [2, 9, 0, 1, 1]])
    document = np.array([[0, 0, 0, 0, 1], [1, 1, 2, 2, 2]])
    nats = np.ones((2, 4), dtype=np.float32)
    after = nats + np.array([[0, 0, 0, 0.5], [0.7, -0.2, 0, 0]], dtype=np.float32)
    windows = Windows(tokens, document, np.array([4, 3, 3]), 2)
    return TokenLosses(nats, after, np.zeros_like(nats), nats), windows, ["aaa", "é" * 9, "a" * 500]


def test_slices(made, monkeypatch):
    monkeypatch.setattr(losses, "RARE_SHARE", 0.2)
    found = {s["name"]: s for s in losses.slices(*made)}
    assert found["rare_tokens"]["tokens"] == 1
    assert found["rare_tokens"]["after"] == pytest.approx(1.7)
    assert found["non_ascii"]["tokens"] == 2
    assert found["non_ascii"]["after"] == pytest.approx(1.6)
    assert found["long_documents"]["tokens"] == 3
    assert found["long_documents"]["after"] == pytest.approx(1.0)


def test_worst_documents_first_and_only_those_that_lost(made, monkeypatch):
    assert losses.worst(*made, ids=["a", "b", "c"]) == []  # too few tokens beside the longest
    monkeypatch.setattr(losses, "MIN_TOKENS", 2)
    found = losses.worst(*made, ids=["a", "b", "c"])
    assert [(w["id"], w["tokens"]) for w in found] == [("b", 2)]
    assert found[0]["after"] == pytest.approx(1.6)
    each, windows, texts = made
    all_worse = TokenLosses(each.before, each.after + 1, each.kl, each.agree)
    found = losses.worst(all_worse, windows, texts, ids=["a", "b", "c"])
    assert found[-1]["text"] in {"aaa", "a" * losses.EXCERPT + "…"}


def test_documents_are_drawn_where_there_are_enough():
    def windows(count):
        document = np.arange(count)[:, None].repeat(3, axis=1)
        return Windows(document * 0, document, np.full(count, 3), count)

    assert losses.resampling_unit(windows(losses.MIN_DOCUMENTS)) == "documents"
    assert losses.resampling_unit(windows(losses.MIN_DOCUMENTS - 1)) == "windows"


def test_units_hold_every_token_once(made):
    each, windows, texts = made
    for unit in ("documents", "windows"):
        table = losses.sums(each, windows, texts, unit)
        assert table[:, 4].sum() == 8
        assert table[:, 1].sum() == pytest.approx(9.0)
        # 3 of 4 tokens of 3 bytes, 2 of 3 of 18 bytes, 3 of 3 of 500.
        assert table[:, 5].sum() == pytest.approx(3 * 3 / 4 + 3 * 18 / 3 - 18 / 3 + 500 * 3 / 3)


@pytest.mark.parametrize("count", [1, losses.MIN_UNITS - 1, losses.MIN_UNITS])
def test_a_few_units_give_no_intervals_but_of_equal_losses(count):
    units = np.abs(np.random.default_rng(0).normal(5, 1, (count, 6)))
    found = losses.measures(units, seed=0)
    enough = count == losses.MIN_UNITS
    assert set(found["bpb"]["interval"]) == ({"after", "difference", "ratio"} if enough else set())
    assert set(found["kl"]["interval"]) == set(found["top1"]["interval"]) == ({"after"} if enough else set())
    units[:, 1] = units[:, 0]
    found = losses.measures(units, seed=0)
    assert found["bpb"]["interval"]["ratio"] == [1, 1]
    assert found["loss"]["interval"]["difference"] == [0, 0]
    assert ("after" in found["loss"]["interval"]) == enough


def test_unigram_entropy():
    assert losses.unigram_nats(np.array([[1, 1], [2, 2]])) == pytest.approx(np.log(2))

"""Operations on tokens: ids, attention mask and labels move together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.data.augment.seeds import generator
from excise.data.augment.tokens import IGNORED, TOKENS, Tokens, crop, drop, mask, swap
from excise.errors import SettingError

BOS, EOS, PAD, MASK = 1, 2, 0, 99


def batch(lengths: list[int], left: bool = False) -> Tokens:
    """Rows BOS, 10, 11, ..., EOS, padded; each label is its id plus 1,000."""
    width = max(lengths) + 2
    ids = np.full((len(lengths), width), PAD)
    attention = np.zeros((len(lengths), width), np.int64)
    for row, length in enumerate(lengths):
        words = [BOS, *range(10, 10 + length), EOS]
        place = slice(width - len(words), width) if left else slice(0, len(words))
        ids[row, place], attention[row, place] = words, 1
    labels = np.where(attention == 1, ids + 1000, IGNORED)
    return Tokens(ids, attention, labels, PAD, MASK, (BOS, EOS))


batches = st.builds(batch, st.lists(st.integers(1, 12), min_size=1, max_size=4), st.booleans())
rates = st.sampled_from([0.1, 0.5, 1.0])


def rows(tokens: Tokens) -> list[list[int]]:
    return [ids[real].tolist() for ids, real in zip(tokens.ids, tokens.real, strict=True)]


@pytest.mark.parametrize("name", sorted(TOKENS))
@given(tokens=batches, seed=st.integers(0, 10**6), rate=rates)
def test_all_stay_in_step(name: str, tokens: Tokens, seed: int, rate: float) -> None:
    new = TOKENS[name](tokens, generator(seed), rate)
    assert new.attention is not None
    assert new.labels is not None
    assert new.ids.shape == new.attention.shape == new.labels.shape == tokens.ids.shape
    assert (new.ids.dtype, new.attention.dtype, new.labels.dtype) == (tokens.ids.dtype, np.int64, np.int64)
    real = new.real
    assert (new.ids[~real] == PAD).all()
    assert (new.labels[~real] == IGNORED).all()
    told = new.ids[real] != MASK
    assert (new.labels[real][told] == new.ids[real][told] + 1000).all()
    assert ((np.diff(new.attention, axis=1) != 0).sum(1) <= 1).all()  # padding on one side only
    for old, now in zip(rows(tokens), rows(new), strict=True):
        assert (now[0], now[-1]) == (BOS, EOS)
        assert len(now) > 2
        assert now == old or name in {"swap", "mask"} or len(now) < len(old)


@pytest.mark.parametrize("name", sorted(TOKENS))
@given(tokens=batches, seed=st.integers(0, 10**6))
def test_rate_zero_changes_nothing(name: str, tokens: Tokens, seed: int) -> None:
    new = TOKENS[name](tokens, generator(seed), 0.0)
    assert np.array_equal(new.ids, tokens.ids)
    assert np.array_equal(new.labels, tokens.labels)


@given(tokens=batches, seed=st.integers(0, 10**6), rate=rates)
def test_drop_keeps_the_order_swap_the_tokens_crop_a_span(tokens: Tokens, seed: int, rate: float) -> None:
    for old, now in zip(rows(tokens), rows(drop(tokens, generator(seed), rate)), strict=True):
        assert now == [BOS, *sorted(set(now) - {BOS, EOS}), EOS]
        assert set(now) <= set(old)
    for old, now in zip(rows(tokens), rows(swap(tokens, generator(seed), rate)), strict=True):
        assert sorted(old) == sorted(now)
        assert all(abs(old.index(token) - now.index(token)) <= 1 for token in old)
    for old, now in zip(rows(tokens), rows(crop(tokens, generator(seed), rate)), strict=True):
        assert now[1:-1] == list(range(now[1], now[1] + len(now) - 2))
        assert len(now) - 2 == max(1, round((1 - rate) * (len(old) - 2)))


def test_mask_needs_its_id_and_leaves_labels() -> None:
    new = mask(batch([6]), generator(0), 1.0)
    assert rows(new) == [[BOS, *[MASK] * 6, EOS]]
    assert np.array_equal(new.labels, batch([6]).labels)
    with pytest.raises(SettingError, match="mask is not given"):
        mask(Tokens(np.ones((1, 3), np.int64)), generator(0), 0.5)


def test_labels_of_whole_sequences_are_left_alone_and_a_missing_mask_is_made() -> None:
    tokens = Tokens(np.arange(10, 20).reshape(2, 5), labels=np.array([7, 8]), pad=PAD)
    new = drop(tokens, generator(3), 0.5)
    assert np.array_equal(new.labels, [7, 8])
    assert new.attention is not None
    assert (new.ids[new.attention == 0] == PAD).all()
    assert new.attention.sum() < 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": np.zeros(3, np.int64)},
        {"ids": np.zeros((2, 2))},
        {"ids": np.zeros((2, 2), np.int64), "attention": np.ones((2, 3))},
    ],
)
def test_other_arrays_are_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(SettingError, match="shape"):
        Tokens(**wrong)

"""Laws of the patterns: exact counts, the most important stay, ties go to the lower index."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from weight_matrices import COLUMNS, weights

from excise.errors import NumericsError, SettingError
from excise.weights.patterns import Pattern, free, global_masks, n_of_m, parse, removed_count

importances = weights(st.just(torch.float32))
fractions = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1))


def assert_the_best_stay(importance: Tensor, mask: Tensor) -> None:
    """By value first, by index among equals, in one set of weights."""
    order = sorted(range(importance.numel()), key=lambda i: (-importance[i].item(), i))
    assert sorted(order[: int(mask.sum())]) == mask.nonzero().flatten().tolist()


@given(importances, fractions)
def test_rows(importance: Tensor, sparsity: float) -> None:
    mask = free(importance, sparsity, "row")
    assert mask.dtype == torch.bool and mask.shape == importance.shape
    for row, kept in zip(importance, mask, strict=True):
        assert int((~kept).sum()) == round(sparsity * COLUMNS)
        assert_the_best_stay(row, kept)


@given(importances, fractions)
def test_layer(importance: Tensor, sparsity: float) -> None:
    mask = free(importance, sparsity, "layer")
    assert int((~mask).sum()) == round(sparsity * importance.numel())
    assert_the_best_stay(importance.flatten(), mask.flatten())


@given(st.lists(importances, max_size=3), fractions)
def test_global(tensors: list[Tensor], sparsity: float) -> None:
    named = {f"t{i}": tensor for i, tensor in enumerate(tensors)}
    found = global_masks(named, sparsity)
    assert list(found) == list(named)
    assert all(found[name].shape == named[name].shape for name in named)
    if tensors:
        everything = torch.cat([t.flatten() for t in tensors])
        mask = torch.cat([m.flatten() for m in found.values()])
        assert int((~mask).sum()) == round(sparsity * everything.numel())
        assert_the_best_stay(everything, mask)


@given(importances, st.sampled_from([1, 2, 3, 4, 6, 12]), st.data())
def test_n_of_m(importance: Tensor, of: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, of))
    mask = n_of_m(importance, kept, of)
    assert mask.shape == importance.shape
    assert mask.reshape(-1, of).sum(-1).unique().tolist() == [kept]
    for values, stays in zip(importance.reshape(-1, of), mask.reshape(-1, of), strict=True):
        assert_the_best_stay(values, stays)


def test_nothing_and_everything() -> None:
    importance = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    for scope in ("row", "layer"):
        assert free(importance, 0, scope).all() and not free(importance, 1, scope).any()
    assert global_masks({"a": importance}, 0)["a"].all() and not global_masks({"a": importance}, 1)["a"].any()


def test_ties_keep_the_lower_index() -> None:
    same = torch.ones(2, 4)
    assert free(same, 0.5, "row").tolist() == [[True, True, False, False]] * 2
    assert free(same, 0.5, "layer").tolist() == [[True] * 4, [False] * 4]
    assert n_of_m(same, 1, 2).tolist() == [[True, False, True, False]] * 2
    both = global_masks({"b": same, "a": same}, 0.5)
    assert both["b"].all() and not both["a"].any()
    assert free(torch.tensor([[0.0, -0.0, 0.0, -0.0]]), 0.5, "row").tolist() == [[True, True, False, False]]


def test_counts_round_half_to_even() -> None:
    assert [removed_count(n, 0.5) for n in (1, 2, 3, 4, 5, 16)] == [0, 1, 2, 2, 2, 8]
    assert removed_count(16, 0.0) == 0 and removed_count(16, 1.0) == 16
    assert removed_count(10, 0.3) == 3 and removed_count(1000, 0.999) == 999


@pytest.mark.parametrize("sparsity", [1.2, -0.1, float("nan"), float("inf"), 50])
def test_sparsity_out_of_range_is_refused(sparsity: float) -> None:
    importance = torch.ones(2, 4)
    for call in (
        lambda: free(importance, sparsity, "row"),
        lambda: free(importance, sparsity, "layer"),
        lambda: global_masks({"a": importance}, sparsity),
        lambda: global_masks({}, sparsity),
    ):
        with pytest.raises(SettingError, match=f"sparsity is {sparsity}; it is the fraction to remove, from 0 to 1"):
            call()


def test_a_percentage_is_understood_in_the_error() -> None:
    with pytest.raises(SettingError, match=r"50 % is 0\.5"):
        removed_count(4, 50)


@pytest.mark.parametrize(("kept", "of"), [(-1, 4), (5, 4), (0, 0)])
def test_n_of_m_out_of_range_is_refused(kept: int, of: int) -> None:
    with pytest.raises(SettingError, match=f"pattern is {kept}:{of}"):
        n_of_m(torch.ones(2, 4), kept, of)


def test_a_width_that_m_does_not_divide_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match=r"pattern is 2:5 at blocks.0.q, whose width is 12; 5 must divide the width"):
        n_of_m(torch.ones(2, 12), 2, 5, name="blocks.0.q")


def test_importances_that_are_not_finite_are_named() -> None:
    importance = torch.tensor([[1.0, float("nan")]])
    with pytest.raises(NumericsError, match=r"blocks.0.q is nan at \[0, 1\]"):
        free(importance, 0.5, "row", "blocks.0.q")
    with pytest.raises(NumericsError, match=r"blocks.1.q is nan"):
        global_masks({"blocks.0.q": torch.ones(1, 2), "blocks.1.q": importance}, 0.5)


def test_names() -> None:
    assert (
        parse("row") == Pattern("row") and parse("layer") == Pattern("layer") and parse("global") == Pattern("global")
    )
    assert parse("2:4") == Pattern("n:m", 2, 4) and parse("4:8").fixed_sparsity == 0.5
    assert parse("1:4").fixed_sparsity == 0.75 and parse("row").fixed_sparsity is None


@pytest.mark.parametrize("name", ["", "rows", "2:", "4:4", "0:4", "5:4", "2:4:8", "-2:4", "２:4", " 2:4"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"pattern is '{name}'"):
        parse(name)

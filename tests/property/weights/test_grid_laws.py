"""Laws of the grids, for every kind, width, granularity and dtype."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from weight_matrices import COLUMNS, masks, weights

from excise.errors import NumericsError, SettingError
from excise.weights.grids import Grid, code_range, decode, encode, fit

kinds = st.sampled_from(["symmetric", "affine"])
widths = st.integers(1, 8)
groups = st.sampled_from([1, 3, 4, 12, "channel", "tensor"])
floats = st.just(torch.float32)


def widened(grid: Grid) -> Grid:
    """The same levels, decoded without the last rounding to 16 bits."""
    return replace(grid, scale=grid.scale.float(), zero=None if grid.zero is None else grid.zero.float())


def step_of(grid: Grid, like: Tensor) -> Tensor:
    scale = grid.scale.float().abs().unsqueeze(-1)
    return scale.expand(like.shape[0] if grid.scale.shape[0] > 1 else 1, -1, COLUMNS // grid.scale.shape[1]).reshape(
        -1, COLUMNS
    )


@given(weights(), kinds, widths, groups)
def test_no_weight_moves_by_more_than_half_a_step(weight: Tensor, kind: str, bits: int, group: int | str) -> None:
    grid = fit(weight, kind, bits, group)
    step = step_of(grid, weight)
    error = (decode(encode(weight, grid), widened(grid)) - weight.float()).abs()
    in_range = weight.float().abs() <= step if (kind, bits) == ("symmetric", 1) else torch.tensor(True)
    hair = weight.float().abs().amax() * 1e-6  # fp32 rounding of the sum and of the step
    assert bool(((error <= step / 2 + hair) | ~in_range).all())


@given(weights(), kinds, widths, groups, st.data())
def test_codes_and_grid_are_stored_as_promised(
    weight: Tensor, kind: str, bits: int, group: int | str, data: st.DataObject
) -> None:
    mask = data.draw(masks(weight))
    grid = fit(weight, kind, bits, group, mask=mask)
    codes = encode(weight, grid, mask)
    lowest, highest = code_range(kind, bits)
    assert highest - lowest == 2**bits - 1
    assert lowest <= int(codes.min()) and int(codes.max()) <= highest
    assert codes.dtype == (torch.int8 if kind == "symmetric" else torch.uint8)
    assert grid.scale.dtype == weight.dtype and bool(torch.isfinite(grid.scale).all())
    assert (grid.zero is None) == (kind == "symmetric")
    after = decode(codes, grid, mask)
    assert after.dtype == weight.dtype
    assert not codes[~mask].any() and not after[~mask].any()


@given(weights(floats), kinds, widths, groups)
def test_quantizing_twice_is_quantizing_once(weight: Tensor, kind: str, bits: int, group: int | str) -> None:
    grid = fit(weight, kind, bits, group)
    if kind == "affine":  # far from 0, neighbouring levels fall into one fp32 number
        assume(bool((step_of(grid, weight) * 1e5 > weight.abs().amax()).all()))
    once = decode(encode(weight, grid), grid)
    assert torch.equal(decode(encode(once, grid), grid), once)


@given(weights(), widths, groups)
def test_affine_gives_the_lowest_weight_back_exactly(weight: Tensor, bits: int, group: int | str) -> None:
    grid = fit(weight, "affine", bits, group)
    lowest = grid.zero.unsqueeze(-1).expand(-1, -1, COLUMNS // grid.zero.shape[1]).reshape(-1, COLUMNS)
    after = decode(encode(weight, grid), grid)
    at_lowest = weight == lowest
    assert bool(at_lowest.any())
    assert torch.equal(after[at_lowest], weight[at_lowest])


@given(st.floats(-3e4, 3e4, width=16), widths, groups, st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_affine_gives_a_constant_back_exactly(x: float, bits: int, group: int | str, dtype: torch.dtype) -> None:
    weight = torch.full((2, COLUMNS), x, dtype=dtype)
    grid = fit(weight, "affine", bits, group)
    assert torch.equal(decode(encode(weight, grid), grid), weight)


@given(weights(), st.integers(2, 8), groups)
def test_symmetric_keeps_zero(weight: Tensor, bits: int, group: int | str) -> None:
    grid = fit(weight, "symmetric", bits, group)
    assert not decode(encode(weight, grid), grid)[weight == 0].any()


@given(weights(), kinds, widths, groups, st.data())
def test_pruned_weights_have_no_say(
    weight: Tensor, kind: str, bits: int, group: int | str, data: st.DataObject
) -> None:
    mask = data.draw(masks(weight))
    other = weight.where(mask, 1e4)
    one, two = (fit(w, kind, bits, group, mask=mask) for w in (weight, other))
    assert torch.equal(one.scale, two.scale)
    assert one.zero is None or torch.equal(one.zero, two.zero)
    assert torch.equal(encode(weight, one, mask), encode(other, two, mask))


@given(weights(), kinds, widths, groups)
def test_a_full_mask_is_no_mask(weight: Tensor, kind: str, bits: int, group: int | str) -> None:
    full = torch.ones(weight.shape, dtype=torch.bool)
    one, two = fit(weight, kind, bits, group), fit(weight, kind, bits, group, mask=full)
    assert torch.equal(one.scale, two.scale)
    assert torch.equal(encode(weight, one), encode(weight, two, full))


@given(weights(), kinds, widths, groups)
def test_nothing_kept_is_all_zero(weight: Tensor, kind: str, bits: int, group: int | str) -> None:
    empty = torch.zeros(weight.shape, dtype=torch.bool)
    grid = fit(weight, kind, bits, group, mask=empty)
    assert not grid.scale.any() and (grid.zero is None or not grid.zero.any())
    assert not decode(encode(weight, grid, empty), grid, empty).any()


@given(weights(), st.integers(2, 8), groups)
def test_a_symmetric_grid_turns_with_the_weights(weight: Tensor, bits: int, group: int | str) -> None:
    rows = weight.reshape(1, -1) if group == "tensor" else weight.reshape(-1, COLUMNS if group == "channel" else group)
    assume(bool((rows.amax(-1) != -rows.amin(-1)).all()))  # alike extremes: either side may be the longer
    grid, turned = fit(weight, "symmetric", bits, group), fit(-weight, "symmetric", bits, group)
    assert torch.equal(turned.scale, -grid.scale)
    assert torch.equal(encode(-weight, turned), encode(weight, grid))


@given(weights(floats), kinds, groups)
@settings(max_examples=50)
def test_more_bits_are_never_further_off_than_the_coarser_half_step(
    weight: Tensor, kind: str, group: int | str
) -> None:
    steps = [fit(weight, kind, bits, group).scale.abs() for bits in range(2, 9)]
    assert all(bool((fine <= coarse).all()) for coarse, fine in itertools.pairwise(steps))


@pytest.mark.parametrize("bits", [0, 9, -1, 4.0, True, "4"])
def test_bits_out_of_range_are_refused(bits: object) -> None:
    with pytest.raises(SettingError, match=f"bits is {bits}; it must be a whole number from 1 to 8"):
        fit(torch.ones(1, 12), "symmetric", bits, 4)


@pytest.mark.parametrize("group", [0, -4, 2.0, True, "row"])
def test_groups_that_are_none_are_refused(group: object) -> None:
    with pytest.raises(SettingError, match="group is"):
        fit(torch.ones(1, 12), "symmetric", 4, group)


def test_a_group_that_does_not_divide_names_the_ways_out() -> None:
    with pytest.raises(SettingError, match=r"group is 5 at blocks.0.q, whose width is 12; .* Use 4 or 6, or channel"):
        fit(torch.ones(1, 12), "symmetric", 4, 5, name="blocks.0.q")
    with pytest.raises(SettingError, match=r"width is 12; .* Use 12, or channel"):
        fit(torch.ones(1, 12), "symmetric", 4, 128, name="q")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SettingError, match="grid is 'float'"):
        fit(torch.ones(1, 12), "float", 4, 4)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["symmetric", "affine"])
def test_weights_that_are_not_finite_are_named(wrong: float, kind: str) -> None:
    weight = torch.ones(2, 12)
    weight[1, 3] = weight[1, 4] = wrong
    with pytest.raises(NumericsError, match=rf"blocks.0.q is {wrong} at \[1, 3\] \(2 of 24 entries"):
        fit(weight, kind, 4, 4, name="blocks.0.q")


def test_a_range_without_a_finite_step_is_named() -> None:
    weight = torch.tensor([[-60000.0, 60000.0]], dtype=torch.float16)
    with pytest.raises(NumericsError, match=r"scale is Inf at blocks.0.q; the range of its weights, -60000 to 60000"):
        fit(weight, "affine", 1, "channel", name="blocks.0.q")
    assert torch.isfinite(fit(weight, "affine", 2, "channel").scale).all()

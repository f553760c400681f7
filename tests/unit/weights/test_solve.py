"""The seam: plans are checked, solutions are what their parts say, errors are what their formula says."""

import math
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from excise.errors import NumericsError, SettingError
from excise.weights import grids, patterns
from excise.weights.solve import (
    Plan,
    importance_of,
    relative_output_error,
    relative_weight_error,
    solve,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


WEIGHT, INPUTS = random(6, 16), random(50, 16, seed=1) * torch.linspace(0.1, 3, 16)
GRAM = INPUTS.T @ INPUTS / len(INPUTS)

plans = st.builds(
    Plan,
    sparsity=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    pattern=st.sampled_from(["row", "layer"]),
    importance=st.sampled_from(["magnitude", "taylor"]),
    bits=st.one_of(st.none(), st.integers(1, 8)),
    grid=st.sampled_from(["symmetric", "affine"]),
    group=st.sampled_from([4, 16, "channel", "tensor"]),
)


@given(plans, st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_a_solution_is_what_its_parts_say(plan: Plan, dtype: torch.dtype) -> None:
    weight = WEIGHT.to(dtype)
    before = weight.clone()
    found = solve(weight, plan, gradient=random(6, 16, seed=2), gram=GRAM)
    assert torch.equal(weight, before) and found.weight.data_ptr() != weight.data_ptr()
    assert found.weight.dtype == dtype and found.weight.shape == weight.shape
    assert (found.mask is None) == (plan.sparsity == 0)
    assert (found.grid is None) == (found.codes is None) == (plan.bits is None)
    if found.mask is not None:
        assert not found.weight[~found.mask].any()
        removed = 6 * round(plan.sparsity * 16) if plan.pattern == "row" else round(plan.sparsity * 96)
        assert int((~found.mask).sum()) == removed
    if found.grid is None:
        kept = torch.ones_like(weight, dtype=torch.bool) if found.mask is None else found.mask
        assert torch.equal(found.weight[kept], weight[kept])
    else:
        assert torch.equal(grids.decode(found.codes, found.grid, found.mask), found.weight)
    assert found.relative_output_error == relative_output_error(weight, found.weight, GRAM)
    assert found.relative_weight_error == relative_weight_error(weight, found.weight)


@given(plans)
def test_the_same_plan_gives_the_same_bytes(plan: Plan) -> None:
    one, two = (solve(WEIGHT, plan, gradient=random(6, 16, seed=2)) for _ in range(2))
    assert torch.equal(one.weight.view(torch.int32), two.weight.view(torch.int32))
    assert one.relative_output_error is None and one.relative_weight_error == two.relative_weight_error


def test_n_of_m_brings_its_own_sparsity() -> None:
    for plan in (Plan(pattern="2:4"), Plan(pattern="2:4", sparsity=0.5)):
        assert plan.removed_fraction == 0.5
        mask = solve(WEIGHT, plan).mask
        assert mask.reshape(-1, 4).sum(-1).unique().tolist() == [2]
    assert Plan(sparsity=0.3).removed_fraction == 0.3


def test_global_takes_the_mask_from_outside() -> None:
    plan = Plan(sparsity=0.5, pattern="global")
    with pytest.raises(SettingError, match=r"pattern is global at blocks\.0\.q"):
        solve(WEIGHT, plan, name="blocks.0.q")
    weights = {"a": WEIGHT, "b": WEIGHT * 10}
    masks = patterns.global_masks({n: importance_of(w, plan) for n, w in weights.items()}, plan.sparsity)
    found = {name: solve(w, plan, mask=masks[name]) for name, w in weights.items()}
    assert sum(int((s.weight == 0).sum()) for s in found.values()) == 96
    assert found["a"].mask.sum() < found["b"].mask.sum()


def test_taylor_follows_the_gradient_and_signed_the_article() -> None:
    weight, gradient = torch.tensor([[1.0, -1.0, 1.0, 2.0]]), torch.tensor([[-4.0, 1.0, 2.0, 1.5]])
    assert solve(weight, Plan(0.5, importance="taylor"), gradient=gradient).mask.tolist() == [
        [True, False, False, True]
    ]
    signed = Plan(0.5, importance="taylor", signed=True)
    assert solve(weight, signed, gradient=gradient).mask.tolist() == [[False, False, True, True]]
    with pytest.raises(SettingError, match=r"importance is taylor at blocks\.0\.q, for which there is no gradient"):
        solve(weight, signed, name="blocks.0.q")


def test_output_error_is_the_ratio_of_the_outputs() -> None:
    after = WEIGHT + random(6, 16, seed=3)
    plain = ((after - WEIGHT) @ INPUTS.T).square().sum() / (WEIGHT @ INPUTS.T).square().sum()
    assert relative_output_error(WEIGHT, after, GRAM) == pytest.approx(plain.item(), rel=1e-5)
    assert relative_output_error(WEIGHT, torch.zeros_like(WEIGHT), GRAM) == pytest.approx(1.0)
    assert relative_output_error(WEIGHT, 3 * WEIGHT, GRAM) == pytest.approx(4.0)
    assert relative_output_error(WEIGHT, WEIGHT, GRAM) == 0.0


def test_output_error_by_hand() -> None:
    before, after = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 3.0]])
    gram = torch.tensor([[4.0, 1.0], [1.0, 5.0]])
    assert relative_output_error(before, after, gram) == 5 / 28  # D H D' = 5; 4 + 2*2*1 + 4*5 = 28
    assert relative_weight_error(before, after) == 1 / 5


def test_errors_of_a_layer_that_gives_nothing() -> None:
    zero, gram = torch.zeros(2, 3), torch.eye(3)
    assert relative_output_error(zero, zero, gram) == relative_weight_error(zero, zero) == 0.0
    assert relative_output_error(zero, zero + 1, gram) == relative_weight_error(zero, zero + 1) == math.inf
    assert relative_output_error(zero + 1, zero, torch.zeros(3, 3)) == 0.0


def test_white_noise_makes_both_errors_one() -> None:
    after = WEIGHT + random(6, 16, seed=3)
    expected = relative_weight_error(WEIGHT, after)
    assert relative_output_error(WEIGHT, after, torch.eye(16)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sparsity": 1.2}, "sparsity is 1.2"),
        ({"sparsity": -0.1}, "sparsity is -0.1"),
        ({"sparsity": math.nan}, "sparsity is nan"),
        ({"pattern": "rows"}, "pattern is 'rows'"),
        ({"pattern": "2:4", "sparsity": 0.6}, "sparsity is 0.6 beside pattern 2:4, which removes 0.5"),
        ({"bits": 9}, "bits is 9"),
        ({"bits": 0}, "bits is 0"),
        ({"grid": "float"}, "grid is 'float'; it must be symmetric or affine"),
        ({"importance": "size"}, "importance is 'size'; it must be magnitude or taylor"),
        ({"solver": "best"}, "solver is 'best'; it must be "),
        ({"signed": True}, "signed is set beside importance magnitude"),
    ],
)
def test_a_plan_is_checked_when_it_is_made(settings: dict, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        Plan(**settings)


def test_shapes_are_checked_before_the_work() -> None:
    Plan(bits=4, group=8, pattern="2:4").check_shape((3, 16), "q")
    Plan(group=7).check_shape((3, 16), "q")  # not quantized: the group does not matter
    with pytest.raises(SettingError, match="group is 128 at q, whose width is 16"):
        Plan(bits=4).check_shape((3, 16), "q")
    with pytest.raises(SettingError, match="pattern is 2:5 at q, whose width is 16"):
        Plan(pattern="2:5").check_shape((3, 16), "q")


@pytest.mark.parametrize("plan", [Plan(), Plan(0.5), Plan(bits=4, group=4)])
def test_values_that_are_not_finite_are_named(plan: Plan) -> None:
    spoilt = WEIGHT.clone()
    spoilt[2, 3] = math.nan
    with pytest.raises(NumericsError, match=r"blocks\.0\.q is nan at \[2, 3\] \(1 of 96 entries"):
        solve(spoilt, plan, name="blocks.0.q")
    with pytest.raises(NumericsError, match=r"blocks\.0\.q \(Gram matrix of its inputs\) is inf"):
        solve(WEIGHT, plan, gram=GRAM + math.inf, name="blocks.0.q")


def test_gradients_that_are_not_finite_or_of_another_shape_are_refused() -> None:
    plan = Plan(0.5, importance="taylor")
    with pytest.raises(NumericsError, match=r"blocks\.0\.q \(gradient\) is inf"):
        solve(WEIGHT, plan, gradient=WEIGHT + math.inf, name="blocks.0.q")
    with pytest.raises(SettingError, match=r"gradient is a tensor of shape \[6, 1\]; .* \[6, 16\]"):
        solve(WEIGHT, plan, gradient=WEIGHT[:, :1])


def test_the_defaults_are_those_of_the_command() -> None:
    defaults = {f.name: f.default for f in fields(Plan)}
    assert defaults == {
        "sparsity": 0.0,
        "pattern": "row",
        "importance": "magnitude",
        "signed": False,
        "bits": None,
        "grid": "symmetric",
        "group": 128,
        "solver": "round",
    }

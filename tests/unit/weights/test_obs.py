"""The sweep: exact on paper, better than rounding everywhere, and as exact in its counts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from excise.adapters.hf import open_model
from excise.errors import NumericsError, SettingError
from excise.weights import grids, obs, stream
from excise.weights.obs import inverse_root, sweep
from excise.weights.solve import Plan, relative_output_error, solve


def inputs(rows: int, width: int, seed: int = 0) -> Tensor:
    """Correlated and of unequal size, as a layer's are."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.eye(width) + torch.randn(width, width, generator=generator) / width**0.5
    return torch.randn(rows, width, generator=generator) @ mixing * torch.linspace(0.2, 3, width)


def gram_of(rows: Tensor) -> Tensor:
    return rows.T @ rows / len(rows)


WEIGHT = torch.randn(16, 384, generator=torch.Generator().manual_seed(1))
GRAM = gram_of(inputs(1500, 384))


def test_two_weights_on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without w0, the best w1 is w1 + w0 H01 / H11: here 5 + 2 * 1 / 4 = 5.5. The other way round nothing is left."""
    monkeypatch.setattr(obs, "DAMPING", (0.0,))
    gram = torch.tensor([[2.0, 1.0], [1.0, 4.0]])
    weight = torch.tensor([[2.0, 5.0], [2.0, 5.0]])
    mask = torch.tensor([[False, True], [True, False]])
    torch.testing.assert_close(sweep(weight, gram, mask=mask).weight, torch.tensor([[0.0, 5.5], [2.0, 0.0]]))


def test_the_first_columns_error_is_made_up_for_as_least_squares_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obs, "DAMPING", (0.0,))
    rows = inputs(400, 6).double()
    weight = WEIGHT[:3, :6].double()
    mask = torch.ones(3, 6, dtype=torch.bool)
    mask[:, :2] = False
    found = sweep(weight, gram_of(rows), mask=mask).weight
    best = torch.linalg.lstsq(rows[:, 2:], rows @ weight.T).solution.T
    torch.testing.assert_close(found[:, 2:], best)


def test_the_root_is_that_of_the_damped_inverse() -> None:
    root = inverse_root(GRAM.double())
    damped = GRAM.double() + 0.01 * GRAM.double().diagonal().mean() * torch.eye(384)
    torch.testing.assert_close(root.T @ root @ damped, torch.eye(384, dtype=torch.float64))
    assert torch.equal(root, root.triu())


def test_a_small_weight_on_a_large_input_stays() -> None:
    """w^2 / [H^-1]_jj is 3^2 * 1 against 1^2 * 100."""
    plan = Plan(0.5, importance="obs", solver="obs")
    found = solve(torch.tensor([[3.0, 1.0]]), plan, gram=torch.diag(torch.tensor([1.0, 100.0])))
    assert found.weight.tolist() == [[0.0, 1.0]]


PLANS = [
    Plan(0.5),
    Plan(0.7, "layer"),
    Plan(pattern="2:4"),
    Plan(pattern="3:8"),
    Plan(bits=4),
    Plan(bits=3, grid="affine"),
    Plan(bits=2, group=32),
    Plan(bits=4, group=96),
    Plan(bits=4, group=384),
    Plan(bits=4, group="channel"),
    Plan(bits=4, group="tensor", grid="affine"),
    Plan(0.5, bits=4),
    Plan(0.5, bits=4, group="channel", grid="affine"),
    Plan(pattern="2:4", bits=3, group=96),
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_loses_less_than_rounding(plan: Plan, dtype: torch.dtype) -> None:
    weight = WEIGHT.to(dtype)
    rounded = solve(weight, plan, gram=GRAM)
    fixed = solve(weight, _with(plan, "magnitude"), gram=GRAM)
    found = solve(weight, _with(plan, "obs"), gram=GRAM)
    assert fixed.relative_output_error < 0.97 * rounded.relative_output_error
    assert found.relative_output_error <= fixed.relative_output_error
    assert torch.equal(weight, WEIGHT.to(dtype))
    for solution in (fixed, found):
        assert solution.weight.dtype == dtype
        if solution.mask is not None:
            assert int(solution.mask.sum()) == int(rounded.mask.sum())
            assert not solution.weight[~solution.mask].any()
        if solution.grid is not None:
            assert torch.equal(grids.decode(solution.codes, solution.grid, solution.mask), solution.weight)
            assert solution.grid.scale.shape == rounded.grid.scale.shape
            assert solution.grid.group == rounded.grid.group
    if rounded.mask is not None:
        assert torch.equal(fixed.mask, rounded.mask)


def _with(plan: Plan, importance: str) -> Plan:
    return Plan(plan.sparsity, plan.pattern, importance, False, plan.bits, plan.grid, plan.group, "obs")


@given(st.floats(0, 1), st.sampled_from(["row", "layer"]), st.sampled_from([1, 100, 128, 200, 384]))
@settings(max_examples=20)
def test_counts_are_exact(sparsity: float, pattern: str, width: int) -> None:
    weight, gram = WEIGHT[:4, :width], GRAM[:width, :width]
    found = solve(weight, Plan(sparsity, pattern, "obs", solver="obs"), gram=gram)
    removed = torch.zeros(4, width, dtype=torch.bool) if found.mask is None else ~found.mask
    if pattern == "row":
        assert removed.sum(1).tolist() == [round(sparsity * width)] * 4
    else:
        assert int(removed.sum()) == round(sparsity * 4 * width)


def test_n_of_m_holds_across_blocks() -> None:
    found = solve(WEIGHT[:, :300], Plan(pattern="2:6", importance="obs", solver="obs"), gram=GRAM[:300, :300])
    assert found.mask.reshape(-1, 6).sum(-1).unique().tolist() == [2]


def test_columns_without_input_keep_their_weights_and_go_first() -> None:
    rows = inputs(500, 16)
    rows[:, [3, 7]] = 0
    found = solve(WEIGHT[:, :16], Plan(bits=8, group=16, solver="obs"), gram=gram_of(rows))
    torch.testing.assert_close(found.weight[:, [3, 7]], WEIGHT[:, [3, 7]], atol=0.02, rtol=0)
    alike = torch.where(WEIGHT[:, :16] > 0, 1.0, -1.0)
    pruned = solve(alike, Plan(0.125, importance="obs", solver="obs"), gram=gram_of(rows / rows.std(0).clamp(min=1e-3)))
    assert pruned.mask.all(0).tolist() == [column not in (3, 7) for column in range(16)]


def test_inputs_that_were_all_zero_leave_rounding() -> None:
    plan, nothing = Plan(0.5, bits=4, group=16), torch.zeros(16, 16)
    swept = solve(WEIGHT[:, :16], _with(plan, "magnitude"), gram=nothing)
    assert torch.equal(swept.weight, solve(WEIGHT[:, :16], plan).weight)


def test_fewer_inputs_than_columns_are_damped() -> None:
    few = inputs(10, 384)
    plan = Plan(0.5, bits=4)
    swept, rounded = (solve(WEIGHT, p, gram=gram_of(few)) for p in (_with(plan, "obs"), plan))
    assert torch.isfinite(swept.weight).all()
    assert swept.relative_output_error < rounded.relative_output_error


def test_a_matrix_that_is_no_gram_matrix_is_named() -> None:
    with pytest.raises(NumericsError, match=r"the Gram matrix of blocks\.0\.q's inputs has no Cholesky factor"):
        sweep(WEIGHT[:, :2], torch.tensor([[1.0, 9.0], [9.0, 1.0]]), name="blocks.0.q")


def test_the_sweep_needs_inputs_and_its_importance_needs_the_sweep() -> None:
    with pytest.raises(SettingError, match=r"solver is obs at blocks\.0\.q, none of whose inputs were seen"):
        solve(WEIGHT, Plan(0.5, solver="obs"), name="blocks.0.q")
    with pytest.raises(SettingError, match="importance is obs beside solver round"):
        Plan(0.5, importance="obs")
    with pytest.raises(SettingError, match="importance is obs beside solver obs and pattern global"):
        Plan(0.5, "global", "obs", solver="obs")


def test_the_same_inputs_give_the_same_bytes() -> None:
    one, two = (solve(WEIGHT, _with(PLANS[11], "obs"), gram=GRAM) for _ in range(2))
    assert torch.equal(one.weight, two.weight) and torch.equal(one.grid.scale, two.grid.scale)
    assert one.relative_output_error == relative_output_error(WEIGHT, one.weight, GRAM)


def test_block_by_block_it_sees_each_layers_inputs() -> None:
    def layers() -> nn.Sequential:
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))

    hidden, original = inputs(600, 32), layers()

    def error_of(plan: Plan) -> float:
        module = layers()
        done = list(stream.compress(open_model(module), plan, [hidden]))
        assert all(s.relative_output_error is not None for block in done for _, s in block.solutions)
        return float((module(hidden) - original(hidden)).square().mean().detach())

    assert error_of(Plan(0.5, importance="obs", solver="obs")) < 0.7 * error_of(Plan(0.5))

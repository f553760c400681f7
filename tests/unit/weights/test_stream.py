import math

import pytest
import torch
from torch import nn

from excise.adapters.hf import open_model
from excise.errors import NumericsError, SettingError
from excise.weights import solve, stream
from excise.weights.solve import Plan
from packing import tiny

TOKENS = torch.arange(0, 96).reshape(4, 24)


def layers(width=16, dtype=torch.float32):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 24), nn.Tanh(), nn.Linear(24, 8)).to(dtype)


def done(model, plan, inputs, **settings):
    results = list(stream.compress(model, plan, inputs, **settings))
    return {view.name: solution for block in results for view, solution in block.solutions}, results


@pytest.mark.parametrize(
    "plan",
    [
        Plan(sparsity=0.5),
        Plan(sparsity=0.5, solver="obs"),
        Plan(bits=3, group="channel"),
        Plan(sparsity=0.25, bits=4, group=8),
    ],
)
def test_a_sequential_is_changed_in_place_and_its_errors_are_those_of_its_outputs(plan):
    module, original = layers(), layers()
    inputs = [torch.randn(7, 16), torch.randn(3, 16)]
    solutions, results = done(open_model(module), plan, inputs)
    hidden = torch.cat(inputs)
    for place in (0, 2, 4):
        solution = solutions[f"{place}.weight"]
        assert torch.equal(module[place].weight, solution.weight)
        assert not torch.equal(module[place].weight, original[place].weight)
        assert torch.equal(module[place].bias, original[place].bias)
        # on the inputs that the compressed layers before it give
        exact = hidden @ original[place].weight.t()
        error = (hidden @ module[place].weight.t() - exact).square().sum() / exact.square().sum()
        assert solution.relative_output_error == pytest.approx(error.item(), rel=1e-3)
        hidden = module[place : place + 2](hidden)
    assert torch.allclose(torch.cat(results[-1].hidden), module(torch.cat(inputs)))


def test_a_convolution_too():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 25, 3))
    before = module[0].weight.detach().clone()
    images = torch.randn(6, 2, 5, 5)
    solutions, _ = done(open_model(module), Plan(sparsity=0.5), [images])
    assert int((module[0].weight == 0).sum()) == 4 * 9
    exact = nn.functional.conv2d(images, before, padding=1)
    error = (nn.functional.conv2d(images, module[0].weight, padding=1) - exact).square().sum() / exact.square().sum()
    assert solutions["0.weight"].relative_output_error == pytest.approx(error.item(), rel=1e-3)


def test_matrices_that_are_handed_one_tensor_share_one_gram_matrix():
    model = open_model(tiny("Llama"))
    hidden = [model.embed(TOKENS)]
    block = next(iter(model.blocks()))
    grams = stream.run(block, hidden, watched=block.matrices).grams
    by_role = {view.role: grams[view.name] for view in block.matrices}
    assert torch.equal(by_role["q"], by_role["k"])
    assert torch.equal(by_role["q"], by_role["v"])
    assert torch.equal(by_role["gate"], by_role["up"])
    assert len({tuple(g.flatten().tolist()) for g in by_role.values()}) == 4
    assert by_role["down"].shape == (128, 128)


def test_a_block_is_taken_in_the_order_of_its_calls():
    model = open_model(tiny("Llama"))
    block = next(iter(model.blocks()))
    roles = [{view.role for view in group} for group in stream.stages(block, model.embed(TOKENS))]
    assert roles == [{"q", "k", "v"}, {"o"}, {"gate", "up"}, {"down"}]


def test_a_matrix_that_is_never_called_comes_last():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle, self.used = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.used(x)

    model = open_model(Net())
    inputs = torch.randn(2, 4)
    groups = stream.stages(next(iter(model.blocks())), inputs)
    assert [[v.name for v in group] for group in groups] == [["used.weight"], ["idle.weight"]]
    solutions, _ = done(model, Plan(sparsity=0.5), [inputs])
    assert solutions["idle.weight"].relative_output_error is None


def test_a_solver_that_looks_at_inputs_sees_those_of_compressed_matrices():
    plan = Plan(sparsity=0.5, importance="obs", solver="obs")
    model = open_model(tiny("Llama").float())
    hidden = [model.embed(TOKENS)]
    block = next(iter(model.blocks()))
    before = {v.role: v.get().clone() for v in block.matrices}
    solutions, _ = done(model, plan, hidden)
    views = {v.role: v for v in block.matrices}  # in memory already, and compressed
    gram = stream.run(block, hidden, watched=[views["down"]]).grams[views["down"].name]
    again = solve.solve(before["down"], plan, gram=gram)
    torch.testing.assert_close(views["down"].get(), again.weight)
    assert torch.equal(solutions[views["down"].name].weight, views["down"].get())


def test_without_measuring_there_is_no_output_error():
    solutions, _ = done(open_model(layers()), Plan(sparsity=0.5), [torch.randn(2, 16)], measure=False)
    assert all(s.relative_output_error is None and s.relative_weight_error > 0 for s in solutions.values())


def test_going_on_from_a_block_is_the_same():
    module, again = layers(), layers()
    plan = Plan(sparsity=0.5, bits=4, group=8)
    inputs = [torch.randn(4, 16)]
    solutions, results = done(open_model(module), plan, inputs)
    again[0].load_state_dict(module[0].state_dict())
    rest, _ = done(open_model(again), plan, results[0].hidden, first=1)
    assert rest.keys() == solutions.keys() - {"0.weight"}
    for name, solution in rest.items():
        assert torch.equal(solution.weight, solutions[name].weight)
        assert solution.relative_output_error == solutions[name].relative_output_error


def test_global_masks_remove_the_count_over_all_matrices():
    model = open_model(layers())
    plan = Plan(sparsity=0.3, pattern="global")
    masks = stream.global_masks(model, plan, stream.Given())
    weights = sum(math.prod(v.shape) for v in model.matrices())
    assert sum(int((~m).sum()) for m in masks.values()) == round(0.3 * weights)
    kept = [v.get()[masks[v.name]].abs().min() for v in model.matrices()]
    gone = [v.get()[~masks[v.name]].abs().max() for v in model.matrices() if (~masks[v.name]).any()]
    assert max(gone) <= min(kept)
    solutions, _ = done(model, plan, [torch.randn(2, 16)], given=stream.Given(masks=masks))
    assert all(torch.equal(s.weight != 0, masks[n]) for n, s in solutions.items())


@pytest.mark.parametrize("kind", ["Llama", "GPT2"])
def test_gradients_are_autograds(kind):
    settings = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64} if kind == "GPT2" else {}
    network = tiny(kind, **settings).float()
    found = stream.gradients(open_model(network), [TOKENS[:1], TOKENS[1:]])
    network.zero_grad()
    network(TOKENS, labels=TOKENS).loss.backward()
    for view in open_model(network).matrices():
        expected = view.matrix(view.module.weight.grad)
        torch.testing.assert_close(found[view.name], expected, rtol=1e-3, atol=1e-6)
    network.zero_grad()


def test_taylor_needs_gradients():
    with pytest.raises(SettingError, match=r"0\.weight"):
        done(open_model(layers()), Plan(sparsity=0.5, importance="taylor"), [torch.randn(2, 16)])


def test_inputs_that_are_no_numbers_are_named():
    inputs = torch.randn(2, 16)
    inputs[1, 3] = float("nan")
    with pytest.raises(NumericsError, match=r"0\.weight"):
        done(open_model(layers()), Plan(sparsity=0.5), [inputs])


def test_progress_counts_matrices():
    told = []
    done(open_model(layers()), Plan(bits=8, group=8), [torch.randn(2, 16)], progress=lambda *a: told.append(a))
    assert told == [("compressing", 1, 3), ("compressing", 2, 3), ("compressing", 3, 3)]

import copy

import pytest
import torch
from torch import nn

from excise.errors import InputError
from excise.weights import packed
from excise.weights.linear import PackedLinear, finish_modules, pack_modules, unpack_modules
from excise.weights.solve import Plan, solve

PLANS = [Plan(sparsity=0.5), Plan(bits=4, group=32), Plan(sparsity=0.5, bits=3, grid="affine", group="tensor")]


def network(dtype=torch.bfloat16):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 64, bias=False)).to(dtype).eval()


def packed_network(plan, dtype=torch.bfloat16):
    """A network with solved weights, and the same packed."""
    dense = network(dtype)
    solved = {f"{i}.weight": solve(dense[i].weight.data, plan) for i in (0, 2)}
    for name, solution in solved.items():
        dense.get_parameter(name).data = solution.weight
    light = copy.deepcopy(dense)
    pack_modules(light, {name: packed.describe(s, dtype) for name, s in solved.items()})
    parts = {f"{n}.{part}": t for n, s in solved.items() for part, t in packed.pack(s, dtype).items()}
    light.load_state_dict(parts | {"0.bias": dense[0].bias})
    return dense, light


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@torch.no_grad()
def test_it_computes_what_the_dense_module_computes(plan, dtype):
    dense, light = packed_network(plan, dtype)
    x = torch.randn(3, 20, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert torch.equal(light(x), dense(x))


@torch.no_grad()
def test_inputs_of_another_dtype_are_taken():
    dense, light = packed_network(Plan(bits=4, group=32))
    x = torch.randn(2, 64)
    assert light[0].bias.dtype == torch.bfloat16
    light[0].bias.data = light[0].bias.float()
    assert torch.equal(light[0](x), dense[0].float()(x))


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_unpacking_gives_the_modules_back(plan):
    dense, light = packed_network(plan)
    unpack_modules(light)
    assert [type(m) for m in light] == [type(m) for m in dense]
    assert light.state_dict().keys() == dense.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(light.state_dict().values(), dense.state_dict().values(), strict=True))


def test_casting_a_model_does_not_change_packed_weights():
    _, light = packed_network(Plan(bits=4, group=32))
    before = light[0].weight.dense()
    light.to(torch.float16)
    assert light[0].weight.scale.dtype == torch.bfloat16
    assert light[0].bias.dtype == torch.float16
    assert torch.equal(light[0].weight.dense(), before)


def test_the_state_is_named_after_the_weight():
    _, light = packed_network(Plan(sparsity=0.5, bits=4, grid="affine", group=32))
    assert set(light.state_dict()) == {
        "0.bias",
        *(f"{i}.weight.{part}" for i in (0, 2) for part in ("mask", "codes", "scale", "zero")),
    }


def test_modules_that_cannot_be_packed_are_refused_by_name():
    described = packed.describe(solve(torch.randn(64, 32), Plan(sparsity=0.5)), torch.float32)
    for model, name in [
        (network(), "7.weight"),
        (network(), "1.weight"),
        (nn.Sequential(nn.Embedding(64, 32)), "0.weight"),
    ]:
        with pytest.raises(InputError, match=f"{name} is packed in the checkpoint, but the model has no Linear there"):
            pack_modules(model, {name: described})
    with pytest.raises(InputError, match=r"0.weight is described as \[64, 32\]; the model's is \[96, 64\]"):
        pack_modules(network(), {"0.weight": described})


def test_damaged_numbers_are_refused_with_the_tensors_name():
    _, light = packed_network(Plan(sparsity=0.5))
    finish_modules(light)
    light[2].weight.mask.zero_()
    with pytest.raises(InputError, match=r"^2.weight: the mask keeps 0 weights"):
        finish_modules(light)


def test_a_cast_while_loading_is_undone_or_refused():
    dense, light = packed_network(Plan(bits=4, group=32))
    weight = light[0].weight
    scale = weight._buffers["scale"]
    weight._buffers["scale"] = scale.float()
    finish_modules(light)
    assert weight.scale.dtype == torch.bfloat16
    assert torch.equal(weight.dense(), dense[0].weight)
    weight.restore()
    weight._buffers["scale"] = scale.half()
    with pytest.raises(
        InputError, match=r"0.weight: scale was cast from torch.bfloat16 to torch.float16.*dtype='auto'"
    ):
        finish_modules(light)


def test_what_is_shown_tells_how_it_is_stored():
    _, light = packed_network(Plan(bits=4, group=32))
    assert isinstance(light[0], PackedLinear)
    assert "in_features=64, out_features=96, dtype=bfloat16, kind=symmetric, bits=4, group=32" in repr(light[0])
    assert (light[0].weight.shape, light[0].weight.dtype) == ((96, 64), torch.bfloat16)

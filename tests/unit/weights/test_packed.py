import pytest
import torch

from excise.errors import InputError
from excise.weights import packed
from excise.weights.grids import Grid
from excise.weights.solve import Plan, Solution, solve


def test_a_masked_weight_by_hand():
    weight = torch.tensor([[1.5, 0.0, -2.0], [0.0, 0.0, 3.0]], dtype=torch.bfloat16)
    solution = Solution(weight, weight != 0, None, None, 0.0, None)
    parts = packed.pack(solution, torch.bfloat16)
    assert parts["mask"].tolist() == [0b100101]
    assert parts["values"].tolist() == [1.5, -2.0, 3.0]
    assert parts["values"].dtype == torch.bfloat16


def test_a_quantized_weight_by_hand():
    codes = torch.tensor([[-8, 7], [0, -1]], dtype=torch.int8)
    grid = Grid("symmetric", 4, 2, torch.tensor([[0.5], [2.0]]))
    solution = Solution(torch.tensor([[-4.0, 3.5], [0.0, -2.0]]), None, grid, codes, 0.0, None)
    parts = packed.pack(solution, torch.float32)
    assert parts["codes"].tolist() == [0xF0, 0x78]  # 8 is added to a signed code; the first is the low half
    assert torch.equal(packed.unpack(parts, packed.describe(solution, torch.float32)), solution.weight)


def test_a_removed_weight_comes_back_as_plus_zero():
    solution = solve(torch.tensor([[-1.0, 2.0, -3.0, 4.0]]), Plan(sparsity=0.5, bits=2, group=4))
    back = packed.unpack(packed.pack(solution, torch.float32), packed.describe(solution, torch.float32))
    assert not torch.signbit(back[0, :2]).any()


@pytest.mark.parametrize("bit", [0, 1])
def test_a_mask_with_another_count_is_refused(bit):
    solution = solve(torch.randn(4, 8), Plan(sparsity=0.5))
    parts = packed.pack(solution, torch.float32)
    parts["mask"] = torch.full_like(parts["mask"], 255 * bit)
    with pytest.raises(InputError, match=f"the mask keeps {32 * bit} weights; config.json describes 16"):
        packed.unpack(parts, packed.describe(solution, torch.float32))


@pytest.mark.parametrize("part", ["scale", "zero"])
def test_a_scale_that_is_no_number_is_refused(part):
    solution = solve(torch.randn(4, 8), Plan(bits=4, grid="affine", group=8))
    parts = packed.pack(solution, torch.float32)
    parts[part] = parts[part].clone().fill_(float("nan"))
    with pytest.raises(InputError, match=f"{part} holds NaN"):
        packed.unpack(parts, packed.describe(solution, torch.float32))

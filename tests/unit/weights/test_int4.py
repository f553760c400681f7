import copy

import pytest
import torch
from torch.nn import functional

from excise.weights import int4, packed
from excise.weights.layout import GridLayout, Layout
from excise.weights.linear import PackedWeight
from excise.weights.solve import Plan, solve

SYMMETRIC = GridLayout("symmetric", 4, 32, torch.bfloat16)
GOOD = Layout((128, 64), torch.bfloat16, None, SYMMETRIC)

needs_kernel = pytest.mark.skipif(
    int4._block() == 0, reason="torch's 4-bit kernel is not there, or orders codes in a way that is not known here"
)


def weight_of(plan, shape=(128, 64)):
    generator = torch.Generator().manual_seed(3)
    solution = solve(torch.randn(*shape, generator=generator).to(torch.bfloat16), plan)
    held = PackedWeight(packed.describe(solution, torch.bfloat16))
    held.load_state_dict(packed.pack(solution, torch.bfloat16))
    return solution, held


@needs_kernel
def test_the_order_is_the_kernels_own():
    codes = torch.randint(0, 16, (192, 96), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    expected = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1)
    assert torch.equal(int4.arrange(codes), expected)
    assert torch.equal(int4.restore(expected), codes)


@needs_kernel
@pytest.mark.parametrize(
    ("layout", "fits"),
    [
        (GOOD, True),
        (Layout((128, 64), torch.bfloat16, 100, SYMMETRIC), True),
        (Layout((128, 64), torch.bfloat16, None, GridLayout("affine", 4, 64, torch.bfloat16)), True),
        (Layout((128, 64), torch.bfloat16, 100, GridLayout("affine", 4, 64, torch.bfloat16)), False),
        (Layout((128, 64), torch.bfloat16, 100), False),
        (Layout((96, 64), torch.bfloat16, None, SYMMETRIC), False),
        (Layout((128, 64), torch.bfloat16, None, GridLayout("symmetric", 3, 32, torch.bfloat16)), False),
        (Layout((128, 64), torch.bfloat16, None, GridLayout("symmetric", 4, 16, torch.bfloat16)), False),
        (Layout((128, 64), torch.bfloat16, None, GridLayout("symmetric", 4, "tensor", torch.bfloat16)), False),
        (Layout((128, 64), torch.float16, None, GridLayout("symmetric", 4, 32, torch.float16)), False),
        (Layout((128, 64), torch.float32, None, SYMMETRIC), False),
    ],
)
def test_only_shapes_that_the_kernel_takes_are_given_to_it(layout, fits):
    assert int4.fits(layout) == fits


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch):
    monkeypatch.setattr(int4, "multiply", lambda x, arranged, group, level: torch.ones(x.shape[0], 128))
    int4._works.cache_clear()
    assert not int4.fits(GOOD)
    monkeypatch.setattr(int4, "_block", lambda: 0)
    int4._works.cache_clear()
    assert not int4.fits(GOOD)
    int4._works.cache_clear()


PLANS = [
    Plan(bits=4, group=32),
    Plan(bits=4, group="channel", grid="affine"),
    Plan(sparsity=0.5, bits=4, group=32),
    Plan(pattern="2:4", bits=4, group=64),
]


@needs_kernel
@pytest.mark.parametrize("plan", PLANS, ids=str)
class TestArranged:
    def test_the_weight_and_its_stored_parts_stay_the_same(self, plan):
        solution, held = weight_of(plan)
        before = copy.deepcopy(held.state_dict())
        held.arrange()
        assert held.arranged
        assert torch.equal(held.dense().view(torch.int16), solution.weight.view(torch.int16))
        after = held.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[part], after[part]) for part in before)
        held.restore()
        assert not held.arranged
        assert dict(held.named_buffers()).keys() == before.keys()
        assert all(torch.equal(before[part], held._buffers[part]) for part in before)

    @pytest.mark.parametrize("rows", [1, 3, 8])
    def test_few_rows_give_what_the_dense_product_gives(self, plan, rows):
        solution, held = weight_of(plan)
        held.arrange()
        x = torch.randn(1, rows, 64, generator=torch.Generator().manual_seed(rows)).to(torch.bfloat16)
        assert held.takes(x)
        found, exact = held.multiply(x), functional.linear(x.float(), solution.weight.float())
        assert (found.shape, found.dtype) == (exact.shape, torch.bfloat16)
        rounding = 2**-8 * exact.norm()  # half a unit of bfloat16's last place, relative
        assert (found - exact).norm() <= rounding
        assert torch.equal(found, held.multiply(x))

    def test_more_rows_other_dtypes_and_gradients_take_the_exact_way(self, plan):
        _, held = weight_of(plan)
        held.arrange()
        x = torch.zeros(9, 64, dtype=torch.bfloat16)
        assert not held.takes(x)
        assert not held.takes(x[:8].float())
        assert not held.takes(x[:8].clone().requires_grad_())

    def test_it_survives_a_cast_a_copy_and_a_reload(self, plan):
        solution, held = weight_of(plan)
        held.arrange()
        state = copy.deepcopy(held.state_dict())
        held.to(torch.float16)
        assert held.arranged
        assert torch.equal(held.dense(), solution.weight)
        twin = copy.deepcopy(held)
        twin.load_state_dict({part: torch.zeros_like(tensor) for part, tensor in state.items()})
        assert not twin.dense().any()
        twin.load_state_dict(state)
        assert torch.equal(twin.dense(), solution.weight)
        assert torch.equal(held.dense(), solution.weight)

    def test_the_scales_are_not_held_twice(self, plan):
        _, held = weight_of(plan)
        groups = held.scale.numel()
        held.arrange()
        dense = 2 * 128 * 64
        mask = 0 if plan.removed_fraction == 0 else 128 * 64 // 8
        scales = (4 + (2 if plan.grid == "affine" else 0)) * groups
        assert sum(b.nbytes for b in held.buffers()) == dense // 4 + mask + scales


@needs_kernel
def test_a_masked_matrix_takes_what_the_module_says():
    _, held = weight_of(Plan(sparsity=0.5, bits=4, group=128), (128, 256))
    dense = 2 * 128 * 256
    assert sum(b.nbytes for b in held.buffers()) / dense == pytest.approx(0.195, abs=5e-4)
    held.arrange()
    assert sum(b.nbytes for b in held.buffers()) / dense == pytest.approx(0.328, abs=5e-4)


def test_where_no_kernel_fits_nothing_changes():
    _, held = weight_of(Plan(bits=3, group=32))
    held.arrange()
    assert not held.arranged

"""What is packed comes back bit for bit, whatever the width, the density of the mask and the shape."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given, settings

from excise.weights import bits, packed
from excise.weights.layout import Layout, quantization_config, read_layouts
from excise.weights.solve import Plan, solve

DTYPES = [torch.bfloat16, torch.float16, torch.float32]


def bytes_of(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 70), st.integers(0, 2**32))
def test_codes_come_back(width, count, seed):
    codes = torch.randint(0, 2**width, (count,), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    stream = bits.pack(codes, width)
    assert stream.numel() == math.ceil(count * width / 8)
    assert torch.equal(bits.unpack(stream, width, count), codes)


@settings(deadline=None)
@given(st.integers(1, 8), st.data())
def test_any_run_of_codes_can_be_read_alone(width, data):
    codes = torch.tensor(data.draw(st.lists(st.integers(0, 2**width - 1), max_size=60)), dtype=torch.uint8)
    start = data.draw(st.integers(0, len(codes)))
    count = data.draw(st.integers(0, len(codes) - start))
    assert torch.equal(bits.unpack(bits.pack(codes, width), width, count, start), codes[start : start + count])


@settings(deadline=None)
@given(st.integers(1, 8), st.lists(st.integers(0, 255), max_size=40))
def test_the_stream_is_little_endian(width, values):
    codes = [value % 2**width for value in values]
    number = sum(code << (i * width) for i, code in enumerate(codes))  # the definition, in Python's own integers
    expected = number.to_bytes(math.ceil(len(codes) * width / 8), "little")
    assert bytes(bits.pack(torch.tensor(codes, dtype=torch.uint8), width).tolist()) == expected


@st.composite
def solutions(draw):
    out, width = draw(st.integers(1, 9)), draw(st.sampled_from([1, 2, 3, 5, 8, 12, 24]))
    dtype = draw(st.sampled_from(DTYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    weight = torch.randn(out, width, generator=generator).to(dtype)
    if draw(st.booleans()):
        weight[0] = weight[0, 0]  # a row on which xmin = xmax
    sparsity = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    width_bits = draw(st.one_of(st.none(), st.integers(1, 8)) if sparsity else st.integers(1, 8))
    group = draw(st.sampled_from([*(d for d in (1, 2, 3, 4, 12) if width % d == 0), "channel", "tensor"]))
    kind = draw(st.sampled_from(["symmetric", "affine"]))
    return solve(weight, Plan(sparsity=sparsity, bits=width_bits, grid=kind, group=group)), dtype


@settings(deadline=None, max_examples=300)
@given(solutions())
def test_a_packed_weight_comes_back_bit_for_bit(solved):
    solution, dtype = solved
    described, parts = packed.describe(solution, dtype), packed.pack(solution, dtype)
    assert {p: (t.dtype, tuple(t.shape)) for p, t in parts.items()} == described.parts()
    assert sum(t.nbytes for t in parts.values()) == described.size_bytes()
    assert read_layouts(quantization_config({"w": described})) == {"w": described}
    assert bytes_of(packed.unpack(parts, described)) == bytes_of(solution.weight)


@settings(deadline=None)
@given(solutions(), st.integers(1, 40))
def test_unpacking_row_by_row_is_unpacking_at_once(solved, block):
    solution, dtype = solved
    described, parts = packed.describe(solution, dtype), packed.pack(solution, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_BLOCK", block)
        assert bytes_of(packed.dense(parts, described)) == bytes_of(solution.weight)


@settings(deadline=None)
@given(solutions(), st.integers(1, 40))
def test_codes_laid_out_as_a_matrix_can_be_stored_again(solved, block):
    solution, dtype = solved
    assume(solution.grid is not None and (solution.mask is None or solution.grid.kind == "symmetric"))
    described, parts = packed.describe(solution, dtype), packed.pack(solution, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_BLOCK", block)
        codes = packed.all_codes(parts, described)
        assert torch.equal(packed.stored_codes(codes, parts, described), parts["codes"])
        assert bytes_of(packed.dense(parts, described, codes)) == bytes_of(solution.weight)


@given(st.integers(1, 200), st.integers(1, 200))
def test_sizes_of_a_layout(out, width):
    kept = out * width // 2
    assert Layout((out, width), torch.bfloat16, kept).size_bytes() == math.ceil(out * width / 8) + 2 * kept

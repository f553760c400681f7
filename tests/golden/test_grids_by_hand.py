"""The quantization formulas number by number on tensors small enough to calculate on paper."""

import pytest
import torch

from excise.weights.grids import decode, encode, fit

# Two bits: q = round((x - xmin) / (xmax - xmin) * 3), x' = q * (xmax - xmin) / 3 + xmin.
AFFINE = [
    #  x                          xmin, step   q              x'
    ([-1.0, -0.5, 0.5, 2.0], -1.0, 1.0, [0, 0, 2, 3], [-1.0, -1.0, 1.0, 2.0]),  # 0.5 and 1.5 are ties: to even
    ([-5.0, -4.25, -3.0, -2.0], -5.0, 1.0, [0, 1, 2, 3], [-5.0, -4.0, -3.0, -2.0]),  # all below 0
    ([8.0, 10.0, 12.0, 14.0], 8.0, 2.0, [0, 1, 2, 3], [8.0, 10.0, 12.0, 14.0]),  # all above 0: 0 is no level
    ([0.3, 0.3, 0.3, 0.3], 0.3, 0.0, [0, 0, 0, 0], [0.3, 0.3, 0.3, 0.3]),  # xmin = xmax
    ([0.0, 0.0, 0.0, 0.0], 0.0, 0.0, [0, 0, 0, 0], [0.0, 0.0, 0.0, 0.0]),
]


def test_affine_is_the_articles_formula() -> None:
    weight = torch.tensor([[x for case in AFFINE for x in case[0]]])
    grid = fit(weight, "affine", bits=2, group=4)
    codes = encode(weight, grid)
    assert grid.zero.tolist() == torch.tensor([[case[1] for case in AFFINE]]).tolist()
    assert grid.scale.tolist() == [[case[2] for case in AFFINE]]
    assert codes.tolist() == [[q for case in AFFINE for q in case[3]]]
    assert codes.dtype == torch.uint8
    assert torch.equal(decode(codes, grid), torch.tensor([[x for case in AFFINE for x in case[4]]]))


@pytest.mark.parametrize("bits", range(1, 9))
def test_affine_levels_of_every_width(bits: int) -> None:
    """Over the range 0 to 2^b - 1 the step is 1: whole numbers are their own codes, halves are ties."""
    top = 2**bits - 1
    weight = torch.arange(0, top + 0.5, 0.5).reshape(1, -1)
    grid = fit(weight, "affine", bits, "channel")
    assert grid.scale.item() == 1 and grid.zero.item() == 0
    assert encode(weight, grid).tolist() == [[round(x) for x in weight[0].tolist()]]  # Python's ties go to even too


def test_affine_in_bfloat16_rounds_the_step_up() -> None:
    """1.25 / 3 = 213.33 / 512; with the nearest number of bfloat16, 213 / 512, xmax would be out of range."""
    weight = torch.tensor([[-1.0, -0.5, 0.0, 0.25]], dtype=torch.bfloat16)
    grid = fit(weight, "affine", bits=2, group="channel")
    assert grid.scale.dtype == grid.zero.dtype == torch.bfloat16
    assert grid.scale.item() == 214 / 512 and grid.zero.item() == -1
    codes = encode(weight, grid)
    assert codes.tolist() == [[0, 1, 2, 3]]  # 256 / 214 = 1.20, 512 / 214 = 2.39, 640 / 214 = 2.99
    exact = [-1, 214 / 512 - 1, 428 / 512 - 1, 642 / 512 - 1]
    assert decode(codes, grid).tolist() == torch.tensor([exact]).bfloat16().tolist()


def test_a_grid_of_one_level_has_code_0_for_everything() -> None:
    for kind, bits in (("affine", 4), ("symmetric", 4), ("symmetric", 1)):
        grid = fit(torch.zeros(1, 4), kind, bits, "channel")
        assert encode(torch.tensor([[0.0, 5.0, -5.0, 1e30]]), grid).tolist() == [[0, 0, 0, 0]]


def test_affine_keeps_a_single_value_exactly_in_every_dtype() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        weight = torch.full((2, 8), 0.1, dtype=dtype)
        grid = fit(weight, "affine", bits=3, group=4)
        assert torch.equal(decode(encode(weight, grid), grid), weight), dtype


# Three bits: levels -4 .. 3; |scale| = max(larger extreme / 4.5, smaller extreme / 3.5), the larger on the -4 side.
SYMMETRIC = [
    ([-9.0, 1.0, 3.0, 7.0], 2.0, [-4, 0, 2, 3], [-8.0, 0.0, 4.0, 6.0]),  # -4.5, 0.5, 1.5, 3.5: ties, cut at 3
    ([9.0, -1.0, -3.0, -7.0], -2.0, [-4, 0, 2, 3], [8.0, 0.0, -4.0, -6.0]),  # its mirror image
    ([4.5, 4.0, 2.6, 0.0], -1.0, [-4, -4, -3, 0], [4.0, 4.0, 3.0, 0.0]),  # one side only
    ([-7.0, 7.0, 0.0, 2.0], 2.0, [-4, 3, 0, 1], [-8.0, 6.0, 0.0, 2.0]),  # both extremes alike
    ([0.0, 0.0, 0.0, 0.0], 0.0, [0, 0, 0, 0], [0.0, 0.0, 0.0, 0.0]),
]


def test_symmetric() -> None:
    weight = torch.tensor([[x for case in SYMMETRIC for x in case[0]]])
    grid = fit(weight, "symmetric", bits=3, group=4)
    codes = encode(weight, grid)
    assert grid.zero is None
    assert grid.scale.tolist() == [[case[1] for case in SYMMETRIC]]
    assert codes.tolist() == [[q for case in SYMMETRIC for q in case[2]]]
    assert codes.dtype == torch.int8
    assert torch.equal(decode(codes, grid), torch.tensor([[x for case in SYMMETRIC for x in case[3]]]))


def test_one_symmetric_bit_is_plus_or_minus_the_mean_magnitude() -> None:
    weight = torch.tensor([[1.0, -2.0, 3.0, -6.0, 0.0, 0.0, 0.0, 0.0]])
    grid = fit(weight, "symmetric", bits=1, group=4)
    codes = encode(weight, grid)
    assert grid.scale.tolist() == [[6.0, 0.0]]
    assert codes.tolist() == [[0, -1, 0, -1, 0, 0, 0, 0]]
    assert decode(codes, grid).tolist() == [[3.0, -3.0, 3.0, -3.0, 0.0, 0.0, 0.0, 0.0]]


def test_only_the_kept_weights_decide() -> None:
    weight = torch.tensor([[-1.0, 99.0, 0.5, 2.0, 7.0, 7.0, 7.0, 7.0]])
    mask = torch.tensor([[True, False, True, True, False, False, False, False]])
    affine = fit(weight, "affine", bits=2, group=4, mask=mask)
    assert affine.zero.tolist() == [[-1.0, 0.0]] and affine.scale.tolist() == [[1.0, 0.0]]
    codes = encode(weight, affine, mask)
    assert codes.tolist() == [[0, 0, 2, 3, 0, 0, 0, 0]]
    assert decode(codes, affine, mask).tolist() == [[-1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0]]
    one_bit = fit(weight, "symmetric", bits=1, group=4, mask=mask)
    assert one_bit.scale.tolist() == [[torch.tensor(7 / 3).item(), 0.0]]  # 2 * (1 + 0.5 + 2) / 3


@pytest.mark.parametrize("kind", ["symmetric", "affine"])
def test_one_scale_for_a_group_a_row_or_all(kind: str) -> None:
    weight = torch.tensor([[-4.0, 1.0, 2.0, 8.0], [0.0, 0.25, 0.5, 1.0]])
    shapes = {group: list(fit(weight, kind, 4, group).scale.shape) for group in (2, "channel", "tensor")}
    assert shapes == {2: [2, 2], "channel": [2, 1], "tensor": [1, 1]}
    assert fit(weight, kind, 4, "tensor").scale.item() == fit(weight, kind, 4, "channel").scale[0].item()
    assert fit(weight, kind, 4, 2).scale[1, 1].item() == fit(weight[1:, 2:], kind, 4, "tensor").scale.item()


@pytest.mark.parametrize(
    ("dtype", "bits", "off", "furthest"),
    [
        (torch.float64, 8, 0.0, 0),
        (torch.float32, 8, 0.0, 0),
        (torch.bfloat16, 8, 0.35, 2),
        (torch.bfloat16, 4, 0.014, 1),
        (torch.float16, 8, 0.047, 1),
    ],
)
def test_how_far_a_step_of_16_bits_is_from_the_article(
    dtype: torch.dtype, bits: int, off: float, furthest: int
) -> None:
    """The shares that docs/format.md tells, to a third of themselves: they depend on the draw."""
    draw = torch.Generator().manual_seed(0)
    gaps = []
    for _ in range(50):
        weight = torch.randn(4, 64, generator=draw, dtype=torch.float64).to(dtype)
        codes = encode(weight, fit(weight, "affine", bits, "tensor")).double()
        real = weight.double()
        article = ((real - real.min()) / (real.max() - real.min()) * (2**bits - 1)).round()
        gaps.append((codes - article).abs())
    gap = torch.stack(gaps)
    assert float((gap > 0).double().mean()) == pytest.approx(off, rel=0.35)
    assert int(gap.max()) == furthest

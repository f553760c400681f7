"""The levels a weight may take: fit a grid to a tensor, encode onto it, decode from it.

Two kinds. `symmetric` (default of --bits): w' = (q + shift) * scale with q in [-2^(b-1), 2^(b-1) - 1]. `affine` (the
article's): w' = q * scale + zero with q in [0, 2^b - 1], zero = xmin and scale = (xmax - xmin) / (2^b - 1).

Scale and zero have the weight's own dtype (16 bit for 16-bit weights), are rounded to it before anything is encoded,
and decoding calculates in fp32 and rounds once to that dtype: memory and disk agree bit for bit. Scales are rounded
away from zero, so that the range still covers every weight. zero is a weight's value and therefore exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from excise.errors import NumericsError, SettingError
from excise.weights.numerics import compute_dtype, require_finite

Kind = Literal["symmetric", "affine"]
Group = int | Literal["channel", "tensor"]


@dataclass(frozen=True)
class Grid:
    """The levels of one tensor [out, in].

    Attributes:
        kind: 'symmetric' or 'affine'.
        bits: b in [1, 8].
        group: Columns of a row that share a scale (in, where a whole row does), or 'tensor' where all rows do.
        scale: [out, in/group], or [1, 1] for 'tensor', in the weight's dtype. Distance between two levels; 0
            where all weights are equal; negative where a symmetric grid is turned round (see `fit`).
        zero: Affine only: xmin, in the shape and dtype of scale.
    """

    kind: Kind
    bits: int
    group: int | Literal["tensor"]
    scale: Tensor
    zero: Tensor | None = None


def fit(
    weight: Tensor,
    kind: Kind = "symmetric",
    bits: int = 4,
    group: Group = 128,
    *,
    mask: Tensor | None = None,
    name: str = "weight",
) -> Grid:
    """The grid that covers the weights of each group.

    Args:
        weight: [out, in], fp32, bf16 or fp16.
        kind: 'affine' takes the levels from xmin and xmax, the article's formula. 'symmetric' has 0 among its levels
            and one level more below 0 than above; the larger extreme of a group is put on that longer side, by a
            negative scale where it is positive: |scale| = max(larger / (2^(b-1) + 1/2), smaller / (2^(b-1) - 1/2)).
            With 1 bit there are two levels, +-mean|w| (scale = 2 * mean|w|), which have the least squared error.
        bits: In [1, 8].
        group: Columns a group, which must divide in; 'channel' = whole rows; 'tensor' = one grid for all.
        mask: Bool [out, in], True = kept. Only kept weights decide; a group without any has scale and zero 0.
        name: The tensor's, for errors.

    Raises:
        SettingError: bits, kind or group is out of its range.
        NumericsError: The weight holds NaN or Inf, or its range has no finite scale in its dtype.

    Guarantees: |w - w'| <= |scale| / 2 before w' is rounded to the weight's dtype, for every kept weight with b >= 2
        or affine, and for |w| <= |scale| with one symmetric bit. xmin = xmax gives x back exactly (affine).
    Source: the article, quantization formula (section 4.2). 1 bit: Rastegari et al., XNOR-Net, 2016.
    Differs: step and xmin are kept in the weight's own dtype, where the article has real numbers. For fp32 and fp64
        weights its formula holds to the letter (but for a tie that fp32 rounds the other way); for 16-bit ones it holds
        with the step rounded up to the next number of that dtype (bf16: by at most 0.8 %). Of the codes of 50 normal
        tensors [4, 64], one grid each, bf16 8 bit 35 % then differ from the real-number formula's, by 1 or 2, bf16
        4 bit 1.4 %, fp16 8 bit 4.7 %.
    Evidence: benchmarks/levels.py, mean relative output error over wikillama's 42 matrices, g128, 4 / 3 / 2 bit:
        -7..7 with amax/7 .00399 / .0213 / .194; -8..7 with amax/7.5 .00362 / .0163 / .0876; amax put on -8 and the
        other side cut off .00311 / .0125 / .0531; this rule, which cuts nothing off, .00295 / .0120 / .0597; affine
        .00287 / .0133 / .0761. 1 bit: mean|w| .208, amax/2 .308, affine 1.88.
    """
    if kind not in ("symmetric", "affine"):
        raise SettingError(f"grid is {kind!r}; it must be symmetric or affine.")
    check_bits(bits)
    require_finite(weight, name)
    columns = group_width(weight.shape, group, name)
    wide = weight.to(compute_dtype(weight))
    whole = (1, 1, -1) if group == "tensor" else (weight.shape[0], -1, columns)
    groups = wide.reshape(whole)
    kept = None if mask is None else mask.reshape(whole)
    if kind == "affine":
        lowest, highest = _extremes(groups, kept)
        scale, zero = (highest - lowest) / (2**bits - 1), lowest.to(weight.dtype)
    else:
        scale, zero = _symmetric_scale(groups, kept, bits), None
    stored = _rounded_away(scale, weight.dtype)
    if not torch.isfinite(stored).all():
        raise NumericsError(
            f"scale is Inf at {name}; the range of its weights, {wide.min():g} to {wide.max():g}, has no {bits}-bit "
            f"step in {weight.dtype}. Store the model in a wider dtype first."
        )
    return Grid(kind, bits, "tensor" if group == "tensor" else columns, stored, zero)


def encode(weight: Tensor, grid: Grid, mask: Tensor | None = None) -> Tensor:
    """The nearest level of each weight: affine q = round((w - zero) / scale), symmetric q = round(w / scale - shift).

    Ties go to the even code. Weights out of the grid's range get its nearest end.

    Args:
        weight: [out, in].
        grid: From `fit`, of this weight or another of its shape.
        mask: Bool [out, in], True = kept; the others get code 0.

    Returns:
        [out, in]: uint8 in [0, 2^b - 1] (affine) or int8 in [-2^(b-1), 2^(b-1) - 1] (symmetric).
    """
    groups = _grouped(weight.to(compute_dtype(weight)), grid)
    scale = grid.scale.to(groups.dtype).unsqueeze(-1)
    if grid.zero is not None:
        steps = (groups - grid.zero.to(groups.dtype).unsqueeze(-1)) / scale
    else:
        steps = groups / scale - _shift(grid)
    steps = steps.where(scale != 0, 0)  # where all levels are one, its code is 0
    lowest, highest = code_range(grid.kind, grid.bits)
    codes = steps.round().clamp(lowest, highest).reshape(weight.shape)
    if mask is not None:
        codes = codes.where(mask, 0)
    return codes.to(code_dtype(grid.kind))


def decode(codes: Tensor, grid: Grid, mask: Tensor | None = None) -> Tensor:
    """The weights that the codes stand for: affine q * scale + zero, symmetric (q + shift) * scale.

    Args:
        codes: [out, in], from `encode`.
        grid: The grid they were encoded with.
        mask: Bool [out, in], True = kept; the others are 0.

    Returns:
        [out, in] in the dtype of grid.scale; calculated in fp32 and rounded once.
    """
    wide = compute_dtype(grid.scale)
    groups = _grouped(codes.to(wide), grid)
    scale = grid.scale.to(wide).unsqueeze(-1)
    if grid.zero is not None:
        values = groups * scale + grid.zero.to(wide).unsqueeze(-1)
    else:
        values = (groups + _shift(grid)) * scale
    weight = values.reshape(codes.shape).to(grid.scale.dtype)
    return weight if mask is None else weight.where(mask, 0)


def code_range(kind: Kind, bits: int) -> tuple[int, int]:
    """Lowest and highest code."""
    return (0, 2**bits - 1) if kind == "affine" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def code_dtype(kind: Kind) -> torch.dtype:
    """In which codes are held before they are packed."""
    return torch.uint8 if kind == "affine" else torch.int8


def check_bits(bits: int) -> None:
    """Raise SettingError unless bits is a whole number from 1 to 8."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 8:
        raise SettingError(f"bits is {bits}; it must be a whole number from 1 to 8.")


def group_width(shape: tuple[int, ...], group: Group, name: str) -> int:
    """Columns that share a level set in a tensor of this shape.

    Raises:
        SettingError: group is no whole number >= 1 that divides the width; names the nearest that do.
    """
    width = shape[-1]
    if group in ("channel", "tensor"):
        return width
    if isinstance(group, bool) or not isinstance(group, int) or group < 1:
        raise SettingError(f"group is {group!r}; it must be a number of columns >= 1, channel or tensor.")
    if width % group:
        divisors = [d for d in range(1, width + 1) if width % d == 0]
        near = [max(d for d in divisors if d < group), min((d for d in divisors if d > group), default=width)]
        choices = " or ".join(str(d) for d in sorted(set(near)))
        raise SettingError(
            f"group is {group} at {name}, whose width is {width}; the group must divide the width. "
            f"Use {choices}, or channel (one scale a row: coarser)."
        )
    return group


def _grouped(tensor: Tensor, grid: Grid) -> Tensor:
    """[out, in] as [out, groups, columns], against which scale [out | 1, groups, 1] broadcasts."""
    out, width = tensor.shape
    groups = grid.scale.shape[1]
    return tensor.reshape(out, groups, width // groups)


def _shift(grid: Grid) -> float:
    """One symmetric bit has no level at 0: its two lie half a step on either side."""
    return 0.5 if grid.bits == 1 else 0.0


def _extremes(groups: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
    """Least and greatest of each group [out, groups]; 0 and 0 where nothing is kept."""
    if kept is None:
        return groups.amin(-1), groups.amax(-1)
    some = kept.any(-1)
    lowest = groups.where(kept, torch.inf).amin(-1).where(some, 0)
    return lowest, groups.where(kept, -torch.inf).amax(-1).where(some, 0)


def _symmetric_scale(groups: Tensor, kept: Tensor | None, bits: int) -> Tensor:
    """Signed distance of the levels of each group [out, groups]; see `fit`."""
    counted = groups if kept is None else groups.where(kept, 0)  # 0 is a level: it widens no range
    if bits == 1:
        count = counted.shape[-1] if kept is None else kept.sum(-1).clamp(min=1)
        return 2 * counted.abs().sum(-1) / count
    above, below = counted.amax(-1).clamp(min=0), (-counted.amin(-1)).clamp(min=0)
    half = 2 ** (bits - 1)
    size = torch.maximum(torch.maximum(above, below) / (half + 0.5), torch.minimum(above, below) / (half - 0.5))
    return size.where(below >= above, -size)


def _rounded_away(value: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest number of this dtype that is not closer to zero than `value`."""
    near = value.to(dtype)
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    # the bits of a float, read as a whole number, count its neighbours outwards from 0 on either side
    further = (near.view(bits) + 1).view(dtype)
    return further.where(near.to(value.dtype).abs() < value.abs(), near)

"""Packed: a weight with zeros, with few bits, or with both, as tensors that pay for it. Specified in docs/format.md.

A packed weight is up to five tensors, its parts: `mask` (one bit a weight, set where it survives), and the survivors in
row-major order, either as they are (`values`) or as bit-packed integers (`codes`) with `scale` and, for the affine
grid, `zero`. `pack` and `unpack` are each other's inverse, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from excise.errors import InputError
from excise.weights import bits, grids
from excise.weights.grids import Grid
from excise.weights.layout import AGAIN, GridLayout, Layout

#: Weights unpacked at once; bounds the temporaries to about 20 MiB.
_BLOCK = 1 << 20

if TYPE_CHECKING:
    from excise.weights.solve import Solution


def describe(solution: Solution, dtype: torch.dtype, *, transposed: bool = False) -> Layout:
    """The layout that `pack` will give this solution.

    Args:
        solution: A weight with a mask, a grid, or both.
        dtype: Of the weight in the model.
        transposed: The model's own weight is [in, out] (GPT-2's Conv1D).
    """
    out, width = solution.weight.shape
    kept = None if solution.mask is None else int(solution.mask.sum())
    grid = solution.grid
    described = None if grid is None else GridLayout(grid.kind, grid.bits, grid.group, grid.scale.dtype)
    return Layout((out, width), dtype, kept, described, transposed)


def pack(solution: Solution, dtype: torch.dtype) -> dict[str, Tensor]:
    """The parts of a weight.

    Args:
        solution: A weight with a mask, a grid, or both; `solution.codes` are signed for the symmetric grid.
        dtype: Of the weight in the model; `values` are cast to it.

    Returns:
        Tensors by part, as `describe(solution, dtype).parts()` promises them.

    Cost: O(out * in); about three copies of the codes in one byte each.
    """
    mask, grid = solution.mask, solution.grid
    parts: dict[str, Tensor] = {}
    if mask is not None:
        parts["mask"] = bits.pack(mask, 1)
    if grid is None:
        weight = solution.weight.to(dtype).reshape(-1)
        parts["values"] = weight.clone() if mask is None else weight[mask.reshape(-1)]
        return parts
    lowest, _ = grids.code_range(grid.kind, grid.bits)
    codes = (cast(Tensor, solution.codes).to(torch.int16) - lowest).to(torch.uint8).reshape(-1)
    parts["codes"] = bits.pack(codes if mask is None else codes[mask.reshape(-1)], grid.bits)
    parts["scale"] = grid.scale.contiguous()
    if grid.zero is not None:
        parts["zero"] = grid.zero.contiguous()
    return parts


def unpack(parts: Mapping[str, Tensor], layout: Layout) -> Tensor:
    """The weight, exactly as it was in memory when it was packed.

    Args:
        parts: Tensors by part.
        layout: As described in config.json.

    Returns:
        [out, in] in layout.dtype.

    Raises:
        InputError: The numbers contradict the layout.
    """
    check_numbers(parts, layout)
    return dense(parts, layout)


def dense(parts: Mapping[str, Tensor], layout: Layout) -> Tensor:
    """`unpack` without its checks, for parts that have passed them."""
    out, width = layout.shape
    rows = max(1, _BLOCK // width)
    if rows >= out:
        return _unpack_rows(parts, layout, 0, out, 0)[0]
    weight = torch.empty(layout.shape, dtype=layout.dtype, device=next(iter(parts.values())).device)
    before = 0
    for first in range(0, out, rows):
        stop = min(first + rows, out)
        weight[first:stop], kept = _unpack_rows(parts, layout, first, stop, before)
        before += kept
    return weight


def check_numbers(parts: Mapping[str, Tensor], layout: Layout) -> None:
    """Refuse parts that would unpack to something else than was packed, as far as that can be seen.

    Raises:
        InputError: The mask keeps another number than described, or a stored float is NaN or infinite.
    """
    if layout.kept is not None:
        found = _ones(parts["mask"])
        if found != layout.kept:
            raise InputError(f"the mask keeps {found} weights; config.json describes {layout.kept}. {AGAIN}")
    for part in {"values", "scale", "zero"} & parts.keys():
        if not bool(torch.isfinite(parts[part]).all()):
            raise InputError(f"{part} holds NaN or infinite values. {AGAIN}")


def _unpack_rows(parts: Mapping[str, Tensor], layout: Layout, first: int, stop: int, before: int) -> tuple[Tensor, int]:
    """Rows of the matrix in layout.dtype, and how many survivors they hold; `before`: survivors in earlier rows."""
    rows, width, mask = stop - first, layout.shape[1], None
    start, count = first * width, rows * width
    if layout.kept is not None:
        mask = bits.unpack(parts["mask"], 1, count, start).view(torch.bool)
        start, count = before, int(mask.sum())
    if layout.grid is None:
        stored = parts["values"][start : start + count]
        return (stored if mask is None else _spread(stored, mask)).reshape(rows, width), count
    codes = bits.unpack(parts["codes"], layout.grid.bits, count, start)
    if mask is not None:
        codes, mask = _spread(codes, mask), mask.reshape(rows, width)
    lowest, _ = grids.code_range(layout.grid.kind, layout.grid.bits)
    signed = codes.reshape(rows, width).to(torch.int16) + lowest
    return grids.decode(signed, _grid_of(parts, layout.grid, first, stop), mask).to(layout.dtype), count


def _grid_of(parts: Mapping[str, Tensor], described: GridLayout, first: int, stop: int) -> Grid:
    """The grid of some rows."""
    rows = slice(None) if described.group == "tensor" else slice(first, stop)
    zero = parts["zero"][rows] if "zero" in parts else None
    return Grid(described.kind, described.bits, described.group, parts["scale"][rows], zero)


def _spread(stored: Tensor, mask: Tensor) -> Tensor:
    """Survivors at their places, 0 elsewhere: each place looks its survivor up, by the survivors counted so far.

    Three times as fast as `masked_scatter_` on a processor, which matters as it is done at every call of a layer.
    """
    place = torch.cumsum(mask, 0, dtype=torch.int32)
    return torch.cat([stored.new_zeros(1), stored]).index_select(0, place.mul_(mask))


def _ones(stream: Tensor) -> int:
    """Bits set in a stream; those that fill its last byte are 0."""
    counts = torch.bincount(stream.int(), minlength=256)
    ones = torch.tensor([byte.bit_count() for byte in range(256)], device=stream.device)
    return int((counts * ones).sum())

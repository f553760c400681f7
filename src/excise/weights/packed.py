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
    grid = None if solution.grid is None else _describe_grid(solution.grid, out)
    return Layout((out, width), dtype, kept, grid, transposed)


def _describe_grid(grid: Grid, out: int) -> GridLayout:
    for_all = grid.scale.shape[0] == 1 and out > 1
    return GridLayout(grid.kind, grid.bits, "tensor" if for_all else grid.group, grid.scale.dtype)


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
    return unpack_rows(parts, layout, 0, layout.shape[0], 0)


def check_numbers(parts: Mapping[str, Tensor], layout: Layout) -> None:
    """Refuse parts that would unpack to something else than was packed, as far as that can be seen.

    Raises:
        InputError: The mask keeps another number than described, or a stored float is NaN or infinite.
    """
    if layout.kept is not None:
        found = int(kept_in_rows(parts["mask"], layout).sum())
        if found != layout.kept:
            raise InputError(f"the mask keeps {found} weights; config.json describes {layout.kept}. {AGAIN}")
    for part in {"values", "scale", "zero"} & parts.keys():
        if not bool(torch.isfinite(parts[part]).all()):
            raise InputError(f"{part} holds NaN or infinite values. {AGAIN}")


def unpack_rows(parts: Mapping[str, Tensor], layout: Layout, first: int, stop: int, before: int) -> Tensor:
    """Rows `first` to `stop` of the matrix, without touching the others.

    Args:
        parts: Tensors by part.
        layout: Their layout.
        first: First row.
        stop: One past the last.
        before: Survivors in the rows before `first`; 0 without a mask.

    Returns:
        [stop - first, in] in layout.dtype.
    """
    rows, columns, mask = stop - first, layout.shape[1], None
    start, count = first * columns, rows * columns
    if layout.kept is not None:
        mask = bits.unpack(parts["mask"], 1, count, start).bool()
        start, count = before, int(mask.sum())
    if layout.grid is None:
        stored = parts["values"][start : start + count]
        return (stored if mask is None else _spread(stored, mask)).reshape(rows, columns)
    codes = bits.unpack(parts["codes"], layout.grid.bits, count, start)
    if mask is not None:
        codes, mask = _spread(codes, mask), mask.reshape(rows, columns)
    lowest, _ = grids.code_range(layout.grid.kind, layout.grid.bits)
    signed = codes.reshape(rows, columns).to(torch.int16) + lowest
    return grids.decode(signed, grid_of(parts, layout, first, stop), mask).to(layout.dtype)


def grid_of(parts: Mapping[str, Tensor], layout: Layout, first: int, stop: int) -> Grid:
    """The grid of some rows."""
    described = cast(GridLayout, layout.grid)
    rows = slice(None) if described.group == "tensor" else slice(first, stop)
    group = layout.shape[1] if described.group == "tensor" else described.group
    zero = parts["zero"][rows] if "zero" in parts else None
    return Grid(described.kind, described.bits, group, parts["scale"][rows], zero)


def kept_in_rows(mask: Tensor, layout: Layout) -> Tensor:
    """Survivors of each row, int64 [rows]; a tensor as large as the matrix in bytes, for a moment."""
    out, width = layout.shape
    return bits.unpack(mask, 1, out * width).reshape(out, width).sum(dim=1, dtype=torch.int64)


def _spread(stored: Tensor, mask: Tensor) -> Tensor:
    return torch.zeros(mask.shape, dtype=stored.dtype, device=stored.device).masked_scatter_(mask, stored)

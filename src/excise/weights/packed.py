"""Packed: a weight with zeros, with few bits, or with both, as tensors that pay for it. Specified in docs/format.md.

A packed weight is up to five tensors, its parts: `mask` (one bit a weight, set where it survives), and the survivors in
row-major order, either as they are (`values`) or as bit-packed integers (`codes`) with `scale` and, for the affine
grid, `zero`. `pack` and `unpack` are each other's inverse, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


def dense(parts: Mapping[str, Tensor], layout: Layout, codes: Tensor | None = None) -> Tensor:
    """`unpack` without its checks, for parts that have passed them.

    Args:
        parts: Tensors by part.
        layout: Their layout.
        codes: As from `all_codes`, where they are at hand and `parts` lacks them.

    Cost: O(out * in); a second copy of the weight where it has several blocks, and some 20 MiB.
    """
    return _joined([_dense_rows(parts, layout, block, codes) for block in _blocks(parts, layout)])


def all_codes(parts: Mapping[str, Tensor], layout: Layout) -> Tensor:
    """The stored codes as a matrix, uint8 [out, in]; where a weight of a symmetric grid was removed, that of 0."""
    lowest, _ = grids.code_range(cast(GridLayout, layout.grid).kind, cast(GridLayout, layout.grid).bits)
    blocks = ((block, _codes_of(parts, layout, block)) for block in _blocks(parts, layout))
    return _joined([c if b.mask is None else c.masked_fill_(~b.mask, -lowest) for b, c in blocks])


def stored_codes(codes: Tensor, parts: Mapping[str, Tensor], layout: Layout) -> Tensor:
    """The inverse of `all_codes`: the part `codes`."""
    kept = [codes[b.rows] if b.mask is None else codes[b.rows][b.mask] for b in _blocks(parts, layout)]
    return bits.pack(torch.cat([piece.reshape(-1) for piece in kept]), cast(GridLayout, layout.grid).bits)


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


@dataclass(frozen=True)
class _Block:
    """Some rows of the matrix: which, which of their weights survive (None: all), and where the survivors lie."""

    rows: slice
    mask: Tensor | None
    start: int
    count: int


def _blocks(parts: Mapping[str, Tensor], layout: Layout) -> Iterator[_Block]:
    out, width = layout.shape
    at_once, start = max(1, _BLOCK // width), 0
    for first in range(0, out, at_once):
        rows = slice(first, min(first + at_once, out))
        shape = (rows.stop - first, width)
        mask, count = None, shape[0] * width
        if layout.kept is not None:
            mask = bits.unpack(parts["mask"], 1, count, first * width).view(torch.bool).reshape(shape)
            count = layout.kept if shape[0] == out else int(mask.sum())
        yield _Block(rows, mask, start, count)
        start += count


def _dense_rows(parts: Mapping[str, Tensor], layout: Layout, block: _Block, codes: Tensor | None) -> Tensor:
    described = layout.grid
    if described is None:
        return _spread(parts["values"][block.start : block.start + block.count], block, layout)
    codes = _codes_of(parts, layout, block) if codes is None else codes[block.rows]
    rows = slice(None) if described.group == "tensor" else block.rows
    zero = parts["zero"][rows] if "zero" in parts else None
    grid = Grid(described.kind, described.bits, described.group, parts["scale"][rows], zero)
    lowest, _ = grids.code_range(described.kind, described.bits)
    weight = grids.decode(codes.to(torch.int16) + lowest, grid).to(layout.dtype)
    if block.mask is not None:  # on the bits, as whole numbers: +0, and forty times as fast as `where` is on bfloat16
        weight.view({2: torch.int16, 4: torch.int32}[weight.itemsize]).mul_(block.mask)
    return weight


def _codes_of(parts: Mapping[str, Tensor], layout: Layout, block: _Block) -> Tensor:
    width = cast(GridLayout, layout.grid).bits
    return _spread(bits.unpack(parts["codes"], width, block.count, block.start), block, layout)


def _joined(pieces: list[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _spread(stored: Tensor, block: _Block, layout: Layout) -> Tensor:
    """Survivors at their places, 0 elsewhere: each place looks its survivor up, by the survivors counted so far.

    Three times as fast as `masked_scatter_` on a processor, which matters as it is done at every call of a layer.
    """
    if block.mask is None:
        return stored.reshape(-1, layout.shape[1])
    flat = block.mask.reshape(-1)
    place = torch.cumsum(flat, 0, dtype=torch.int32).mul_(flat)
    return torch.cat([stored.new_zeros(1), stored]).index_select(0, place).reshape(block.mask.shape)


def _ones(stream: Tensor) -> int:
    """Bits set in a stream; those that fill its last byte are 0."""
    counts = torch.bincount(stream.int(), minlength=256)
    ones = torch.tensor([byte.bit_count() for byte in range(256)], device=stream.device)
    return int((counts * ones).sum())

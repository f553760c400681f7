"""int4: a few rows times a 4-bit matrix by torch's own processor kernel, which never unpacks the matrix.

Reading 4 bits instead of 16 makes decoding faster than the dense model wherever memory is what it waits for; from some
16 rows on a dense product is faster. The kernel wants the codes in an order of its own. `arrange` puts them there in
place of the plain ones, and `restore` takes them back; `levels` stand in for the scales likewise. Without a mask the
codes keep their size. With one they grow to all places, and the mask stays, as a kept weight may have the code of 0
too: a matrix half pruned, with 4 bits and groups of 128, takes 0.328 of its bf16 bytes in memory and 0.195 on disk.

Source: torch, aten/src/ATen/native/cpu/int4mm_kernel.cpp (read for the order; verified here at run time).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from excise.weights.layout import Layout

#: Most rows for which the kernel is used: measured, at 8 it is as fast as a dense product, and at 16 it has lost.
MOST_ROWS = 8
_GROUPS = (32, 64, 128, 256)  # the kernel raises for others
_ZERO = 8  # w = (code - 8) * scale + zero


def fits(layout: Layout) -> bool:
    """Whether the kernel can take this weight and computes what it should on this machine.

    A mask is no hindrance to a symmetric grid: 0 is one of its levels.
    """
    grid = layout.grid
    if (
        grid is None
        or grid.bits != 4
        or grid.group not in _GROUPS
        or (layout.kept is not None and grid.kind != "symmetric")
    ):
        return False
    out, width = layout.shape
    if out % 64 or {layout.dtype, grid.dtype} != {torch.bfloat16}:
        return False
    return _works(out, width, grid.group)


def arrange(codes: Tensor) -> Tensor:
    """Codes uint8 [out, in], 0 to 15, as the kernel wants them: uint8 [out, in / 2].

    Rows come in blocks of B; in a block, byte (k, j) holds row j in its low half and row j + B/2 in its high half, both
    of column k.
    """
    half = _block() // 2
    blocks = codes.reshape(-1, 2, half, codes.shape[1])
    return (blocks[:, 0] | (blocks[:, 1] << 4)).transpose(1, 2).contiguous().reshape(codes.shape[0], -1)


def restore(arranged: Tensor) -> Tensor:
    """The inverse of `arrange`."""
    half = _block() // 2
    out, width = arranged.shape[0], arranged.shape[1] * 2
    pairs = arranged.reshape(-1, width, half).transpose(1, 2)
    return torch.stack([pairs & 15, pairs >> 4], dim=1).reshape(out, width)


def levels(scale: Tensor, zero: Tensor | None) -> Tensor:
    """Scale and zero [out, groups] as the kernel wants them: [groups, out, 2], for codes that start at -8."""
    offset = torch.zeros_like(scale) if zero is None else (zero.float() + _ZERO * scale.float()).to(scale.dtype)
    return torch.stack([scale, offset], dim=-1).transpose(0, 1).contiguous()


def scale(level: Tensor) -> Tensor:
    """The scale [out, groups] that `levels` were made of."""
    return level[..., 0].t().contiguous()


def multiply(x: Tensor, arranged: Tensor, group: int, level: Tensor) -> Tensor:
    """Rows x times W': bf16 [rows, in] to bf16 [rows, out], what F.linear gives to the rounding of bf16."""
    kernel: Any = torch.ops.aten._weight_int4pack_mm_for_cpu
    result: Tensor = kernel(x.contiguous(), arranged, group, level)
    return result


@cache
def _block() -> int:
    """Rows in a block, which depends on the processor's vector width; 0 where the order is none we know."""
    codes = torch.randint(0, 16, (64, 32), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    try:
        expected = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
    except (AttributeError, RuntimeError, NotImplementedError):
        return 0
    for size in (64, 32):
        blocks = codes.to(torch.uint8).reshape(-1, 2, size // 2, 32)
        ours = (blocks[:, 0] | (blocks[:, 1] << 4)).transpose(1, 2)
        if expected.dtype == torch.uint8 and torch.equal(ours.reshape(-1), expected.reshape(-1)):
            return size
    return 0


@cache
def _works(out: int, width: int, group: int) -> bool:
    """Try the kernel on random codes of this very shape: private functions of torch change without notice."""
    if _block() == 0:
        return False
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (out, width), generator=generator, dtype=torch.uint8)
    scale, zero = (torch.rand(out, width // group, generator=generator).to(torch.bfloat16) for _ in range(2))
    grouped = (codes.float() - _ZERO).reshape(out, -1, group) * scale.float().unsqueeze(-1)
    weight = (grouped + zero.float().unsqueeze(-1)).reshape(out, width)
    level = torch.stack([scale, zero], dim=-1).transpose(0, 1).contiguous()
    for rows in (1, MOST_ROWS):
        x = torch.randn(rows, width, generator=generator).to(torch.bfloat16)
        expected = functional.linear(x.float(), weight)
        try:
            found = multiply(x, arrange(codes), group, level).float()
        except (AttributeError, RuntimeError, NotImplementedError):
            return False
        if not float((found - expected).norm()) <= 1e-2 * float(expected.norm()):
            return False
    return bool(torch.equal(restore(arrange(codes)), codes))

"""NaN and Inf are caught where they come in, with the name of the tensor that brought them."""

from __future__ import annotations

import torch
from torch import Tensor

from excise.errors import NumericsError


def require_finite(tensor: Tensor, name: str) -> None:
    """Do nothing, or say how many entries are NaN or Inf and where the first is.

    Args:
        tensor: Any shape and dtype.
        name: As the user knows it, e.g. 'model.layers.0.mlp.up_proj.weight'.

    Raises:
        NumericsError: An entry is NaN or Inf.
    """
    wrong = ~torch.isfinite(tensor)
    count = int(wrong.sum())
    if count:
        first = wrong.nonzero()[0].tolist()
        raise NumericsError(
            f"{name} is {tensor[tuple(first)].item()} at {first} ({count} of {tensor.numel()} entries are "
            "NaN or Inf); every entry must be finite. Repair or re-download the checkpoint."
        )


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """The dtype to calculate in: fp32, or wider where the tensor is; 16-bit values are exact in it."""
    return torch.promote_types(tensor.dtype, torch.float32)

"""Which weights stay: masks of an exact count under a pattern. True = keep.

Order is by importance, high first, and stable: of two equal weights the one with the lower index stays. The number
removed is `removed_count`, never what a threshold happens to hit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from excise.errors import SettingError
from excise.weights.numerics import require_finite


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern name.

    Attributes:
        scope: Inside which set the least important are removed: 'row' (an output's inputs), 'layer' (a tensor),
            'global' (all tensors) or 'n:m' (each m neighbours along the input dimension).
        kept: n of n:m, else 0.
        of: m of n:m, else 0.
    """

    scope: Literal["row", "layer", "global", "n:m"]
    kept: int = 0
    of: int = 0

    @property
    def fixed_sparsity(self) -> float | None:
        """Fraction removed where the pattern alone decides it (n:m), in [0, 1]; else None."""
        return 1 - self.kept / self.of if self.of else None


def parse(name: str) -> Pattern:
    """'row', 'layer', 'global', or 'N:M' such as '2:4' (2 kept of each 4).

    Raises:
        SettingError: Another name, or not 1 <= N < M.
    """
    match name:
        case "row" | "layer" | "global":
            return Pattern(name)
    numbers = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4})", name)
    if numbers is None:
        raise SettingError(f"pattern is {name!r}; it must be row, layer, global or N:M such as 2:4.")
    kept, of = int(numbers[1]), int(numbers[2])
    if not 1 <= kept < of:
        raise SettingError(f"pattern is {name!r}; N:M keeps N of each M neighbours, so 1 <= N < M. Try 2:4.")
    return Pattern("n:m", kept, of)


def check_sparsity(sparsity: float) -> None:
    """Raise SettingError unless sparsity is a fraction in [0, 1]."""
    if not 0 <= sparsity <= 1:  # false for NaN too
        hint = f" {sparsity} % is {sparsity / 100:g}." if 1 < sparsity <= 100 else ""
        raise SettingError(f"sparsity is {sparsity}; it is the fraction to remove, from 0 to 1.{hint}")


def removed_count(count: int, sparsity: float) -> int:
    """How many of `count` weights go: round(sparsity * count), ties to even."""
    check_sparsity(sparsity)
    return round(sparsity * count)


def free(
    importance: Tensor,
    sparsity: float,
    scope: Literal["row", "layer"],
    name: str = "importance",
    *,
    first: int = 0,
) -> Tensor:
    """Remove the least important of each row, or of the whole layer.

    Args:
        importance: [out, in], high = keep.
        sparsity: Fraction removed, in [0, 1].
        scope: 'row': exactly `removed_count(in)` of each row; 'layer': exactly `removed_count(out*in)` in all.
        name: For the error.
        first: Column of a wider layer at which these columns begin: the counts of consecutive pieces add up to the
            whole layer's.

    Returns:
        Bool [out, in], True = keep.

    Raises:
        SettingError: sparsity is outside [0, 1].
        NumericsError: importance holds NaN or Inf.

    Cost: a sort; 12 bytes a weight of temporaries.
    """
    sets = importance if scope == "row" else importance.reshape(1, -1)
    size = sets.shape[-1]
    before = first * (size // importance.shape[-1])
    kept = size - (removed_count(before + size, sparsity) - removed_count(before, sparsity))
    return _keep_first(sets, kept, name).reshape(importance.shape)


def global_masks(importances: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Remove the least important of all tensors together.

    Args:
        importances: By tensor name, each [out, in], high = keep. Among equals the earlier tensor's stay.
        sparsity: Fraction removed of all weights together, in [0, 1]; exactly `removed_count(their number)` go.

    Returns:
        Bool masks by the same names, True = keep.

    Raises:
        SettingError: sparsity is outside [0, 1].
        NumericsError: An importance holds NaN or Inf; names the tensor.

    Cost: one sort of everything. All importances are held at once, 4 bytes a weight, and about 12 more while
        sorting: fine up to some hundred million weights, not for a model that does not fit in memory.
    """
    check_sparsity(sparsity)
    if not importances:
        return {}
    for name, importance in importances.items():
        require_finite(importance, name)
    everything = torch.cat([importance.reshape(-1) for importance in importances.values()])
    kept = everything.numel() - removed_count(everything.numel(), sparsity)
    mask = _keep_first(everything.reshape(1, -1), kept, "importance").reshape(-1)
    pieces = mask.split([importance.numel() for importance in importances.values()])
    return {
        name: piece.reshape(importance.shape)
        for (name, importance), piece in zip(importances.items(), pieces, strict=True)
    }


def n_of_m(importance: Tensor, kept: int, of: int, name: str = "importance") -> Tensor:
    """Keep exactly the `kept` most important of each `of` neighbours along the input dimension.

    Args:
        importance: [out, in], high = keep; `of` must divide in.
        kept: 0 <= kept <= of.
        of: Neighbours in a set, >= 1.
        name: For the error: the tensor's.

    Returns:
        Bool [out, in], True = keep.

    Raises:
        SettingError: `of` does not divide the width, or kept is not in [0, of].
        NumericsError: importance holds NaN or Inf.

    Source: Mishra et al., Accelerating sparse deep neural networks, 2021 (2:4).
    """
    check_width(importance.shape[-1], kept, of, name)
    return _keep_first(importance.reshape(-1, of), kept, name).reshape(importance.shape)


def check_width(width: int, kept: int, of: int, name: str) -> None:
    """Raise SettingError, naming the tensor, unless kept:of is a pattern that fits this width."""
    if not (of >= 1 and 0 <= kept <= of):
        raise SettingError(
            f"pattern is {kept}:{of}; N:M keeps N of each M neighbours, so 0 <= N <= M and M >= 1. Try 2:4."
        )
    if width % of:
        raise SettingError(
            f"pattern is {kept}:{of} at {name}, whose width is {width}; {of} must divide the width. "
            "Use an M that does, or the pattern row."
        )


def _keep_first(sets: Tensor, kept: int, name: str) -> Tensor:
    """Of each row of `sets` [n, size], the `kept` most important; bool [n, size]."""
    require_finite(sets, name)
    # + 0.0 makes -0.0 (a signed importance) equal to 0.0 for sorts that compare bits
    order = torch.argsort(sets + 0.0, dim=-1, descending=True, stable=True)
    mask = torch.zeros(sets.shape, dtype=torch.bool, device=sets.device)
    return mask.scatter_(-1, order[:, :kept], True)

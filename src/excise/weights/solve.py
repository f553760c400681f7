"""One layer's problem: W' on a pattern and a grid, close to W on the layer's inputs.

A choice of four parts: importance x pattern x grid x solver (`Plan`). `solve` puts the first three together and hands
them to the solver, a function in `SOLVERS`; callers see only `Plan`, `solve` and `Solution`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from excise.errors import SettingError
from excise.weights import grids, importance, obs, patterns
from excise.weights.grids import Grid
from excise.weights.numerics import compute_dtype, require_finite


@dataclass(frozen=True)
class Plan:
    """What is to be done to every layer; checked when it is made.

    Attributes:
        sparsity: Fraction removed, in [0, 1]; 0 removes nothing. N:M patterns imply theirs: leave 0, or give the same.
        pattern: row, layer, global or N:M.
        importance: magnitude; taylor, which needs gradients; or obs, w^2 / [H^-1]_jj of what the weights have become
            when the solver obs comes to them.
        signed: The article's taylor to the letter, with its sign.
        bits: In [1, 8]; None = not quantized.
        grid: symmetric or affine.
        group: Columns that share a scale, 'channel' or 'tensor'.
        solver: A name in SOLVERS.

    Raises:
        SettingError: A value is out of its range, or two contradict each other.
    """

    sparsity: float = 0.0
    pattern: str = "row"
    importance: Literal["magnitude", "taylor", "obs"] = "magnitude"
    signed: bool = False
    bits: int | None = None
    grid: grids.Kind = "symmetric"
    group: grids.Group = 128
    solver: str = "round"

    def __post_init__(self) -> None:
        patterns.check_sparsity(self.sparsity)
        fixed = patterns.parse(self.pattern).fixed_sparsity
        if fixed is not None and self.sparsity not in (0, fixed):
            raise SettingError(
                f"sparsity is {self.sparsity} beside pattern {self.pattern}, which removes {fixed:g}. "
                "Leave sparsity out, or use the pattern row."
            )
        if self.bits is not None:
            grids.check_bits(self.bits)
        for name, allowed in (
            ("importance", ("magnitude", "taylor", "obs")),
            ("grid", ("symmetric", "affine")),
            ("solver", tuple(SOLVERS)),
        ):
            if getattr(self, name) not in allowed:
                raise SettingError(f"{name} is {getattr(self, name)!r}; it must be {' or '.join(allowed)}.")
        if self.importance == "obs" and (self.solver != "obs" or self.pattern == "global"):
            raise SettingError(
                f"importance is obs beside solver {self.solver} and pattern {self.pattern}; it is found in the sweep "
                "of the solver obs, one layer after the other. Use that solver, and the pattern row, layer or N:M."
            )
        if self.signed and self.importance != "taylor":
            raise SettingError(f"signed is set beside importance {self.importance}; only taylor has a sign.")

    @property
    def removed_fraction(self) -> float:
        """Sparsity in [0, 1], the pattern's own where it has one."""
        fixed = patterns.parse(self.pattern).fixed_sparsity
        return self.sparsity if fixed is None else fixed

    @property
    def needs_inputs(self) -> bool:
        """Whether the solver must see a layer's inputs before it begins."""
        return self.solver != "round"

    def check_shape(self, shape: tuple[int, ...], name: str) -> None:
        """Raise SettingError, naming the tensor, unless a weight of this shape [out, in] can be solved."""
        if self.bits is not None:
            grids.group_width(shape, self.group, name)
        pattern = patterns.parse(self.pattern)
        if pattern.of:
            patterns.check_width(shape[-1], pattern.kept, pattern.of, name)


@dataclass(frozen=True)
class Solution:
    """A solved layer.

    Attributes:
        weight: [out, in] in the dtype of the original; what runs and what is stored, bit for bit:
            `grids.decode(codes, grid, mask)` where there is a grid. 0 where the mask is False.
        mask: Bool [out, in], True = kept; None = nothing was to be removed.
        grid: Its levels; None = not quantized.
        codes: [out, in], uint8 (affine) or int8 (symmetric), 0 where the mask is False; None without a grid.
        relative_weight_error: ||W'-W||^2 / ||W||^2, >= 0; low = close.
        relative_output_error: ||(W'-W)X||^2 / ||WX||^2, >= 0, low = close; None where no inputs were seen.
    """

    weight: Tensor
    mask: Tensor | None
    grid: Grid | None
    codes: Tensor | None
    relative_weight_error: float
    relative_output_error: float | None


def solve(
    weight: Tensor,
    plan: Plan,
    *,
    gradient: Tensor | None = None,
    gram: Tensor | None = None,
    mask: Tensor | None = None,
    name: str = "weight",
) -> Solution:
    """Solve one layer by the plan.

    Args:
        weight: [out, in], fp32, bf16 or fp16; unchanged.
        plan: The four parts.
        gradient: dL/dw [out, in], mean over tokens; needed by taylor.
        gram: H = X'X/n [in, in] of the layer's inputs (`calibrate.Gram`), for the error and for solvers that use it.
        mask: Bool [out, in], True = keep, decided already; needed by the pattern global (`patterns.global_masks` over
            `importance_of` every weight).
        name: The tensor's, for errors.

    Raises:
        SettingError: The plan does not fit this weight, or needs what was not given.
        NumericsError: The weight, the gradient or the Gram matrix holds NaN or Inf; names the tensor.
    """
    require_finite(weight, name)
    if gram is not None:
        require_finite(gram, f"{name} (Gram matrix of its inputs)")
    if mask is None and plan.importance != "obs":
        mask = _mask_of(weight, plan, gradient, name)
    weight_after, mask, grid, codes = SOLVERS[plan.solver](weight, mask, plan, gram, name)
    return Solution(
        weight=weight_after,
        mask=mask,
        grid=grid,
        codes=codes,
        relative_weight_error=relative_weight_error(weight, weight_after),
        relative_output_error=None if gram is None else relative_output_error(weight, weight_after, gram),
    )


def importance_of(weight: Tensor, plan: Plan, gradient: Tensor | None = None, name: str = "weight") -> Tensor:
    """The plan's importance of each weight: [out, in], at least fp32, high = keep.

    Raises:
        SettingError: The plan needs a gradient and there is none.
    """
    if plan.importance == "magnitude":
        return importance.magnitude(weight)
    if gradient is None:
        raise SettingError(
            f"importance is taylor at {name}, for which there is no gradient. Give calibration data, or use magnitude."
        )
    require_finite(gradient, f"{name} (gradient)")
    return importance.taylor(weight, gradient, signed=plan.signed)


def relative_output_error(before: Tensor, after: Tensor, gram: Tensor) -> float:
    """||(W'-W)X||^2 / ||WX||^2 = tr(D H D') / tr(W H W'), D = W'-W.

    Args:
        before: W [out, in].
        after: W' [out, in].
        gram: H = X'X/n [in, in].

    Returns:
        >= 0; 0 = the outputs are the same, 1 = as wrong as a layer of zeros. Inf where outputs were 0 and are not now.

    Cost: two products [out, in] x [in, in].
    """
    wide = compute_dtype(before)
    before, gram = before.to(wide), gram.to(wide)
    difference = after.to(wide) - before
    return _ratio(_energy(difference, gram), _energy(before, gram))


def relative_weight_error(before: Tensor, after: Tensor) -> float:
    """||W'-W||^2 / ||W||^2: the output error for inputs that are white noise, where no inputs were seen.

    Args:
        before: W [out, in].
        after: W' [out, in].

    Returns:
        >= 0; 0 = the same. Inf where all weights were 0 and are not now.
    """
    wide = before.to(torch.float64)
    return _ratio(float((after.to(torch.float64) - wide).square().sum()), float(wide.square().sum()))


def _mask_of(weight: Tensor, plan: Plan, gradient: Tensor | None, name: str) -> Tensor | None:
    """The mask that importance and pattern decide before the solver; None where nothing is to be removed."""
    if plan.removed_fraction == 0:
        return None
    pattern = patterns.parse(plan.pattern)
    if pattern.scope == "global":
        raise SettingError(
            f"pattern is global at {name}; its masks are decided over all tensors at once. Give this tensor's mask."
        )
    kept_first = importance_of(weight, plan, gradient, name)
    if pattern.scope == "n:m":
        return patterns.n_of_m(kept_first, pattern.kept, pattern.of, name)
    return patterns.free(kept_first, plan.sparsity, pattern.scope, name)


#: Weight, mask, grid and codes as in `Solution`.
Solved = tuple[Tensor, Tensor | None, Grid | None, Tensor | None]
Solver = Callable[[Tensor, Tensor | None, Plan, Tensor | None, str], Solved]


def _round(weight: Tensor, mask: Tensor | None, plan: Plan, gram: Tensor | None, name: str) -> Solved:
    """Zero what the mask removes and round the rest to the nearest level. Looks at no inputs."""
    if plan.bits is None:
        return weight.clone() if mask is None else weight.where(mask, 0), mask, None, None
    grid = grids.fit(weight, plan.grid, plan.bits, plan.group, mask=mask, name=name)
    codes = grids.encode(weight, grid, mask)
    return grids.decode(codes, grid, mask), mask, grid, codes


def _obs(weight: Tensor, mask: Tensor | None, plan: Plan, gram: Tensor | None, name: str) -> Solved:
    """Prune and round column by column; the columns to come make up for the error in the outputs."""
    if gram is None:
        raise SettingError(
            f"solver is obs at {name}, none of whose inputs were seen. Give calibration data, or use the solver round."
        )
    pattern = patterns.parse(plan.pattern)
    choose: Callable[[Tensor, int], Tensor] | None = None
    if mask is None and plan.removed_fraction > 0:
        if pattern.scope in ("row", "layer"):
            choose = partial(_choose_free, plan=plan, name=name)
        else:
            choose = partial(_choose_n_of_m, pattern=pattern, name=name)
    swept = obs.sweep(
        weight,
        gram,
        mask=mask,
        choose=choose,
        levels=None if plan.bits is None else obs.Levels(plan.grid, plan.bits, plan.group),
        align=pattern.of or 1,
        name=name,
    )
    return swept.weight, swept.mask, swept.grid, swept.codes


def _choose_free(importance: Tensor, first: int, *, plan: Plan, name: str) -> Tensor:
    scope: Literal["row", "layer"] = "row" if plan.pattern == "row" else "layer"
    return patterns.free(importance, plan.sparsity, scope, name, first=first)


def _choose_n_of_m(importance: Tensor, first: int, *, pattern: patterns.Pattern, name: str) -> Tensor:
    return patterns.n_of_m(importance, pattern.kept, pattern.of, name)


#: (weight, mask, plan, gram, name) -> what is in `Solved`.
SOLVERS: dict[str, Solver] = {"round": _round, "obs": _obs}


def _energy(rows: Tensor, gram: Tensor) -> float:
    """tr(R H R'), summed in fp64; rounding may leave a hair below 0 where it is 0."""
    return max(0.0, float(((rows @ gram) * rows).sum(dtype=torch.float64)))


def _ratio(error: float, whole: float) -> float:
    if whole > 0:
        return error / whole
    return 0.0 if error == 0 else float("inf")

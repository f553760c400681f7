"""stream: compress a model block by block, with one block in memory at a time.

A block gets the hidden states that the compressed blocks before it give, so errors are measured on the inputs that the
matrices will really see. Its weights are solved first and then it is run once: rounding looks at no inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from excise.journal import Progress, silent
from excise.model import Block, MatrixView, Model
from excise.weights import calibrate, patterns, solve
from excise.weights.solve import Plan, Solution


@dataclass(frozen=True)
class Given:
    """What passes over the whole model found beforehand, by tensor name.

    Attributes:
        gradients: dL/dw [out, in], for importance taylor.
        masks: Bool [out, in], True = keep, for pattern global.
    """

    gradients: Mapping[str, Tensor] = field(default_factory=dict)
    masks: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Compressed:
    """A finished block.

    Attributes:
        name: The block's.
        solutions: Each matrix with its new weight, which the block holds already.
        hidden: What the compressed block gives, batch by batch: the next block's input.
    """

    name: str
    solutions: tuple[tuple[MatrixView, Solution], ...]
    hidden: list[Tensor]


def compress(
    model: Model,
    plan: Plan,
    hidden: Sequence[Tensor],
    *,
    given: Given | None = None,
    first: int = 0,
    measure: bool = True,
    progress: Progress = silent,
) -> Iterator[Compressed]:
    """Compress the blocks in order; each is changed in place and yielded while it is still in memory.

    Args:
        model: Its blocks' matrices are set.
        plan: What to do.
        hidden: Inputs of block `first`, batch by batch: `model.embed(tokens)`, or what an earlier run saved.
        given: Gradients and global masks, where the plan needs them.
        first: Block to begin with.
        measure: Whether output errors are measured on `hidden`.
        progress: Told after each matrix.

    Yields:
        One finished block at a time.

    Raises:
        SettingError: The plan does not fit a matrix, or needs what was not given.
        NumericsError: A weight or an input is NaN or infinite; names the tensor.
    """
    given = given or Given()
    batches = list(hidden)
    places = {view.name: place for place, view in enumerate(model.matrices(), 1)}
    for block in model.blocks(first):
        before = [view.get().clone() for view in block.matrices]
        solutions = []
        for view, weight in zip(block.matrices, before, strict=True):
            solutions.append(
                solve.solve(
                    weight,
                    plan,
                    gradient=given.gradients.get(view.name),
                    mask=given.masks.get(view.name),
                    name=view.name,
                )
            )
            view.set_(solutions[-1].weight)
            progress("compressing", places[view.name], len(places))
        batches, grams = run(block, batches, measure=measure)
        measured = (
            replace(s, relative_output_error=solve.relative_output_error(w, s.weight, grams[v.name]))
            if v.name in grams
            else s
            for v, w, s in zip(block.matrices, before, solutions, strict=True)
        )
        yield Compressed(block.name, tuple(zip(block.matrices, measured, strict=True)), batches)


def global_masks(model: Model, plan: Plan, given: Given) -> dict[str, Tensor]:
    """The masks of pattern global: one pass over all blocks, with every importance in memory at once.

    Returns:
        Bool [out, in] by tensor name, True = keep.
    """
    importances = {
        view.name: solve.importance_of(view.get(), plan, given.gradients.get(view.name), view.name)
        for block in model.blocks()
        for view in block.matrices
    }
    return patterns.global_masks(importances, plan.sparsity)


def run(block: Block, batches: Sequence[Tensor], *, measure: bool) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Run a block on all batches.

    Args:
        block: In memory.
        batches: Its inputs.
        measure: Whether to collect Gram matrices.

    Returns:
        Its outputs, and H = X'X/n of the inputs of each matrix that was called, by name. Matrices that were handed the
        same tensor (q, k, v; gate, up) share one: who shares is seen, not known from names.
    """
    grams: dict[str, calibrate.Gram] = {}
    leaders: dict[str, str] = {}
    handed: list[tuple[Tensor, str]] = []  # in the current batch

    def watch(view: MatrixView) -> RemovableHandle:
        def see(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            inputs = args[0]
            leader = next((name for tensor, name in handed if tensor is inputs), None)
            if leader is None:
                leader = view.name
                handed.append((inputs, leader))
                grams.setdefault(leader, calibrate.Gram(view.shape[1], view.name)).add_(view.as_rows(inputs))
            leaders[view.name] = leader

        return view.module.register_forward_pre_hook(see)

    outputs = []
    with contextlib.ExitStack() as undo:
        for view in block.matrices if measure else ():
            undo.callback(watch(view).remove)
        for batch in batches:
            handed.clear()
            outputs.append(block(batch))
    return outputs, {name: grams[leader].mean() for name, leader in leaders.items()}


def gradients(model: Model, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """dL/dw [out, in] of every matrix, mean over the predicted tokens; holds the whole model and its gradients."""
    views = model.matrices()
    leaves = model.leaves()
    found = calibrate.gradients(model.loss, {v.name: leaves[v.name] for v in views}, batches)
    return {view.name: view.matrix(found[view.name]) for view in views}

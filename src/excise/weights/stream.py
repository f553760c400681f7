"""stream: compress a model block by block, with one block in memory at a time.

A block gets the hidden states that the compressed blocks before it give, so a matrix is solved and its error measured
on the inputs it will really see. A solver that looks at inputs takes a block's matrices in the order of their calls,
with those before already compressed; one that does not needs a single run of the block.
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
        before = {view.name: view.get().clone() for view in block.matrices}
        solutions: dict[str, Solution] = {}
        for views in stages(block, batches[0]) if plan.needs_inputs else [block.matrices]:
            grams = run(block, batches, watched=views).grams if plan.needs_inputs else {}
            for view in views:
                solutions[view.name] = solve.solve(
                    before[view.name],
                    plan,
                    gradient=given.gradients.get(view.name),
                    gram=grams.get(view.name),
                    mask=given.masks.get(view.name),
                    name=view.name,
                )
                view.set_(solutions[view.name].weight)
                progress("compressing", places[view.name], len(places))
        ran = run(block, batches, watched=block.matrices if measure else ())
        for name, gram in ran.grams.items():
            error = solve.relative_output_error(before[name], solutions[name].weight, gram)
            solutions[name] = replace(solutions[name], relative_output_error=error)
        batches = ran.outputs
        yield Compressed(block.name, tuple((view, solutions[view.name]) for view in block.matrices), batches)


def stages(block: Block, batch: Tensor) -> list[tuple[MatrixView, ...]]:
    """The matrices in the order in which the block calls them, those that share their inputs together.

    Found by running the block: q, k, v; then o; then gate, up; then down. Matrices that are not called come last.
    """
    called: dict[str, list[MatrixView]] = {}
    views = {view.name: view for view in block.matrices}
    for name, leader in run(block, [batch], watched=block.matrices).leaders.items():
        called.setdefault(leader, []).append(views.pop(name))
    return [tuple(group) for group in (*called.values(), list(views.values())) if group]


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


@dataclass(frozen=True)
class Ran:
    """A block's run.

    Attributes:
        outputs: Batch by batch.
        grams: H = X'X/n of the inputs of each watched matrix that was called, by name.
        leaders: In the order of the calls, for each such matrix the first that was handed the same tensor; they share
            one H. Who shares is seen, not known from names.
    """

    outputs: list[Tensor]
    grams: dict[str, Tensor]
    leaders: dict[str, str]


def run(block: Block, batches: Sequence[Tensor], *, watched: Sequence[MatrixView]) -> Ran:
    """Run a block on all batches, with an eye on the inputs of some matrices."""
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
        for view in watched:
            undo.callback(watch(view).remove)
        for batch in batches:
            handed.clear()
            outputs.append(block(batch))
    means = {name: gram.mean() for name, gram in grams.items()}
    return Ran(outputs, {name: means[leader] for name, leader in leaders.items()}, leaders)


def gradients(model: Model, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """dL/dw [out, in] of every matrix, mean over the predicted tokens; holds the whole model and its gradients."""
    views = model.matrices()
    leaves = model.leaves()
    found = calibrate.gradients(model.loss, {v.name: leaves[v.name] for v in views}, batches)
    return {view.name: view.matrix(found[view.name]) for view in views}

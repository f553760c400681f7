"""preflight: what can be known to fail before hours of work are spent."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from excise.errors import InputError, OutputError, SettingError
from excise.pipeline.windows import WINDOW

if TYPE_CHECKING:
    from excise.adapters.checkpoint import Checkpoint
    from excise.model import MatrixView
    from excise.weights.solve import Plan


def check_paths(model: str | Path, out: Path, data: object, *, overwrite: bool) -> None:
    """Refuse an OUT that exists, that is or holds the model or the data, or that lies inside the model's folder.

    Raises:
        OutputError: With the way out.
    """
    inputs = data if isinstance(data, list | tuple) else [data]
    for given in (model, *inputs):
        if not isinstance(given, str | Path) or not Path(given).exists():
            continue
        source, target = Path(given).resolve(), out.resolve()
        if source == target or target in source.parents:
            raise OutputError(f"{out} is or holds the input {given}, which would be lost. Name another output.")
    folder = Path(model).resolve()
    if folder.is_dir() and folder in out.resolve().parents:
        raise OutputError(f"{out} lies inside the model's folder {model}. Name an output beside it.")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already. Name another output, or give --overwrite to replace it.")


def check_plan(plan: Plan, views: Sequence[MatrixView], has_data: bool) -> None:
    """Refuse a plan that has nothing to do, does not fit the model's widths, or lacks its data.

    Raises:
        SettingError: Naming the setting, and the tensor where one is at fault.
        InputError: A matrix of a kind that cannot be stored packed.
    """
    if plan.removed_fraction == 0 and plan.bits is None:
        raise SettingError(
            "sparsity is 0 and bits is not given; nothing would be done. "
            "Give --sparsity (e.g. 0.5), --pattern 2:4, --bits (e.g. 4), or several."
        )
    if plan.importance == "taylor" and plan.removed_fraction > 0 and not has_data:
        raise SettingError(
            "importance is taylor but data is not given; gradients come from calibration text. "
            "Give --data, or use importance magnitude, which needs none."
        )
    if plan.needs_inputs and not has_data:
        raise SettingError(
            f"solver is {plan.solver} but data is not given; it looks at the inputs of each layer. "
            "Give --data, or use solver round, which needs none."
        )
    for view in views:
        if view.layout == "conv2d":
            raise InputError(f"{view.name} is a convolution; a checkpoint stores only Linear weights packed")
        plan.check_shape(view.shape, view.name)


def check_room(plan: Plan, views: Sequence[MatrixView], checkpoint: Checkpoint, out: Path, windows: int) -> None:
    """Refuse when the work would not fit into memory or onto the disk.

    Raises:
        OutputError: With what is needed and what is free on the disk.
        SettingError: With what is needed and what is free in memory, and what needs less.
    """
    total = sum(entry.size_bytes for entry in checkpoint.entries.values())
    inside = sum(_weight_bytes(view) for view in views)
    hidden = windows * WINDOW * _stream_width(views) * 4
    packed = total - inside + sum(planned_bytes(view, plan) for view in views)
    parent = next(p for p in out.absolute().parents if p.exists())
    free = shutil.disk_usage(parent).free
    needed = 2 * packed + 2 * hidden  # the blocks' own files and the checkpoint; what goes into a block and comes out
    if needed > free:
        raise OutputError(
            f"{out} needs about {_size(needed)} of disk while it is made; {_size(free)} are free at {parent}. "
            "Free some space, or name an output on another disk."
        )
    available, needed = _available_bytes(), _memory_bytes(plan, views, total, inside) + 2 * hidden
    if available is not None and needed > available:
        raise SettingError(
            f"memory is {_size(available)} free; compressing {checkpoint.folder} by this plan needs about "
            f"{_size(needed)}. Use fewer windows, importance magnitude and pattern row, or a larger machine."
        )


def planned_bytes(view: MatrixView, plan: Plan) -> int:
    """Bytes of a matrix as the plan will store it; for pattern global, as if every matrix lost the same share."""
    from excise.weights.grids import group_width
    from excise.weights.layout import GridLayout, Layout
    from excise.weights.patterns import removed_count

    count = math.prod(view.shape)
    kept = count - removed_count(count, plan.removed_fraction) if plan.removed_fraction > 0 else None
    dtype = view.get().dtype
    grid = None
    if plan.bits is not None:
        whole = plan.group == "tensor"
        group = group_width(view.shape, plan.group, view.name)
        grid = GridLayout(plan.grid, plan.bits, "tensor" if whole else group, dtype)
    return Layout(view.shape, dtype, kept, grid).size_bytes()


def _memory_bytes(plan: Plan, views: Sequence[MatrixView], total: int, inside: int) -> int:
    """About how much the largest step holds at once, hidden states apart."""
    weights = sum(math.prod(view.shape) for view in views)
    if plan.removed_fraction > 0 and plan.importance == "taylor":
        return total + 2 * 4 * weights  # the whole model, the sum of its gradients, and one batch's
    if plan.pattern == "global":
        return total - inside + 16 * weights  # importances and their sorting
    largest, widest = max(math.prod(view.shape) for view in views), max(view.shape[1] for view in views)
    block = 2 * 8 * max(_weight_bytes(view) for view in views)  # about eight matrices, and what they were
    return total - inside + block + 24 * largest + 4 * 4 * widest**2  # sorting one matrix; four Gram matrices


def _weight_bytes(view: MatrixView) -> int:
    return math.prod(view.shape) * int(view.get().element_size())


def _stream_width(views: Sequence[MatrixView]) -> int:
    return min(view.shape[1] for view in views)


def _available_bytes() -> int | None:
    """Free memory of the machine, or less where a container or a service may not take as much; None if not told."""
    told = [_machine_bytes(), *_group_bytes(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))]
    return min((size for size in told if size is not None), default=None)


def _machine_bytes() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _group_bytes(own: Path, root: Path) -> list[int]:
    """What each control group (version 2) around this process leaves it; file caches that can be dropped are free."""
    try:
        name = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    found = []
    group = root / name.strip("/")
    for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(root))):
        try:
            limit, used = (int((folder / f"memory.{file}").read_text()) for file in ("max", "current"))
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            found.append(max(0, limit - used + int(counts["inactive_file"])))
        except (OSError, ValueError, KeyError):  # no limit, or none that can be read
            continue
    return found


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.1f} MB"

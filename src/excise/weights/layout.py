"""Layout: which tensors a packed weight consists of, and how large each is — the description in config.json.

Everything a reader needs beside the tensors is here, and everything here is checked before a tensor is believed: a
description this version does not know, a tensor that is missing or of another size, stops the load with its name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from excise.errors import InputError
from excise.weights.bits import packed_bytes

METHOD = "excise"
VERSION = 1

_FLOATS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
#: Dtypes as safetensors names them.
STORED_AS = {torch.uint8: "U8", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
#: The way out where a checkpoint contradicts itself.
AGAIN = "The checkpoint is damaged or was changed: compress again, or copy it again from where it came."


@dataclass(frozen=True)
class GridLayout:
    """The grid of a packed weight without its numbers.

    Attributes:
        kind: 'symmetric' (signed codes, stored with 2^(bits-1) added) or 'affine' (codes as they are).
        bits: Width of a code, 1 to 8.
        group: Weights of one row that share a scale (in, where a whole row does), or 'tensor' (all do).
        dtype: Of `scale` and `zero`.
    """

    kind: Literal["symmetric", "affine"]
    bits: int
    group: int | Literal["tensor"]
    dtype: torch.dtype


@dataclass(frozen=True)
class Layout:
    """A packed weight without its numbers.

    Attributes:
        shape: Of its matrix: (out, in).
        dtype: Of the weight when unpacked, and of `values`.
        kept: Number of survivors where there is a mask, else None.
        grid: Where the weights are codes, else None.
        transposed: Whether the model's own weight is [in, out], as GPT-2's are.
    """

    shape: tuple[int, int]
    dtype: torch.dtype
    kept: int | None = None
    grid: GridLayout | None = None
    transposed: bool = False

    def parts(self) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        """Each part's dtype and shape."""
        weights = math.prod(self.shape)
        stored = weights if self.kept is None else self.kept
        parts: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
        if self.kept is not None:
            parts["mask"] = (torch.uint8, (packed_bytes(weights, 1),))
        if self.grid is None:
            parts["values"] = (self.dtype, (stored,))
            return parts
        parts["codes"] = (torch.uint8, (packed_bytes(stored, self.grid.bits),))
        out, width = self.shape
        group = self.grid.group
        parts["scale"] = (self.grid.dtype, (1, 1) if group == "tensor" else (out, width // group))
        if self.grid.kind == "affine":
            parts["zero"] = parts["scale"]
        return parts

    def size_bytes(self) -> int:
        """Bytes of all parts."""
        return sum(math.prod(shape) * dtype.itemsize for dtype, shape in self.parts().values())

    def as_dict(self) -> dict[str, Any]:
        """The entry of config.json; what does not apply is left out."""
        entry: dict[str, Any] = {"shape": list(self.shape), "dtype": _name(self.dtype)}
        if self.kept is not None:
            entry["kept"] = self.kept
        if self.grid is not None:
            entry |= {"kind": self.grid.kind, "bits": self.grid.bits, "group": self.grid.group}
            entry["scale_dtype"] = _name(self.grid.dtype)
        if self.transposed:
            entry["transposed"] = True
        return entry


def quantization_config(layouts: Mapping[str, Layout]) -> dict[str, Any]:
    """What goes into config.json under `quantization_config`.

    Args:
        layouts: By the weight's name, as in 'model.layers.0.mlp.up_proj.weight'.
    """
    tensors = {name: layouts[name].as_dict() for name in sorted(layouts)}
    return {"quant_method": METHOD, "format_version": VERSION, "tensors": tensors}


def guard_of(names: Iterable[str]) -> str:
    """The name under which a checkpoint also holds an empty tensor: the first packed weight's own.

    A reader that does not know the format takes this tensor for the weight, and stops at its shape, [0], instead of
    carrying on with weights it made up.
    """
    return min(names)


def read_layouts(config: Mapping[str, Any]) -> dict[str, Layout]:
    """The layouts described by a `quantization_config`, checked.

    Raises:
        InputError: Another method or version, or an entry that makes no sense; says what to do.
    """
    method, version = config.get("quant_method"), config.get("format_version")
    if method != METHOD:
        raise InputError(f"quant_method is {method!r}; Excise reads 'excise'. Load it with the tool that wrote it.")
    if version != VERSION:
        raise InputError(
            f"format_version is {version!r}; this Excise reads version {VERSION}. "
            "Install the Excise that wrote the checkpoint (`excise/evidence.json` beside it names it), or a newer one."
        )
    tensors = config.get("tensors")
    if not isinstance(tensors, Mapping):
        raise InputError(f"quantization_config has no table 'tensors'. {AGAIN}")
    return {name: read_layout(name, entry) for name, entry in tensors.items()}


def read_layout(name: str, entry: Any) -> Layout:
    """One weight's layout from what `Layout.as_dict` gave.

    Raises:
        InputError: The entry makes no sense.
    """
    try:
        known = {"shape", "dtype", "kept", "kind", "bits", "group", "scale_dtype", "transposed"}
        if unknown := entry.keys() - known:
            raise ValueError(f"{min(unknown)!r} is not known")
        shape, kept = tuple(entry["shape"]), entry.get("kept")
        if len(shape) != 2 or not all(isinstance(n, int) and n > 0 for n in shape):
            raise ValueError(f"shape is {entry['shape']!r}")
        grid = _read_grid(entry, shape[1]) if "bits" in entry else None
        if kept is not None and not (isinstance(kept, int) and 0 <= kept <= math.prod(shape)):
            raise ValueError(f"kept is {kept!r} of {math.prod(shape)} weights")
        return Layout(shape, _FLOATS[entry["dtype"]], kept, grid, bool(entry.get("transposed", False)))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        why = f"{error} is missing or not known" if isinstance(error, KeyError) else str(error)
        raise InputError(f"the description of {name} in quantization_config is not usable: {why}. {AGAIN}") from error


def _read_grid(entry: Mapping[str, Any], columns: int) -> GridLayout:
    kind, bits, group = entry["kind"], entry["bits"], entry["group"]
    if kind not in {"symmetric", "affine"}:
        raise ValueError(f"kind is {kind!r}, neither 'symmetric' nor 'affine'")
    if not (isinstance(bits, int) and 1 <= bits <= 8):
        raise ValueError(f"bits is {bits!r}, not 1 to 8")
    if group != "tensor" and not (isinstance(group, int) and group > 0 and columns % group == 0):
        raise ValueError(f"group is {group!r}, neither 'tensor' nor a divisor of {columns}")
    return GridLayout(kind, bits, group, _FLOATS[entry["scale_dtype"]])


def check_stored(
    layouts: Mapping[str, Layout], stored: Mapping[str, tuple[str, tuple[int, ...]]], where: str | Path
) -> None:
    """Compare the described tensors with those a checkpoint holds.

    Args:
        layouts: By the weight's name.
        stored: Of every tensor of the checkpoint, by its full name: dtype as safetensors names it, and shape.
        where: The checkpoint, as the user knows it.

    Raises:
        InputError: One is missing or differs; names it.
    """
    for name, layout in layouts.items():
        for part, (dtype, shape) in layout.parts().items():
            expected, found = (STORED_AS[dtype], shape), stored.get(f"{name}.{part}")
            if found is None:
                raise InputError(f"tensor {name}.{part} is missing, though config.json describes it. {AGAIN}", where)
            if found != expected:
                told = [f"{kind} {list(sizes)}" for kind, sizes in (found, expected)]
                raise InputError(f"tensor {name}.{part} is {told[0]}; config.json describes {told[1]}. {AGAIN}", where)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

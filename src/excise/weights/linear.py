"""PackedLinear: a Linear whose weight stays packed in memory and is unpacked when it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from excise.errors import InputError
from excise.weights import int4, packed
from excise.weights.layout import GridLayout, Layout


class PackedWeight(nn.Module):  # type: ignore[misc]
    """The parts of one weight as buffers, so that its tensors are named `<module>.weight.codes` and so on.

    Args:
        layout: Which parts there are; they are allocated but not filled.
        device: Where; 'meta' before a checkpoint is loaded.
    """

    def __init__(self, layout: Layout, device: torch.device | str | None = None) -> None:
        super().__init__()
        self.layout = layout
        for part, (dtype, shape) in layout.parts().items():
            self.register_buffer(part, torch.empty(shape, dtype=dtype, device=device))

    def parts(self) -> dict[str, Tensor]:
        """Tensors by part, as they are stored."""
        parts = self._held()
        if self.arranged:
            parts["codes"] = packed.stored_codes(int4.restore(parts["codes"]), parts, self.layout)
        return parts

    def _held(self) -> dict[str, Tensor]:
        held = self._buffers | ({"scale": int4.scale(self.levels)} if self.arranged else {})
        return {part: held[part] for part in self.layout.parts()}

    @property
    def arranged(self) -> bool:
        """Whether `codes` are in the order of the kernel in int4.py."""
        return "levels" in self._buffers

    def arrange(self) -> None:
        """Let a kernel multiply a few rows without unpacking, where one fits; the weight stays the same."""
        if not self.arranged and self.device.type == "cpu" and int4.fits(self.layout):
            codes = int4.arrange(packed.all_codes(self._held(), self.layout))
            self.register_buffer("levels", int4.levels(self.scale, self._buffers.get("zero")), persistent=False)
            self._buffers["codes"] = codes
            del self._buffers["scale"]  # `levels` hold it

    def undo_cast(self) -> None:
        """Give every part its own dtype again, where a loader has cast it to the dtype of the model.

        Raises:
            InputError: The cast has rounded it.
        """
        for part, (dtype, _) in self.layout.parts().items():
            held = self._buffers[part]
            if torch.promote_types(held.dtype, dtype) != held.dtype:
                raise InputError(
                    f"{part} was cast from {dtype} to {held.dtype} while it was loaded, which rounds it. "
                    "Load with dtype='auto', and cast the model afterwards."
                )
            self._buffers[part] = held.to(dtype)

    def restore(self) -> None:
        """Undo `arrange`."""
        if self.arranged:
            self._buffers |= self.parts()
            del self._buffers["levels"]
            self._non_persistent_buffers_set.discard("levels")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weight when unpacked."""
        return self.layout.dtype

    @property
    def shape(self) -> torch.Size:
        """Of the weight when unpacked, [out, in]."""
        return torch.Size(self.layout.shape)

    @property
    def device(self) -> torch.device:
        """Where the parts are."""
        return next(self.buffers()).device

    def dense(self) -> Tensor:
        """The whole weight, [out, in] in dtype."""
        held = self._held()
        return packed.dense(held, self.layout, int4.restore(held["codes"]) if self.arranged else None)

    def takes(self, x: Tensor) -> bool:
        """Whether `multiply` is for these inputs."""
        few = x.numel() <= int4.MOST_ROWS * self.layout.shape[1]
        return self.arranged and few and x.dtype == torch.bfloat16 and not (x.requires_grad and torch.is_grad_enabled())

    def multiply(self, x: Tensor) -> Tensor:
        """Rows x times W', which is not unpacked: [..., in] to [..., out]."""
        group = cast(int, cast(GridLayout, self.layout.grid).group)
        rows = x.reshape(-1, self.layout.shape[1])
        return int4.multiply(rows, self.codes, group, self.levels).reshape(*x.shape[:-1], -1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PackedWeight:
        """Move to a device, but keep every dtype: `model.to(dtype)` would round the scales and change the weight."""
        was_arranged = self.arranged
        self.restore()
        for name, buffer in self.named_buffers(recurse=False):
            moved = fn(buffer)
            self._buffers[name] = moved if moved.dtype == buffer.dtype else buffer.to(moved.device)
        if was_arranged:
            self.arrange()
        return self

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        for part, tensor in self.parts().items():
            destination[prefix + part] = tensor

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self.restore()
        super()._load_from_state_dict(*arguments)


class PackedLinear(nn.Module):  # type: ignore[misc]
    """y = x W' + b with W packed.

    Args:
        layout: Of the weight.
        replaced: The module it stands for: a Linear, or GPT-2's Conv1D, which computes the same. Its bias moves here;
            the rest of it is kept for the way back.
    """

    def __init__(self, layout: Layout, replaced: nn.Module) -> None:
        super().__init__()
        self.out_features, self.in_features = layout.shape
        self.weight = PackedWeight(layout, cast(Tensor, replaced.weight).device)
        self.bias: nn.Parameter | None = getattr(replaced, "bias", None)
        replaced.weight = replaced.bias = None
        self._replaced = (replaced,)  # in a tuple, or it would be a submodule
        self.train(replaced.training)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        if self.weight.takes(x):
            few = self.weight.multiply(x)
            return few if self.bias is None else few + self.bias
        return functional.linear(x, self.weight.dense().to(x.dtype), self.bias)

    def unpacked(self, dtype: torch.dtype | None = None) -> nn.Module:
        """The module it stands for, with the unpacked weight; this one is not to be used any more."""
        (module,) = self._replaced
        weight = self.weight.dense().to(dtype or self.weight.dtype)
        module.weight = nn.Parameter(weight.t().contiguous() if self.weight.layout.transposed else weight)
        module.bias = self.bias
        return module.train(self.training)

    def extra_repr(self) -> str:
        """What it stands for, as nn.Linear shows it, and how it is stored."""
        stored = (f"{key}={value}" for key, value in self.weight.layout.as_dict().items() if key != "shape")
        return ", ".join([f"in_features={self.in_features}", f"out_features={self.out_features}", *stored])


def pack_modules(model: nn.Module, layouts: Mapping[str, Layout]) -> None:
    """Put a PackedLinear, its parts not filled yet, in the place of every module whose weight has a layout.

    Raises:
        InputError: The model has no such weight, or one that cannot be packed.
    """
    for name, layout in layouts.items():
        owner, leaf, module = _place(model, name)
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or isinstance(module, nn.Embedding) or weight.dim() != 2:
            raise InputError(
                f"{name} is packed in the checkpoint, but the model has no Linear there. "
                "config.json and the weights do not belong together: compress again."
            )
        shape = tuple(weight.shape[::-1] if layout.transposed else weight.shape)
        if shape != layout.shape:
            raise InputError(
                f"{name} is described as {list(layout.shape)}; the model's is {list(shape)}. "
                "config.json and the weights do not belong together: compress again."
            )
        setattr(owner, leaf, PackedLinear(layout, module))


def finish_modules(model: nn.Module) -> None:
    """Once the parts are loaded: look at the numbers of every packed weight, then ready it for use.

    Raises:
        InputError: A mask that keeps another number than described, a scale that is NaN or infinite, or one that was
            rounded while it was loaded.
    """
    for name, module in model.named_modules():
        if isinstance(module, PackedWeight) and module.device.type != "meta":  # meta: left on the disk
            try:
                module.undo_cast()
                packed.check_numbers(module.parts(), module.layout)
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
            module.arrange()


def unpack_modules(model: nn.Module, dtype: torch.dtype | None = None) -> None:
    """Put back every module that a PackedLinear stands for, with the unpacked weight, one after the other.

    Nothing else is touched: `model.to(dtype)` would also cast the rotary frequencies, which no reload does.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, PackedLinear):
            owner, leaf, _ = _place(model, f"{name}.weight")
            setattr(owner, leaf, module.unpacked(dtype))


def _place(model: nn.Module, name: str) -> tuple[nn.Module, str, nn.Module | None]:
    """Where the module that owns a weight hangs: its parent, its name there, itself."""
    path, _, _ = name.rpartition(".")
    above, _, leaf = path.rpartition(".")
    try:
        owner = model.get_submodule(above)
        return owner, leaf, getattr(owner, leaf, None)
    except AttributeError:
        return model, leaf, None

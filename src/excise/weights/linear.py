"""PackedLinear: a Linear whose weight stays packed in memory and is unpacked when it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from excise.errors import InputError
from excise.weights import packed
from excise.weights.layout import Layout


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
        """Tensors by part."""
        return dict(self.named_buffers(recurse=False))

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
        return packed.dense(self.parts(), self.layout)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PackedWeight:
        """Move to a device, but keep every dtype: `model.to(dtype)` would round the scales and change the weight."""
        for name, buffer in self.named_buffers(recurse=False):
            moved = fn(buffer)
            self._buffers[name] = moved if moved.dtype == buffer.dtype else buffer.to(moved.device)
        return self


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


def check_modules(model: nn.Module) -> None:
    """Look at the numbers of every packed weight once they are loaded.

    Raises:
        InputError: A mask that keeps another number than described, or a scale that is NaN or infinite.
    """
    for name, module in model.named_modules():
        if isinstance(module, PackedWeight):
            try:
                packed.check_numbers(module.parts(), module.layout)
            except InputError as error:
                raise InputError(f"{name}: {error}") from error


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

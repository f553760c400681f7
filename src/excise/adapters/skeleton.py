"""Skeleton: a network with its buffers but without its weights, which come and go block by block."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from excise.adapters.checkpoint import Checkpoint
from excise.errors import InputError


@contextlib.contextmanager
def weightless() -> Iterator[None]:
    """Modules made in here keep their parameters on the meta device, which takes no memory.

    Buffers stay real: rotary frequencies are computed by their modules and are in no checkpoint. A parameter goes to
    the meta device when it is registered, which is before `reset_parameters` would fill it. One that is there already
    is left alone, so that tied parameters stay one object.
    """
    register = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, parameter)
        if parameter is not None and not parameter.is_meta:
            module._parameters[name] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)

    nn.Module.register_parameter = on_meta
    try:
        yield
    finally:
        nn.Module.register_parameter = register


def compute_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """The dtype the model runs in: what config.json says, else that of the first float tensor."""
    named = checkpoint.config.get("dtype") or checkpoint.config.get("torch_dtype")
    if named is None:
        stored = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
        named = next((stored[e.dtype] for e in checkpoint.entries.values() if e.dtype in stored), "float32")
    dtype = getattr(torch, str(named).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype):
        raise InputError(
            f"dtype is {named!r}; expected bfloat16, float16 or float32", checkpoint.folder / "config.json"
        )
    return dtype


def build(checkpoint: Checkpoint) -> Any:
    """The checkpoint's network without weights.

    Raises:
        InputError: config.json is not that of a decoder transformers knows.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    path = checkpoint.folder / "config.json"
    try:
        config = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        with weightless():
            network = AutoModelForCausalLM.from_config(config, dtype=compute_dtype(checkpoint))
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"transformers cannot build a causal language model from this: {told}. Handled are decoders that "
            "AutoModelForCausalLM knows",
            path,
        ) from error
    return network.eval()


class Weights:
    """Fills parts of a skeleton from its checkpoint and empties them again.

    Args:
        network: The skeleton.
        checkpoint: Where its weights are.

    Attributes:
        stored: Name in the files by name in the network.
        renamed: A parameter that is not in the files though they hold tensors nobody asks for: this version of
            transformers converts this model's names while loading, which block-by-block reading does not follow.

    Raises:
        InputError: A weight is missing or has another shape than config.json implies, or the files hold parts of
            blocks that the network lacks.
    """

    def __init__(self, network: Any, checkpoint: Checkpoint) -> None:
        self._network, self._checkpoint = network, checkpoint
        base = getattr(network, "base_model_prefix", "")
        self.stored: dict[str, str] = {}
        known: set[str] = set()
        missing: dict[str, list[int]] = {}
        for name, parameter in network.named_parameters():
            spellings = _spellings(name, base, network)
            known.update(spellings)
            found = next((n for n in spellings if n in checkpoint.entries), None)
            if found is None:
                missing[name] = list(parameter.shape)
                continue
            shape = checkpoint.entries[found].shape
            if shape != tuple(parameter.shape):
                raise InputError(
                    f"{found} is {list(shape)}, but config.json makes it {list(parameter.shape)}. Put the right "
                    "config.json beside the weights",
                    checkpoint.folder / checkpoint.entries[found].file,
                )
            self.stored[name] = found
        buffers = {n: b for n, b in network.named_buffers() if n in checkpoint.entries}
        self.renamed = next(iter(missing), None)
        if missing and checkpoint.entries.keys() <= {*self.stored.values(), *buffers}:
            raise InputError(
                f"{self.renamed} is missing from the weights; config.json promises it as {missing[str(self.renamed)]}. "
                "The checkpoint is incomplete or its config belongs to another model",
                checkpoint.folder,
            )
        if not missing:
            self._refuse_leftover([n for n in checkpoint.entries if n not in known and n not in buffers])
        for name, tensor in checkpoint.read(buffers):
            buffers[name].copy_(tensor)

    def _refuse_leftover(self, names: list[str]) -> None:
        """Tensors that no part of the network takes: refused inside blocks, else warned of."""
        patterns = [
            r"rotary_emb\.inv_freq",
            *(getattr(self._network, "_keys_to_ignore_on_load_unexpected", None) or ()),
        ]
        names = [n for n in names if not any(re.search(p, n) for p in patterns)]  # relics that transformers knows of
        if not names:
            return
        base = getattr(self._network, "base_model_prefix", "") + "."
        lists = [f"{n}." for n, m in self._network.named_modules() if isinstance(m, nn.ModuleList)]
        inside = (*lists, *(n.removeprefix(base) for n in lists))
        held = next((n for n in names if n.startswith(inside)), None)
        if held is not None:
            raise InputError(
                f"{held} is in the weights, but the network that config.json describes has no such part ({len(names)} "
                "tensors are left over). Put the config.json that belongs to the weights beside them",
                self._checkpoint.folder,
            )
        warnings.warn(
            f"{self._checkpoint.folder}: the network that config.json describes does not use {len(names)} of its "
            f"tensors, the first is {names[0]}",
            stacklevel=2,
        )

    def fill(self, names: list[str]) -> None:
        """Read these parameters, in the dtype the network runs in."""
        by_stored = {self.stored[n]: n for n in names}
        for stored, tensor in self._checkpoint.read(by_stored):
            name = by_stored[stored]
            old = self._network.get_parameter(name)
            self._put(name, old, tensor.to(old.dtype))

    def empty(self, names: list[str]) -> None:
        """Let these parameters go."""
        for name in names:
            old = self._network.get_parameter(name)
            self._put(name, old, old.detach().to("meta"))

    def _put(self, name: str, old: nn.Parameter, tensor: torch.Tensor) -> None:
        new = nn.Parameter(tensor, requires_grad=False)
        for path in self._places(name, old):
            owner, _, own = path.rpartition(".")
            self._network.get_submodule(owner)._parameters[own] = new

    def _places(self, name: str, old: nn.Parameter) -> list[str]:
        """Every name of a parameter; more than one where it is tied."""
        tied = [n for n, p in self._network.named_parameters(remove_duplicate=False) if p is old]
        return tied or [name]


def _spellings(name: str, base: str, network: Any) -> list[str]:
    """The names a parameter goes by in files: with and without the base model's prefix, and those it is tied to."""
    parameter = network.get_parameter(name)
    tied = [n for n, p in network.named_parameters(remove_duplicate=False) if p is parameter]
    without = [n.removeprefix(base + ".") for n in tied if base and n.startswith(base + ".")]
    return [*tied, *without]

"""load: a checkpoint, packed or plain, as a transformers model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from excise.adapters.checkpoint import need_torch, open_checkpoint
from excise.adapters.hf import find_folder


def load(path: str | Path, dense: bool = False) -> Any:
    """A transformers model in the checkpoint's own dtype.

    Unlike `from_pretrained`, which only warns and invents what it does not find, every tensor must be there.

    Args:
        path: A folder with a checkpoint, packed by `excise compress` or plain.
        dense: Unpack the weights: as fast as the original and as large; `save_pretrained` then writes a plain
            checkpoint. Otherwise packed weights stay packed in memory, and are saved packed.

    Returns:
        The model that its config names, in evaluation mode.

    Raises:
        InputError: No checkpoint, a shard missing or cut short, tensors missing or of another size.
        MissingExtraError: torch or transformers is not installed.
    """
    need_torch("loading a model")
    from excise.adapters.network import whole

    checkpoint = open_checkpoint(find_folder(path))
    model = whole(checkpoint, _model_class(checkpoint.config))
    if dense and getattr(model, "hf_quantizer", None) is not None:
        model.dequantize()
    return model


def _model_class(config: dict[str, Any]) -> Any:
    """The class named first in `architectures`; else whatever generates text for this model type."""
    import transformers

    for name in config.get("architectures") or ():
        if found := getattr(transformers, name, None):
            return found
    return transformers.AutoModelForCausalLM

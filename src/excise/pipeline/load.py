"""load: a checkpoint, packed or plain, as a transformers model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from excise.adapters.checkpoint import need_torch, open_checkpoint
from excise.adapters.hf import find_folder
from excise.errors import InputError


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
    folder = find_folder(path)
    checkpoint = open_checkpoint(folder)
    if "quantization_config" in checkpoint.config:
        _check_packed(checkpoint)
    model, report = _model_class(checkpoint.config).from_pretrained(
        folder, dtype="auto", local_files_only=True, output_loading_info=True
    )
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"{len(missing)} tensors are missing, the first is {missing[0]}. Copy the checkpoint again", folder
        )
    if dense and getattr(model, "hf_quantizer", None) is not None:
        model.dequantize()
    return model


def _check_packed(checkpoint: Any) -> None:
    from excise.weights.layout import check_stored, read_layouts

    stored = {name: (entry.dtype, entry.shape) for name, entry in checkpoint.entries.items()}
    check_stored(read_layouts(checkpoint.config["quantization_config"]), stored, checkpoint.folder)


def _model_class(config: dict[str, Any]) -> Any:
    """The class named first in `architectures`; else whatever generates text for this model type."""
    import transformers

    for name in config.get("architectures") or ():
        if found := getattr(transformers, name, None):
            return found
    return transformers.AutoModelForCausalLM

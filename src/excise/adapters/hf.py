"""hf: open a transformers checkpoint, or any network in memory, as a Model.

Offline by default; a hub name is tried only where no such path exists. What transformers offers is probed, not pinned.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from excise.adapters.checkpoint import Checkpoint, need_torch, open_checkpoint
from excise.errors import InputError
from excise.journal import Progress, silent
from excise.model import Model

if TYPE_CHECKING:
    from torch import nn


def open_model(model: str | Path | nn.Module, *, tokenizer: Any = None, progress: Progress = silent) -> Model:
    """Open a model and check it before any work.

    Args:
        model: Directory with a transformers checkpoint, a hub name, or a network in memory.
        tokenizer: For a network in memory; a checkpoint brings its own.
        progress: Told how far the check of the numbers is.

    Raises:
        InputError: Not a model, or one whose files contradict each other.
        NumericsError: A weight is NaN or infinite.
        MissingExtraError: torch, transformers or safetensors is not installed.
    """
    need_torch("models")
    from excise.adapters.modules import ModuleModel
    from excise.adapters.network import HFModel
    from excise.adapters.skeleton import Weights, build

    if not isinstance(model, str | Path):
        if hasattr(model, "get_input_embeddings") and hasattr(model, "config"):
            return HFModel(model.eval(), tokenizer)
        return ModuleModel(model)
    checkpoint = open_checkpoint(find_folder(model))
    if "quantization_config" in checkpoint.config:
        method = checkpoint.config["quantization_config"].get("quant_method")
        if method != "excise":
            raise InputError(
                f"the model is quantized already ({method}); Excise starts from plain weights or from its own format",
                checkpoint.folder,
            )
        checkpoint.check_numbers(progress)
        return HFModel(None, _tokenizer(checkpoint), checkpoint)
    network = build(checkpoint)
    weights = Weights(network, checkpoint)
    checkpoint.check_numbers(progress)
    return HFModel(network, _tokenizer(checkpoint), checkpoint, weights)


def find_folder(model: str | Path) -> Path:
    """The local folder of a model; a hub name is downloaded where a network and no such path exists.

    Raises:
        InputError: Neither a folder nor a name the hub answers for.
    """
    path = Path(model)
    if path.is_dir():
        return path
    if path.exists():
        raise InputError("a file, not a directory with a transformers checkpoint", path)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(model)) or str(model).startswith("."):
        raise InputError(
            "no such directory. Give a directory with a transformers checkpoint, or owner/name on the hub", path
        )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise InputError("no such directory, and HF_HUB_OFFLINE forbids looking on the hub", path)
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "LICENSE*"]
    try:
        return Path(snapshot_download(str(model), allow_patterns=wanted))
    except Exception as error:
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"no such directory here, and the hub did not give it either ({told}). Check the path, or the network", path
        ) from error


def _tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's tokenizer; None where it has none, which matters only when text comes in."""
    from transformers import AutoTokenizer

    names = {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tokenizer_config.json", "spiece.model"}
    if not any((checkpoint.folder / name).is_file() for name in names):
        return None
    try:
        return AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except (ValueError, OSError, KeyError, TypeError, ImportError) as error:
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"the tokenizer cannot be read: {told}", checkpoint.folder) from error

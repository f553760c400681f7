"""Quantizer: teaches transformers' `from_pretrained` and `save_pretrained` Excise's packed format.

Modules are swapped before weights are loaded, so packed tensors go from disk to memory as they are. What the
checkpoint holds is compared with its description first: a model is either what was written, or not loaded at all.

This module imports torch and transformers; `import_hook` imports it once transformers itself is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers.quantizers import auto
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from excise.errors import InputError
from excise.weights import layout
from excise.weights.layout import METHOD, VERSION, Layout
from excise.weights.linear import finish_modules, pack_modules, unpack_modules


def register() -> None:
    """Make transformers know the format; a second call does nothing."""
    if METHOD not in auto.AUTO_QUANTIZER_MAPPING:
        auto.register_quantization_config(METHOD)(ExciseConfig)
        auto.register_quantizer(METHOD)(ExciseQuantizer)


class ExciseConfig(QuantizationConfigMixin):  # type: ignore[misc]
    """The description in config.json, as transformers carries it about; other keys are kept as they are."""

    def __init__(
        self, quant_method: str = METHOD, format_version: Any = VERSION, tensors: Any = None, **other: Any
    ) -> None:
        self.quant_method = quant_method
        self.format_version = format_version
        self.tensors = tensors
        self.__dict__.update(other)


class ExciseQuantizer(HfQuantizer):  # type: ignore[misc]
    """Puts PackedLinear in place while a model is loaded."""

    requires_calibration = True  # from_pretrained only reads; `excise compress` makes what it reads

    def update_dtype(self, dtype: torch.dtype | None) -> torch.dtype | None:
        """The checkpoint's own dtype where none is asked for, for which transformers 4 would take float32."""
        if dtype is not None:
            return dtype
        return next((d.dtype for d in layout.read_layouts(self.quantization_config.to_dict()).values()), None)

    def _process_model_before_weight_loading(
        self, model: Any, checkpoint_files: Sequence[str] | None = None, **_: Any
    ) -> Any:
        layouts = layout.read_layouts(self.quantization_config.to_dict())
        # transformers 4 does not say which files it reads; in a local folder they can be found
        files = checkpoint_files or sorted(map(str, Path(model.name_or_path).glob("model*.safetensors")))
        if files:
            layout.check_stored(layouts, _headers(files), Path(files[0]).parent)
        layouts = _named_as_in(model, layouts)
        pack_modules(model, layouts)
        self.quantization_config.tensors = layout.quantization_config(layouts)["tensors"]
        if layouts:
            ignored = model._keys_to_ignore_on_load_unexpected
            kind = list if ignored is None else type(ignored)  # transformers 5 has made it a set
            guard = rf"{re.escape(layout.guard_of(layouts))}$"
            model._keys_to_ignore_on_load_unexpected = kind([*(ignored or ()), guard])
        return model

    def _convert_model_for_quantization(self, model: Any) -> None:
        """Nothing to convert; transformers 4's own would import accelerate first."""

    def _process_model_after_weight_loading(self, model: Any, **_: Any) -> Any:
        finish_modules(model)
        return model

    def get_state_dict_and_metadata(
        self, model: Any, *_: Any, **__: Any
    ) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """What `save_pretrained` writes."""
        tensors: dict[str, torch.Tensor] = model.state_dict()
        if packed := self.quantization_config.tensors:
            tensors[layout.guard_of(packed)] = torch.empty(0, dtype=torch.uint8)
        return tensors, {}

    def _dequantize(self, model: Any, dtype: torch.dtype | None = None) -> Any:
        unpack_modules(model, dtype)
        return model

    def is_serializable(self, *_: Any, **__: Any) -> bool:
        """Packed modules are saved packed."""
        return True

    @property
    def is_trainable(self) -> bool:
        """Codes have no gradient."""
        return False


def _headers(files: Sequence[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every tensor in some safetensors files."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for file in files:
        try:
            with safe_open(file, "pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - not a mapping
                    piece = opened.get_slice(name)
                    found[name] = (piece.get_dtype(), tuple(piece.get_shape()))
        except SafetensorError as error:
            raise InputError(f"not a whole safetensors file ({error}). Copy it again", file) from error
    return found


def _named_as_in(model: Any, layouts: Mapping[str, Layout]) -> dict[str, Layout]:
    """Layouts under the names this model uses: AutoModel has no prefix such as 'model.'."""
    prefix = f"{model.base_model_prefix}."
    modules = dict(model.named_modules())

    def here(name: str) -> str:
        owner = name.rpartition(".")[0]
        return next((n for n in (owner, owner.removeprefix(prefix), prefix + owner) if n in modules), owner)

    return {f"{here(name)}.{name.rpartition('.')[2]}": described for name, described in layouts.items()}

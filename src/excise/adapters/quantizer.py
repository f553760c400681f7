"""Quantizer: teaches transformers' `from_pretrained` and `save_pretrained` Excise's packed format.

Modules are swapped before weights are loaded, so packed tensors go from disk to memory as they are. What the
checkpoint holds is compared with its description first: a model is either what was written, or not loaded at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from excise.errors import InputError
from excise.weights.layout import METHOD, VERSION, Layout, check_stored, quantization_config, read_layouts

if TYPE_CHECKING:
    import torch


def register() -> None:
    """Make transformers know the format; a second call does nothing."""
    from transformers.quantizers import auto
    from transformers.quantizers.base import HfQuantizer
    from transformers.utils.quantization_config import QuantizationConfigMixin

    if METHOD in auto.AUTO_QUANTIZER_MAPPING:
        return

    @auto.register_quantization_config(METHOD)
    class ExciseConfig(QuantizationConfigMixin):  # type: ignore[misc, unused-ignore]
        """The description in config.json, as transformers carries it about."""

        def __init__(
            self, quant_method: str = METHOD, format_version: int = VERSION, tensors: Any = None, **other: Any
        ) -> None:
            self.quant_method = quant_method
            self.format_version = format_version
            self.tensors = tensors
            self.__dict__.update(other)

    @auto.register_quantizer(METHOD)
    class ExciseQuantizer(HfQuantizer):  # type: ignore[misc, unused-ignore]
        """Puts PackedLinear in place while a model is loaded."""

        requires_calibration = True  # nothing is quantized while loading: `from_pretrained` only reads

        def _process_model_before_weight_loading(
            self, model: Any, checkpoint_files: Sequence[str] | None = None, **_: Any
        ) -> Any:
            from excise.weights.linear import pack_modules

            layouts = read_layouts(self.quantization_config.to_dict())
            if checkpoint_files:
                check_stored(layouts, _headers(checkpoint_files), Path(checkpoint_files[0]).parent)
            layouts = _named_as_in(model, layouts)
            pack_modules(model, layouts)
            self.quantization_config.tensors = quantization_config(layouts)["tensors"]
            return model

        def _process_model_after_weight_loading(self, model: Any, **_: Any) -> Any:
            from excise.weights.linear import check_modules

            check_modules(model)
            return model

        def _dequantize(self, model: Any, dtype: torch.dtype | None = None) -> Any:
            from excise.weights.linear import unpack_modules

            unpack_modules(model, dtype)
            return model

        def is_serializable(self, *_: Any, **__: Any) -> bool:
            return True

        @property
        def is_trainable(self) -> bool:
            return False


def _headers(files: Sequence[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every tensor in some safetensors files."""
    from safetensors import SafetensorError, safe_open

    found = {}
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
    """Layouts under the names this model uses: AutoModel leaves out the prefix that AutoModelForCausalLM has."""
    prefix = f"{model.base_model_prefix}."
    has_prefix = hasattr(model, model.base_model_prefix)

    def renamed(name: str) -> str:
        if has_prefix or not name.startswith(prefix):
            return name
        return name.removeprefix(prefix)

    return {renamed(name): layout for name, layout in layouts.items()}

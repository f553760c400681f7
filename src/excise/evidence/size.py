"""Size: bytes on disk, what zstd would make of them, parameters, nonzeros, bits, resident memory.

Read from the files where there are files (safetensors headers need no torch), from the model for what only it knows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from excise.errors import InputError

if TYPE_CHECKING:
    from excise.model import Model

#: Quantities that only a model with files has.
OF_FILES = ("bytes", "tensor_bytes", "zstd_bytes", "bits")

#: zstd's own default; level 19 gains 1-2 % on weights and takes a hundred times as long.
ZSTD_LEVEL = 3


def tensor_bytes(file: Path) -> int:
    """Bytes of the tensors in a safetensors file, from its header.

    Raises:
        InputError: Not a safetensors file.
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            if length > file.stat().st_size:
                raise ValueError
            header = json.loads(stream.read(length))
            entries = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
            return sum(stop - start for start, stop in entries)
        except (ValueError, AttributeError, KeyError, TypeError):
            raise InputError("not a safetensors file: its header cannot be read", file) from None


class _Counter:
    """A file that keeps nothing but the number of bytes written."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: bytes) -> int:
        self.count += len(data)
        return len(data)


def zstd_bytes(file: Path) -> int:
    """Size of a file after zstd, streamed."""
    counter = _Counter()
    with file.open("rb") as stream:
        zstandard.ZstdCompressor(level=ZSTD_LEVEL).copy_stream(stream, counter)  # type: ignore[arg-type]
    return counter.count


def files_size(files: Sequence[Path]) -> dict[str, Any]:
    """Sizes that are read from files.

    Args:
        files: Those that make up a checkpoint.

    Returns:
        files (name to bytes), bytes, tensor_bytes, zstd_bytes (of the weight files).
    """
    sizes = {path.name: path.stat().st_size for path in sorted(files)}
    weights = [path for path in files if path.suffix == ".safetensors"]
    return {
        "files": sizes,
        "bytes": sum(sizes.values()),
        "tensor_bytes": sum(tensor_bytes(w) for w in weights),
        "zstd_bytes": sum(zstd_bytes(w) for w in weights),
    }


def model_size(model: Model) -> dict[str, Any]:
    """Sizes that only the loaded model knows: parameters (also of packed tensors), nonzeros, resident memory."""
    parameters = nonzeros = 0
    for _, tensor in model.tensors():
        parameters += tensor.numel()
        nonzeros += int(tensor.count_nonzero())
    return {"parameters": parameters, "nonzeros": nonzeros, "memory": model.memory_bytes()}


def measure(model: Model, files: Sequence[Path]) -> dict[str, Any]:
    """All sizes of one model; those of files only where it came from some."""
    found = {**(files_size(files) if files else {}), **model_size(model)}
    if "tensor_bytes" in found and found["parameters"]:
        found["bits"] = 8 * found["tensor_bytes"] / found["parameters"]
    return found

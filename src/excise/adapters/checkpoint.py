"""Checkpoint: a directory with safetensors, read a tensor at a time and checked before any work.

Nothing is ever loaded with pickle, and a file is opened anew for each reading: an open handle keeps every page it
touched counted against the process.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from excise.errors import InputError, MissingExtraError, NumericsError
from excise.journal import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
#: What belongs to a model beside its weights: settings, tokenizer, and the terms it may be used on. READMEs, notes on
#: the training and other formats' copies of the weights do not.
_ALONG = (
    "config.json",
    "generation_config.json",
    "*processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tekken.json",
    "chat_template.*",
    "*.model",
    "*.tiktoken",
    "*.spm",
    "license*",
    "notice*",
)

#: Bytes of a number by its name in safetensors: the dtypes that torch reads.
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies and what it is, from its file's header.

    Attributes:
        file: Name of the file in the checkpoint's folder.
        shape: Its shape.
        dtype: As safetensors names it: BF16, F16, F32, …
        start: First byte of its data in the file.
        size_bytes: Bytes of its data.
    """

    file: str
    shape: tuple[int, ...]
    dtype: str
    start: int
    size_bytes: int


@dataclass(frozen=True)
class Checkpoint:
    """A transformers checkpoint on disk.

    Attributes:
        folder: Where it is.
        config: config.json.
        entries: Every tensor by name, in the order of the files and of the data inside them.
    """

    folder: Path
    config: dict[str, Any]
    entries: dict[str, Entry]

    @property
    def weight_files(self) -> list[str]:
        """The files with weights, in order."""
        return list(dict.fromkeys(e.file for e in self.entries.values()))

    @property
    def files_along(self) -> list[str]:
        """The other files that belong to the model, but for the index of its weights."""
        patterns = (*_ALONG, *(["*.py"] if "auto_map" in self.config else []))  # code of its own
        names = sorted(p.name for p in self.folder.iterdir() if p.is_file())
        return [name for name in names if any(fnmatchcase(name.lower(), pattern) for pattern in patterns)]

    @property
    def files(self) -> list[str]:
        """All files that make up the model, and nothing else that lies beside them."""
        index = [INDEX] if (self.folder / INDEX).is_file() else []
        return [*self.weight_files, *index, *self.files_along]

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """Tensors by name; each file is opened once a call.

        Raises:
            InputError: safetensors cannot read a file.
        """
        from safetensors import SafetensorError, safe_open

        by_file: dict[str, list[str]] = {}
        for name in names:
            by_file.setdefault(self.entries[name].file, []).append(name)
        for file, wanted in by_file.items():
            try:
                with safe_open(self.folder / file, "pt") as opened:
                    for name in wanted:
                        yield name, opened.get_tensor(name)
            except SafetensorError as error:
                raise InputError(f"safetensors cannot read it: {error}. Copy it again", self.folder / file) from error

    def check_numbers(self, progress: Progress = silent) -> None:
        """Read every tensor once and refuse NaN and Inf.

        Raises:
            NumericsError: With the tensor's name, how many and the first place.
        """
        import torch

        total = sum(e.size_bytes for e in self.entries.values())
        done = 0
        for name, tensor in self.read(self.entries):
            if tensor.is_floating_point():
                wrong = ~torch.isfinite(tensor.float() if tensor.element_size() == 1 else tensor)
                if bool(wrong.any()):
                    place = [int(i) for i in wrong.nonzero()[0]]
                    raise NumericsError(
                        f"{name} holds {int(wrong.sum())} values that are NaN or infinite, the first at {place}; "
                        f"such a model cannot be measured. Export {self.folder} again from its source."
                    )
            done += self.entries[name].size_bytes
            progress("reading the weights", done, total)


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read the headers of a checkpoint.

    Raises:
        InputError: No model here, a shard is missing or cut short, or only pickled weights.
        MissingExtraError: safetensors is not installed.
    """
    config = folder / "config.json"
    if not config.is_file():
        holds = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise InputError(
            f"no model here: there is no config.json (the folder holds {holds}). Expected a transformers "
            "checkpoint: config.json, model.safetensors and tokenizer files",
            folder,
        )
    entries: dict[str, Entry] = {}
    for file in _weight_files(folder):
        for name, entry in read_header(folder / file).items():
            if name in entries:
                raise InputError(f"{name} is also in {entries[name].file}; a tensor must be in one file", folder / file)
            entries[name] = entry
    return Checkpoint(folder, _json(config), entries)


def _weight_files(folder: Path) -> list[str]:
    index = folder / INDEX
    if index.is_file():
        listing = _json(index).get("weight_map", {})
        files = sorted(set(listing.values()))
        for file in files:
            if "/" in file or "\\" in file:
                raise InputError(f"names {file!r}, which is not a plain file name", index)
            if not (folder / file).is_file():
                raise InputError(
                    f"{file} is missing, which holds {sum(f == file for f in listing.values())} of {len(listing)} "
                    "tensors. Download or copy it again",
                    index,
                )
        if files:
            return files
    if (folder / SINGLE).is_file():
        return [SINGLE]
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth"})
    if pickled:
        raise InputError(
            f"weights only as {pickled[0]}, which is a pickle, and Excise never loads pickles. Convert them with "
            "transformers: model.save_pretrained(folder, safe_serialization=True)",
            folder,
        )
    loose = sorted(p.name for p in folder.glob("*.safetensors"))
    hint = f"; {loose[0]} is there, but not {INDEX}, which says what belongs together" if loose else ""
    raise InputError(f"no weights here: neither {SINGLE} nor {INDEX}{hint}", folder)


def read_header(path: Path) -> dict[str, Entry]:
    """What a safetensors file holds, in the order of its data, checked against itself and the file's length.

    Raises:
        InputError: Not a safetensors file, cut short, or a header that contradicts itself.
    """
    size = path.stat().st_size
    with path.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > size - 8:
            raise InputError(f"cut short or not a safetensors file: {size} bytes. Copy it again", path)
        try:
            header: dict[str, Any] = json.loads(opened.read(length))
            header.pop("__metadata__", None)
            entries = {
                name: Entry(path.name, tuple(v["shape"]), v["dtype"], 8 + length + first, last - first)
                for name, v in header.items()
                for first, last in [v["data_offsets"]]
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"not a safetensors file: {error}", path) from error
    end = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].size_bytes)):
        _check_entry(name, entry, end, path)
        end += entry.size_bytes
    if end != size:
        raise InputError(f"{size} bytes, but its header promises {end}. Copy it again", path)
    return dict(sorted(entries.items(), key=lambda item: (item[1].start, item[0])))


def _check_entry(name: str, entry: Entry, start: int, path: Path) -> None:
    """Refuse a tensor whose place is not what its dtype and shape need, from where the one before it ends."""
    if str(entry.dtype) not in _ITEM_BYTES:  # JSON may hold anything here
        raise InputError(f"{name} has dtype {entry.dtype!r}; known are {', '.join(_ITEM_BYTES)}", path)
    if not all(type(side) is int and side >= 0 for side in entry.shape):
        raise InputError(f"{name} has shape {list(entry.shape)}; expected whole numbers from 0 on", path)
    needed = math.prod(entry.shape) * _ITEM_BYTES[entry.dtype]
    if needed != entry.size_bytes:
        raise InputError(
            f"{name} is {entry.dtype} {list(entry.shape)}, which takes {needed} bytes, but the header gives it "
            f"{entry.size_bytes}. Export or copy the file again",
            path,
        )
    if entry.start != start:
        raise InputError(
            f"{name} begins at byte {entry.start}, but the data before it ends at {start}. "
            "Export or copy the file again",
            path,
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", path) from error
    if not isinstance(found, dict):
        raise InputError("expected a JSON object", path)
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' own progress bars: what goes on is told through Progress."""
    from transformers.utils import logging

    shown = getattr(logging, "is_progress_bar_enabled", lambda: False)()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def need_torch(what: str) -> None:
    """Refuse early where an import of the `model` extra would fail later.

    Raises:
        MissingExtraError: Naming what is missing.
    """
    from importlib.util import find_spec

    for module in ("torch", "transformers", "safetensors"):
        if find_spec(module) is None:
            raise MissingExtraError("model", f"{module} (for {what})")

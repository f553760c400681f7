"""assemble: a safetensors checkpoint put together from byte ranges of other files, without holding a tensor.

The same pieces give the same bytes: the order is by element size, then name, as the safetensors library orders them,
and the header holds nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from excise.adapters.checkpoint import INDEX, Entry, read_header
from excise.journal import Progress, silent, written_aside

_CHUNK = 1 << 23
_WIDTH = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2}

Piece = tuple[Path, Entry]


def write(path: Path, pieces: Mapping[str, Piece], progress: Progress = silent) -> None:
    """Write one safetensors file.

    Args:
        path: Appears when it is complete.
        pieces: By tensor name: the file that holds the bytes, and where.
        progress: Told of the bytes.
    """
    names = sorted(pieces, key=lambda name: (-_WIDTH.get(pieces[name][1].dtype, 1), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in names:
        entry = pieces[name][1]
        header[name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [at, at + entry.size_bytes],
        }
        at += entry.size_bytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    done = 0
    with written_aside(path, lambda aside: _check(aside, pieces)) as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            source, entry = pieces[name]
            with source.open("rb") as opened:
                opened.seek(entry.start)
                left = entry.size_bytes
                while left:
                    chunk = opened.read(min(left, _CHUNK))
                    if not chunk:
                        raise OSError(f"{source} ended before {name} did")
                    out.write(chunk)
                    left -= len(chunk)
                    done += len(chunk)
                    progress(f"writing {path.name}", done, at)


def _check(path: Path, pieces: Mapping[str, Piece]) -> None:
    found = {name: (e.dtype, e.shape, e.size_bytes) for name, e in read_header(path).items()}
    if found != {name: (e.dtype, e.shape, e.size_bytes) for name, (_, e) in pieces.items()}:
        raise OSError(f"{path} does not hold what was written")


def write_index(folder: Path, files: Mapping[str, Iterable[str]]) -> Path:
    """Write the listing of a sharded checkpoint.

    Args:
        folder: Where the shards are.
        files: Tensor names by shard.
    """
    total = sum(e.size_bytes for file in files for e in read_header(folder / file).values())
    listing = {
        "metadata": {"total_size": total},
        "weight_map": dict(sorted((name, file) for file, names in files.items() for name in names)),
    }
    return write_json(folder / INDEX, listing)


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write JSON as transformers does: indented, in the given order."""
    with written_aside(path) as out:
        out.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return path


def copy(path: Path, into: Path) -> Path:
    """Copy a file byte for byte."""
    target = into / path.name
    with path.open("rb") as opened, written_aside(target) as out:
        while chunk := opened.read(_CHUNK):
            out.write(chunk)
    return target

"""artefact: a compressed checkpoint is put together, read back the way its users will, and compared with memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from excise.adapters import assemble
from excise.adapters.checkpoint import INDEX, Checkpoint, Entry, read_header
from excise.errors import ArtefactError, InputError
from excise.journal import Progress, silent
from excise.pipeline.blocks import digest
from excise.weights.layout import guard_of, quantization_config, read_layout
from excise.weights.linear import PackedWeight

#: Largest relative difference of logits between the weights in memory and the artefact: two ways of adding up the same
#: products differ by the rounding of the dtype, which is 4e-3 (bf16) a step.
_SAME_LOGITS = {torch.bfloat16: 3e-2, torch.float16: 1e-2}


def write(
    into: Path,
    checkpoint: Checkpoint,
    stored: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    block_files: Sequence[Path],
    progress: Progress = silent,
) -> None:
    """Put the checkpoint together: packed parts from the blocks' files, all else byte for byte from the original.

    Args:
        into: The folder.
        checkpoint: The original.
        stored: The name in the original's files by the network's name, which the artefact uses.
        rows: From Blocks.run.
        block_files: Where the packed parts are.
        progress: Told of the bytes.
    """
    parts: dict[str, assemble.Piece] = {
        name: (file, entry) for file in block_files for name, entry in read_header(file).items()
    }
    compressed = {row["name"] for row in rows}
    network_names = {file_name: name for name, file_name in stored.items()}
    guard = guard_of(compressed)  # readers that do not know the format stop there
    listing: dict[str, list[str]] = {}
    for file in checkpoint.weight_files:
        pieces: dict[str, assemble.Piece] = {}
        for file_name, entry in checkpoint.entries.items():
            if entry.file != file:
                continue
            name = network_names.get(file_name, file_name)
            if name == guard:
                pieces[name] = (checkpoint.folder / file, Entry(file, (0,), "U8", 0, 0))
            if name in compressed:
                pieces |= {own: piece for own, piece in parts.items() if own.rpartition(".")[0] == name}
            else:
                pieces[name] = (checkpoint.folder / file, entry)
        assemble.write(into / file, pieces, progress)
        listing[file] = list(pieces)
    if INDEX in checkpoint.files:
        assemble.write_index(into, listing)
    description = quantization_config({row["name"]: read_layout(row["name"], row["layout"]) for row in rows})
    assemble.write_json(into / "config.json", {**checkpoint.config, "quantization_config": description})
    for name in checkpoint.files_along:
        if name != "config.json":
            assemble.copy(checkpoint.folder / name, into)


def verify(
    folder: Path,
    checkpoint: Checkpoint,
    stored: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    window: Tensor,
    reference: Tensor,
) -> dict[str, Any]:
    """Load the artefact from disk and compare every tensor, and the logits of one window, with what was in memory.

    A resumed run does it again, as the files may have been changed in between.

    Returns:
        How many tensors were compared, and the largest relative difference of the logits.

    Raises:
        ArtefactError: Something differs; names it.
    """
    from excise.pipeline.load import load

    try:
        network = load(folder)
    except InputError as error:
        raise ArtefactError(f"{folder}: what was written cannot be read back ({error}). {_REPORT}") from error
    expected = {row["name"]: row["digest"] for row in rows}
    seen = set()
    for name, module in network.named_modules():
        if isinstance(module, PackedWeight):
            seen.add(name)
            if expected.get(name) != digest(module.dense()):
                raise _differs(folder, name)
    if missing := sorted(expected.keys() - seen):
        raise ArtefactError(f"{folder}: {missing[0]} was not loaded packed ({len(missing)} such). {_REPORT}")
    parameters = dict(network.named_parameters())
    untouched = {stored[name]: name for name in parameters if name in stored}
    for file_name, tensor in checkpoint.read(untouched):
        held = parameters[untouched[file_name]]
        if not torch.equal(tensor.to(held.dtype), held):
            raise _differs(folder, untouched[file_name])
    with torch.no_grad():
        logits = network(input_ids=window, use_cache=False).logits.float()
    scale = float(reference.float().norm())
    difference = float((logits - reference.float()).norm()) / scale if scale else 0.0
    if not difference <= _SAME_LOGITS.get(reference.dtype, 1e-4):
        raise ArtefactError(
            f"{folder}: read back, its logits differ by {difference:.2g} (relative) from those in memory. {_REPORT}"
        )
    return {"tensors": len(seen) + len(untouched), "logits_relative_difference": difference}


_REPORT = "Remove this folder and start anew; where it ends like this again, please report it."


def _differs(folder: Path, name: str) -> ArtefactError:
    return ArtefactError(f"{folder}: {name}, read back, is not what was in memory. {_REPORT}")

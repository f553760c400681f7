"""blocks: the journalled part of compressing — every block a step, with its packed weights and its outputs set aside.

What a killed run has finished is not done again: the next block starts from the hidden states that the last finished
one left.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors.torch import load_file, save
from torch import Tensor

from excise.corpus import Corpus
from excise.errors import ArtefactError, NumericsError, OutputError
from excise.journal import Journal, written_aside
from excise.model import MatrixView, Model
from excise.pipeline.windows import WINDOW, draw
from excise.weights import packed, stream
from excise.weights.solve import Plan, Solution

#: Tokens that go through a block at once: eight windows of full length.
_BATCH_TOKENS = 8 * WINDOW


class Blocks:
    """A model being compressed.

    Args:
        model: Its blocks are changed in place.
        plan: What to do.
        journal: Of the run.
        corpus: Calibration text, if there is any.
        windows: How much of it.
        seed: Of its draw.
    """

    def __init__(
        self, model: Model, plan: Plan, journal: Journal, corpus: Corpus | None, windows: int, seed: int
    ) -> None:
        self.model, self.plan, self.journal = model, plan, journal
        self._corpus, self._windows, self._seed = corpus, windows, seed
        self._stream: Iterator[stream.Compressed] | None = None
        self.counted: dict[str, int] = {}  # windows and tokens of calibration text

    def run(self) -> list[dict[str, Any]]:
        """Do all steps.

        Returns:
            One row a matrix: what became of it, and the digest of its new weight.

        Raises:
            NumericsError: The model overflows; names the first part whose outputs are not finite.
        """
        self.counted = self.journal.step("windows", self._draw, [self._file("windows")])
        if self.plan.importance == "taylor" and self.plan.removed_fraction > 0:
            self.journal.step("gradients", self._gradients, [self._file("gradients")])
        if self.plan.pattern == "global" and self.plan.removed_fraction > 0:
            self.journal.step("global masks", self._masks, [self._file("masks")])
        rows: list[dict[str, Any]] = []
        for index, (name, file) in enumerate(zip(self.model.block_names(), self.files(), strict=True)):
            rows += self.journal.step(name, functools.partial(self._block, index, file), [file])["rows"]
        self.journal.step("reference", self._reference, [self._file("reference")])
        return rows

    @property
    def measured(self) -> bool:
        """Whether there is calibration text."""
        return self._corpus is not None

    def tokens(self) -> Tensor:
        """The calibration windows, or one window of made-up tokens where there is no text."""
        return load_file(self._file("windows"))["tokens"]

    def reference(self) -> Tensor:
        """Logits of the first window, from the weights in memory."""
        return load_file(self._file("reference"))["logits"]

    def files(self) -> list[Path]:
        """The packed weights, one file a block."""
        return [self._file(f"block-{i:04}") for i in range(len(self.model.block_names()))]

    def _file(self, name: str) -> Path:
        return self.journal.work / f"{name}.safetensors"

    def _draw(self) -> dict[str, Any]:
        if self._corpus is not None:
            tokens = draw(self.model, self._corpus, self._windows, self._seed, self.journal.progress)
        else:
            length = min(64, self.model.longest or 64)
            tokens = (torch.arange(length) * 7919 % self.model.vocabulary).reshape(1, -1)  # any tokens, always the same
        _write(self._file("windows"), {"tokens": tokens})
        return {"windows": len(tokens) if self.measured else 0, "tokens": tokens.numel() if self.measured else 0}

    def _gradients(self) -> None:
        total = len(self.tokens())

        def told() -> Iterator[Tensor]:
            done = 0
            for batch in _batches(self.tokens()):
                yield batch
                done += len(batch)
                self.journal.progress("gradients", done, total)

        _write(self._file("gradients"), stream.gradients(self.model, told()))

    def _masks(self) -> None:
        _write(self._file("masks"), stream.global_masks(self.model, self.plan, self._given()))

    def _given(self) -> stream.Given:
        return stream.Given(_LazyTensors(self._file("gradients")), _LazyTensors(self._file("masks")))

    def _block(self, index: int, file: Path) -> dict[str, Any]:
        if self._stream is None:
            self._stream = stream.compress(
                self.model,
                self.plan,
                self._inputs(index),
                given=self._given(),
                first=index,
                measure=self.measured,
                progress=self.journal.progress,
            )
        done = next(self._stream)
        _require_finite(done.hidden, done.name)
        parts: dict[str, Tensor] = {}
        rows = []
        for view, solution in done.solutions:
            row, own = _packed(view, solution)
            rows.append(row)
            parts |= own
        _write(file, parts)
        _write(self._file(f"hidden-{index + 1:04}"), {f"{i:06}": h for i, h in enumerate(done.hidden)})
        for older in range(index):  # what the last finished step left is needed until this one is recorded
            self._file(f"hidden-{older:04}").unlink(missing_ok=True)
        return {"rows": rows}

    def _inputs(self, index: int) -> list[Tensor]:
        if index == 0:
            embedded = [self.model.embed(batch) for batch in _batches(self.tokens())]
            _require_finite(embedded, "the embedding")
            return embedded
        path = self._file(f"hidden-{index:04}")
        if not path.is_file():
            raise OutputError(
                f"{path} is missing, so the unfinished run cannot go on. Give --overwrite to start it anew."
            )
        return [tensor for _, tensor in sorted(load_file(path).items())]

    def _reference(self) -> None:
        last = self._inputs(len(self.model.block_names()))
        logits = self.model.unembed(last[0])
        _require_finite([logits], "the head, or the norm before it,")
        _write(self._file("reference"), {"logits": logits})


class _LazyTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file, read when they are asked for; none where there is no file."""

    def __init__(self, path: Path) -> None:
        from excise.adapters.checkpoint import read_header

        self._path = path
        self._names = list(read_header(path)) if path.is_file() else []

    def __getitem__(self, name: str) -> Tensor:
        from safetensors import safe_open

        if name not in self._names:
            raise KeyError(name)
        with safe_open(self._path, "pt") as opened:
            tensor: Tensor = opened.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _batches(tokens: Tensor) -> list[Tensor]:
    """The first window alone, whose logits the artefact must give again; then as many at once as is quick."""
    return [tokens[:1], *(b for b in tokens[1:].split(max(1, _BATCH_TOKENS // tokens.shape[1])) if len(b))]


def _require_finite(outputs: list[Tensor], part: str) -> None:
    """Refuse a model that overflows by itself: nothing made from it could be verified."""
    if not all(bool(torch.isfinite(batch).all()) for batch in outputs):
        raise NumericsError(
            f"{part} gives outputs that are NaN or infinite in {outputs[0].dtype}, from inputs that are finite: its "
            "weights are too large to calculate with. Check the checkpoint, or export it in float32."
        )


def _packed(view: MatrixView, solution: Solution) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A matrix's row and its parts by tensor name; unpacked again at once and compared.

    Raises:
        ArtefactError: Packing lost something.
    """
    held = view.get()
    layout = packed.describe(solution, held.dtype, transposed=view.layout == "conv1d")
    parts = packed.pack(solution, held.dtype)
    if not torch.equal(packed.unpack(parts, layout), held):
        raise ArtefactError(f"{view.name}, packed and unpacked, is not what was packed. Nothing was written.")
    mask = solution.mask
    row = {
        "name": view.name,
        "role": view.role,
        "shape": list(view.shape),
        "sparsity": 0.0 if mask is None else 1 - int(mask.sum()) / mask.numel(),
        "nonzeros": int(held.count_nonzero()),
        "bits": None if solution.grid is None else solution.grid.bits,
        "relative_output_error": solution.relative_output_error,
        "relative_weight_error": solution.relative_weight_error,
        "bytes_before": held.numel() * held.element_size(),
        "bytes_after": layout.size_bytes(),
        "digest": digest(held),
        "layout": layout.as_dict(),
    }
    return row, {f"{view.name}.{part}": tensor for part, tensor in parts.items()}


def digest(tensor: Tensor) -> str:
    """XXH3-128 of a tensor's bytes, hex."""
    return xxhash.xxh3_128_hexdigest(tensor.contiguous().view(-1).view(torch.uint8).numpy())


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    with written_aside(path) as out:
        out.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}))

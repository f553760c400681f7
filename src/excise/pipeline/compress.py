"""compress: prune and quantize a checkpoint, block by block, and prove that what is on disk is what was meant."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import xxhash

from excise import __version__
from excise.corpus import Corpus
from excise.errors import SettingError
from excise.journal import Journal, Progress, fingerprint_of, silent
from excise.pipeline import preflight


@dataclass(frozen=True)
class CompressResult:
    """A compressed checkpoint, or (dry run) what one would be.

    Attributes:
        out: Its folder; None for a dry run.
        evidence: What OUT/excise/evidence.json holds.
        skipped: Steps that an earlier, interrupted run had finished.
    """

    out: Path | None
    evidence: Mapping[str, Any]
    skipped: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "out": None if self.out is None else str(self.out),
            "report": None if self.out is None else str(self.out / "excise" / "report.html"),
            "skipped": list(self.skipped),
            **self.evidence,
        }


def compress(
    model: str | Path,
    out: str | Path,
    *,
    data: str | Path | Sequence[str | Path] | Corpus | None = None,
    text: str | None = None,
    sparsity: float = 0.0,
    pattern: str = "row",
    importance: str = "magnitude",
    signed: bool = False,
    bits: int | None = None,
    grid: str = "symmetric",
    group: int | str = 128,
    solver: str = "round",
    windows: int = 64,
    seed: int = 0,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> CompressResult:
    """Prune and quantize the Linear weights of a checkpoint's blocks.

    Embeddings, head, norms and biases stay as they are. A run that was killed goes on where it stopped, with the same
    bytes in the end.

    Args:
        model: Directory with a transformers checkpoint, or a hub name.
        out: Folder to make: the checkpoint, and in OUT/excise ledger, evidence, report and recipe.
        data: Calibration text; without it errors are those of the weights alone.
        text: Field or template of the text; detected if None.
        sparsity: Fraction removed, in [0, 1].
        pattern: 'row', 'layer', 'global', or 'N:M' such as '2:4'.
        importance: 'magnitude'; 'taylor' (|w * dL/dw|), which needs data; 'obs', with the solver of that name.
        signed: The article's |w| * dL/dw, with its sign.
        bits: 1 to 8; not quantized if None.
        grid: 'symmetric', or 'affine' (the article's).
        group: Weights that share a scale: a number, 'channel' or 'tensor'.
        solver: 'round', or 'obs', which makes up for each error by the weights to come and needs data.
        windows: Calibration windows of 256 tokens.
        seed: Of the draw of the calibration text.
        dry_run: Check everything and say what would be done, but write nothing.
        overwrite: Replace a finished OUT, or drop an unfinished run with other inputs.
        progress: Told what goes on.

    Raises:
        SettingError: A setting is out of range, or does not fit the model.
        InputError: The model or the data cannot be read.
        OutputError: OUT exists, is the input, or does not fit on the disk.
        NumericsError: A weight is NaN or infinite.
        ArtefactError: What was written, read back, is not what was in memory.
    """
    began = time.perf_counter()
    out = Path(out)
    from excise.adapters.checkpoint import need_torch

    need_torch("compressing a model")
    from excise.adapters.hf import find_folder, open_model
    from excise.pipeline import artefact, outcome
    from excise.pipeline.blocks import Blocks
    from excise.weights.solve import Plan

    _check_counts(windows, seed)
    plan = Plan(sparsity, pattern, importance, signed, bits, grid, group, solver)  # type: ignore[arg-type]
    preflight.check_plan(plan, [], has_data=data is not None)
    preflight.check_paths(model, out, data, overwrite=overwrite or dry_run)
    opened: Any = open_model(find_folder(model), progress=progress)
    preflight.check_plan(plan, opened.matrices(), has_data=data is not None)
    preflight.check_room(plan, opened.matrices(), opened.checkpoint, out, windows if data is not None else 1)
    settings = {**asdict(plan), "text": text, "windows": windows, "seed": seed}
    if dry_run:
        return CompressResult(None, outcome.planned(opened, plan, settings))
    with tempfile.TemporaryDirectory(prefix="excise-") as scratch:
        corpus = _open_data(data, Path(scratch), text, progress)
        inputs = {
            "command": "compress",
            "excise": __version__,
            "torch": metadata.version("torch"),
            "model": {name: fingerprint_of(opened.checkpoint.folder / name) for name in opened.checkpoint.files},
            "data": _fingerprints(corpus),
            **settings,
        }
        with Journal(out, inputs, "excise", overwrite=overwrite, progress=progress) as journal:
            blocks = Blocks(opened, plan, journal, corpus, windows, seed)
            rows, original = blocks.run(), (opened.checkpoint, opened.stored)
            journal.step(
                "checkpoint",
                lambda: artefact.write(journal.folder, *original, rows, blocks.files(), progress),
                [journal.folder / name for name in opened.checkpoint.files],
            )
            checked = artefact.verify(journal.folder, *original, rows, blocks.tokens()[:1], blocks.reference())
            evidence = outcome.evidence(opened, journal.folder, settings, rows, blocks.counted, corpus, checked)
            evidence["seconds"] = round(time.perf_counter() - began, 3)
            outcome.write(journal.folder, opened, evidence, rows, _recipe(model, data, out, settings))
            skipped = tuple(journal.skipped)
            journal.finish()
            return CompressResult(out, evidence, skipped)


def _check_counts(windows: int, seed: int) -> None:
    if windows < 1:
        raise SettingError(f"windows is {windows}; calibration needs 1 or more. Try 64.")
    if not 0 <= seed < 2**32:
        raise SettingError(f"seed is {seed}; it must be a whole number from 0 to 2^32 - 1.")


def _open_data(data: Any, scratch: Path, text: str | None, progress: Progress) -> Corpus | None:
    if data is None or isinstance(data, Corpus):
        return data
    from excise.adapters.files import open_corpus

    corpus, _ = open_corpus(data, scratch, text=text, progress=progress)
    return corpus


def _fingerprints(corpus: Corpus | None) -> list[str] | None:
    """Of each source; of its texts where it was never a file."""
    if corpus is None:
        return None
    found = []
    for index, source in enumerate(corpus.sources):
        digest = xxhash.xxh3_128()
        for batch in corpus.batches_of(index) if not source.fingerprint else ():
            for text in batch["text"].to_pylist():
                digest.update(text.encode() + b"\0")
        found.append(source.fingerprint or digest.hexdigest())
    return found


def _recipe(model: str | Path, data: Any, out: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The run as a recipe, to be run from where it lies; text that was never in a file cannot be named in one."""
    home = Path(os.path.realpath(out.parent)) / out.name / "excise"

    def named(path: str | Path) -> str:
        return os.path.relpath(os.path.realpath(path), home)

    stage: dict[str, Any] = {"kind": "compress", "model": named(model) if Path(model).exists() else str(model)}
    if data is not None and not isinstance(data, Corpus):
        stage["data"] = named(data) if isinstance(data, str | Path) else [named(one) for one in data]
    stage |= {name: value for name, value in settings.items() if name != "seed"}
    return {"schema_version": 1, "name": "compress", "seed": settings["seed"], "stages": [stage]}

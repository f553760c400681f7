"""measuring: the three measurements of a comparison, each a step that a resumed run does not do again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from excise.adapters.checkpoint import open_checkpoint
from excise.evidence import losses, quality, size, speed
from excise.evidence.intervals import LEVEL, RESAMPLES
from excise.evidence.quality import Windows
from excise.journal import Progress
from excise.model import check_tokens

if TYPE_CHECKING:
    from excise.model import Model

Step = Callable[[str, Callable[[], Mapping[str, Any]]], dict[str, Any]]
Models = tuple["Model", "Model"]


def at_once(_: str, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """A Step without a journal."""
    return dict(work())


def longest(models: Models) -> int | None:
    """Most tokens that both models take; None where nothing limits them."""
    return min((m.longest for m in models if m.longest is not None), default=None)


def cut(models: Models, texts: Sequence[str], windows: int | None) -> Windows:
    """The held-out text in windows that both models take; refuses models that cannot be compared."""
    import torch

    limit = longest(models)
    length = quality.WINDOW if limit is None else min(quality.WINDOW, limit)
    pieces = quality.cut(texts, *models, length=length, windows=windows)
    for model in models:
        check_tokens(torch.from_numpy(pieces.tokens), model.vocabulary)
    return pieces


def measured(
    models: Models,
    folders: tuple[Path | None, Path | None],
    pieces: Windows,
    documents: tuple[Sequence[str], Sequence[str]],
    *,
    seed: int,
    progress: Progress,
    step: Step,
) -> dict[str, dict[str, Any]]:
    """Sizes, quality and speed.

    Args:
        models: Before and after.
        folders: Where each came from; None for one in memory.
        pieces: From `cut`.
        documents: Texts and ids.
        seed: Of the bootstrap.
        progress: Told what goes on.
        step: `Journal.step`, or `at_once`.

    Returns:
        `size` {before, after}; `quality` {measures, slices, worst, text}; `speed` {speed, machine}.
    """
    return {
        "size": step("size", lambda: _sizes(models, folders, progress)),
        "quality": step("quality", lambda: _quality(models, pieces, documents, seed, progress)),
        "speed": step("speed", lambda: _speed(models, pieces, progress)),
    }


def _sizes(models: Models, folders: tuple[Path | None, Path | None], progress: Progress) -> dict[str, Any]:
    progress("sizes", 0, 2)
    found = {}
    for count, (side, model, folder) in enumerate(zip(("before", "after"), models, folders, strict=True), 1):
        files = [] if folder is None else [folder / name for name in open_checkpoint(folder).files]
        found[side] = size.measure(model, files)
        progress("sizes", count, 2)
    return found


def _quality(
    models: Models, pieces: Windows, documents: tuple[Sequence[str], Sequence[str]], seed: int, progress: Progress
) -> dict[str, Any]:
    texts, ids = documents
    each = quality.token_losses(*models, pieces.tokens, progress=progress)
    unit = losses.resampling_unit(pieces)
    return {
        "measures": losses.measures(losses.sums(each, pieces, texts, unit), seed=seed),
        "slices": losses.slices(each, pieces, texts),
        "worst": losses.worst(each, pieces, texts, ids),
        "text": {
            "documents": len(texts),
            "bytes": sum(len(t.encode()) for t in texts),
            "tokens": int(pieces.lengths.sum()),
            "window_tokens": int(pieces.tokens.shape[1]),
            "windows": len(pieces.tokens),
            "windows_available": pieces.available,
            "predicted_tokens": int(each.before.size),
            "unigram_nats": losses.unigram_nats(pieces.tokens),
            "resampled": unit,
            "resamples": RESAMPLES,
            "level": LEVEL,
        },
    }


def _speed(models: Models, pieces: Windows, progress: Progress) -> dict[str, Any]:
    import torch

    machine = speed.machine()  # first: the load is that of others, not of the timing
    tokens = torch.from_numpy(np.ascontiguousarray(pieces.tokens[:1]))
    return {
        "speed": speed.measure(*models, tokens, longest=longest(models), progress=progress),
        "machine": machine,
    }

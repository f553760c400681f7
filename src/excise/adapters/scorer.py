"""scorer: bits per byte of texts under a language model, for the finder 'perplexity'."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from excise.adapters.checkpoint import need_torch

#: Tokens of a text that count, in windows of so many that begin with the separator; texts of a batch have like lengths.
MOST_TOKENS, WINDOW, _BATCH = 1024, 256, 16


def scorer(path: Path) -> Callable[[Sequence[str]], list[float]]:
    """A function from texts to bits per byte of UTF-8; 0 for a text without a token.

    Of a text with more than MOST_TOKENS tokens the first count, for their share of its bytes.

    Args:
        path: Folder of a checkpoint.

    Raises:
        InputError: It holds no language model with a tokenizer.
        MissingExtraError: torch or transformers are not installed.
    """
    need_torch("scoring by a model")
    from excise.adapters.hf import open_model

    model: Any = open_model(path)

    def scored(texts: Sequence[str]) -> list[float]:
        tokens = [model.encode(text) for text in texts]
        windows = [
            (owner, [model.separator, *whole[at : min(at + WINDOW, MOST_TOKENS)]])
            for owner, whole in enumerate(tokens)
            for at in range(0, min(len(whole), MOST_TOKENS), WINDOW)
        ]
        windows.sort(key=lambda window: (len(window[1]), window[0]))
        nats = [0.0] * len(texts)
        for at in range(0, len(windows), _BATCH):
            some = windows[at : at + _BATCH]
            for (owner, _), loss in zip(some, _losses(model, [window for _, window in some]), strict=True):
                nats[owner] += loss
        return [
            total / math.log(2) / max(1e-9, len(text.encode()) * min(1, MOST_TOKENS / max(1, len(whole))))
            for total, text, whole in zip(nats, texts, tokens, strict=True)
        ]

    return scored


def _losses(model: Any, windows: list[list[int]]) -> list[float]:
    """Nats of each window without its first token; short ones are padded behind, where causal models do not look."""
    import torch

    longest = max(map(len, windows))
    tokens = torch.tensor([window + [model.separator] * (longest - len(window)) for window in windows])
    with torch.inference_mode():
        logits = model.logits(tokens).float()[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    return [float(row[: len(window) - 1].sum()) for row, window in zip(losses, windows, strict=True)]

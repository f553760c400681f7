"""windows: calibration text as windows of tokens.

Each record is tokenised without special tokens, joined with the separator before each, and the stream is cut into
windows of equal length; what is left over is not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from excise.corpus import Corpus
from excise.errors import InputError
from excise.journal import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor

    from excise.model import Model

WINDOW = 256
#: Records read and tokenised at a time.
_RECORDS = 64


def draw(model: Model, corpus: Corpus, count: int, seed: int, progress: Progress = silent) -> Tensor:
    """Windows of calibration text, from records drawn without order.

    Args:
        model: Gives the tokens.
        corpus: The text.
        count: Windows wanted; fewer come where the text ends.
        seed: Of the draw; the same seed gives the same windows.
        progress: Told of the windows.

    Returns:
        Int64 [windows, time]; time is 256, or the model's longest input where that is shorter.

    Raises:
        InputError: The text does not fill one window.
    """
    import torch

    from excise.model import check_tokens

    length = WINDOW if model.longest is None else min(WINDOW, model.longest)
    order = np.random.default_rng(seed).permutation(len(corpus))
    tokens: list[int] = []
    for at in range(0, len(order), _RECORDS):
        chosen = [int(p) for p in order[at : at + _RECORDS]]
        records: dict[int, dict[str, Any]] = corpus.take(chosen)
        for position in chosen:
            text = records[position]["text"]
            if text.strip():
                tokens += [model.separator, *model.encode(text)]
            if len(tokens) >= count * length:
                break
        progress("reading calibration text", min(len(tokens) // length, count), count)
        if len(tokens) >= count * length:
            break
    found = min(len(tokens) // length, count)
    if found == 0:
        raise InputError(
            f"the calibration text gives {len(tokens)} tokens, which do not fill one window of {length}. Give more text"
        )
    windows = torch.tensor(tokens[: found * length], dtype=torch.int64).reshape(found, length)
    check_tokens(windows, model.vocabulary)
    return windows

"""Quality: what both models make of the same unseen text, token by token.

Each document is tokenised without special tokens, joined with the separator before each, and the stream is cut into
windows; in each window every token but the first is predicted. A predicted token counts for the document it stands in.
One batch of windows goes through both models at a time; what is kept of it is four numbers a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from excise.errors import InputError, NumericsError, SettingError
from excise.journal import Progress, silent

if TYPE_CHECKING:
    from excise.model import Model

WINDOW = 256
#: Bytes of logits of one model at a time; three or four tensors of this size are alive.
_LOGITS_BYTES = 1 << 26


@dataclass(frozen=True)
class Windows:
    """The held-out text, cut.

    Attributes:
        tokens: [windows, time], int64.
        document: [windows, time], index of the document each token belongs to.
        lengths: [documents], tokens of each document with its separator.
        available: Windows the text gives; more than `len(tokens)` where fewer were asked for.
    """

    tokens: NDArray[np.int64]
    document: NDArray[np.int64]
    lengths: NDArray[np.int64]
    available: int


@dataclass(frozen=True)
class TokenLosses:
    """Four numbers for every predicted token, each [windows, time - 1], float32.

    Attributes:
        before: -ln p of BEFORE, nats.
        after: -ln p of AFTER, nats.
        kl: KL(before || after) of the two predictions, nats, >= 0.
        agree: 1 where both models' most likely token is the same, else 0.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    kl: NDArray[np.float32]
    agree: NDArray[np.float32]


def cut(
    texts: Sequence[str], before: Model, after: Model, *, length: int = WINDOW, windows: int | None = None
) -> Windows:
    """Tokenise and cut into windows.

    Args:
        texts: The documents.
        before: Gives the tokens.
        after: Must read the text as the same tokens.
        length: Tokens a window.
        windows: Use this many, spread evenly over the text; None = all.

    Raises:
        SettingError: `windows` < 1, or the models read the text as different tokens.
        InputError: The text does not fill one window.
    """
    if windows is not None and windows < 1:
        raise SettingError(f"windows is {windows}; expected 1 or more, or nothing for all of the text.")
    pieces = [[before.separator, *before.encode(text)] for text in texts]
    for number, (text, piece) in enumerate(zip(texts, pieces, strict=True)):
        if [after.separator, *after.encode(text)] != piece:
            raise SettingError(
                f"the models read record {number} as different tokens; a comparison token by token needs one "
                "tokenizer. Compare models that share it."
            )
    lengths = np.array([len(p) for p in pieces], dtype=np.int64)
    stream = np.array([t for p in pieces for t in p], dtype=np.int64)
    owner = np.repeat(np.arange(len(pieces)), lengths)
    available = len(stream) // length
    if available == 0:
        raise InputError(
            f"the held-out text gives {len(stream)} tokens, which do not fill one window of {length}. Give more text"
        )
    count = available if windows is None else min(windows, available)
    picked = np.arange(count) * available // count
    whole = slice(0, available * length)
    return Windows(
        stream[whole].reshape(-1, length)[picked],
        owner[whole].reshape(-1, length)[picked],
        lengths,
        available,
    )


def token_losses(
    before: Model, after: Model, windows: NDArray[np.int64], *, progress: Progress = silent
) -> TokenLosses:
    """Run both models over the windows.

    Args:
        before: The model before.
        after: The model after, of the same vocabulary.
        windows: [windows, time] tokens.
        progress: Told after each batch.

    Raises:
        NumericsError: A model predicts NaN or Inf.
        SettingError: The vocabularies differ.

    Cost: two forward passes; memory of one batch of logits, beside 16 bytes a token.
    """
    import torch

    count, length = windows.shape
    if before.vocabulary != after.vocabulary:
        raise SettingError(
            f"vocabulary is {before.vocabulary} before and {after.vocabulary} after; "
            "a comparison token by token needs the same. Compare models that share it."
        )
    batch = max(1, _LOGITS_BYTES // (4 * length * before.vocabulary))
    kept = {name: np.empty((count, length - 1), dtype=np.float32) for name in ("before", "after", "kl", "agree")}
    with torch.inference_mode():
        for at in range(0, count, batch):
            tokens = torch.from_numpy(windows[at : at + batch])
            target = tokens[:, 1:, None]
            p = _log_probabilities(before, tokens)
            q = _log_probabilities(after, tokens)
            rows = slice(at, at + len(tokens))
            kept["before"][rows] = -p.gather(-1, target)[..., 0].numpy()
            kept["after"][rows] = -q.gather(-1, target)[..., 0].numpy()
            kept["agree"][rows] = (p.argmax(-1) == q.argmax(-1)).numpy()
            kept["kl"][rows] = (p.exp() * (p - q)).sum(-1).clamp_min_(0).numpy()
            for side in ("before", "after"):
                _require_finite(kept[side][rows], side, at)
            progress("quality, both models on the same text", min(at + batch, count), count)
    return TokenLosses(**kept)


def _log_probabilities(model: Model, tokens: Any) -> Any:
    return model.logits(tokens)[:, :-1].float().log_softmax(-1).cpu()


def _require_finite(losses: NDArray[np.float32], side: str, first_window: int) -> None:
    bad = np.flatnonzero(~np.isfinite(losses).all(axis=1))
    if len(bad):
        raise NumericsError(
            f"the loss of the model {side} is NaN or Inf in window {first_window + int(bad[0])}; "
            "its weights are damaged or overflow in their dtype. Check the checkpoint, or load it in float32."
        )

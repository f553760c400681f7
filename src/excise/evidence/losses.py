"""Losses summed up: per document with intervals, by slice, and the documents that lost most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from excise.evidence.intervals import MIN_UNITS, Floats, paired_intervals, percentile_interval, resampled_totals
from excise.evidence.quality import TokenLosses, Windows

#: Fewer documents than this make a poor bootstrap; then windows, which are all of one size, are drawn.
MIN_DOCUMENTS = 20
#: Share of predicted tokens that the rarest tokens of the text together make up.
RARE_SHARE = 0.1
#: A document is counted as non-ASCII text from this share of its characters on.
NON_ASCII_SHARE = 0.01
#: Predicted tokens a document needs before its mean loss says something.
MIN_TOKENS = 32
EXCERPT = 400

# Columns of the sums.
_BEFORE, _AFTER, _KL, _AGREE, _TOKENS, _BYTES = range(6)


def _bits_per_byte(column: int) -> Callable[[Floats], Floats]:
    return lambda totals: totals[:, column] / (math.log(2) * totals[:, _BYTES])


def _per_token(column: int) -> Callable[[Floats], Floats]:
    return lambda totals: totals[:, column] / totals[:, _TOKENS]


def _perplexity(column: int) -> Callable[[Floats], Floats]:
    return lambda totals: np.exp(totals[:, column] / totals[:, _TOKENS])


_PAIRED = {"bpb": _bits_per_byte, "perplexity": _perplexity, "loss": _per_token}
_SINGLE = {"kl": _KL, "top1": _AGREE}


def sums(losses: TokenLosses, windows: Windows, texts: Sequence[str], unit: str) -> Floats:
    """Sums over each resampling unit that has predicted tokens.

    Args:
        losses: Per predicted token.
        windows: Where each token stands.
        texts: The original documents, for their bytes.
        unit: 'documents' or 'windows'.

    Returns:
        [units, 6]: nats before, nats after, nats of KL, agreeing tokens, tokens, bytes of original text. A document
        partly predicted (its first token in a window is not) counts for the same part of its bytes.
    """
    document = windows.document[:, 1:]
    size = np.array([len(t.encode()) for t in texts], dtype=np.float64)
    bytes_each = (size / windows.lengths)[document]
    owner = document if unit == "documents" else np.arange(len(document))[:, None] + np.zeros_like(document)
    flat = owner.ravel()
    columns = (losses.before, losses.after, losses.kl, losses.agree, np.ones_like(losses.before), bytes_each)
    table: Floats = np.stack([np.bincount(flat, weights=c.ravel().astype(np.float64)) for c in columns], axis=1)
    return table[table[:, _TOKENS] > 0]


def resampling_unit(windows: Windows) -> str:
    """'documents' where there are enough of them, else 'windows'."""
    return "documents" if len(np.unique(windows.document[:, 1:])) >= MIN_DOCUMENTS else "windows"


def measures(units: Floats, *, seed: int) -> dict[str, dict[str, Any]]:
    """bpb, perplexity, loss, kl and top1 with intervals.

    Args:
        units: From `sums`.
        seed: Of the bootstrap.

    Returns:
        Name to {before, after, interval}; before is None where the quantity compares with BEFORE by its nature. With
        fewer than MIN_UNITS units an interval holds only what is the same in every draw: the difference and the ratio
        of equal losses.
    """
    whole = units.sum(axis=0, keepdims=True)
    enough = len(units) >= MIN_UNITS
    equal = bool(np.array_equal(units[:, _BEFORE], units[:, _AFTER]))
    totals = resampled_totals(units, seed=seed) if enough else whole
    found: dict[str, dict[str, Any]] = {}
    for name, statistic in _PAIRED.items():
        before, after = statistic(_BEFORE), statistic(_AFTER)
        bounds = paired_intervals(totals, before, after).items()
        found[name] = {
            "before": float(before(whole)[0]),
            "after": float(after(whole)[0]),
            "interval": {k: list(v) for k, v in bounds if enough or (equal and k != "after")},
        }
    for name, column in _SINGLE.items():
        value = _per_token(column)
        found[name] = {
            "before": None,
            "after": float(value(whole)[0]),
            "interval": {"after": list(percentile_interval(value(totals)))} if enough else {},
        }
    return found


def unigram_nats(tokens: NDArray[np.int64]) -> float:
    """Entropy of the text's own token frequencies: a model above it predicts worse than counting would."""
    counts = np.unique(tokens, return_counts=True)[1]
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())


def slices(losses: TokenLosses, windows: Windows, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Loss by slice: rare tokens, short and long documents, non-ASCII text.

    Returns:
        One {name, tokens, before, after} (nats per token) a slice that has tokens and is not all of the text.
    """
    document, target = windows.document[:, 1:], windows.tokens[:, 1:]
    short, long = np.quantile(windows.lengths, [0.25, 0.75])
    foreign = np.array([_non_ascii_share(t) >= NON_ASCII_SHARE for t in texts])
    chosen = {
        "rare_tokens": _rare(target),
        "short_documents": (windows.lengths <= short)[document],
        "long_documents": (windows.lengths >= long)[document],
        "non_ascii": foreign[document],
    }
    return [
        {
            "name": name,
            "tokens": int(mask.sum()),
            "before": float(losses.before[mask].mean(dtype=np.float64)),
            "after": float(losses.after[mask].mean(dtype=np.float64)),
        }
        for name, mask in chosen.items()
        if 0 < mask.sum() < mask.size
    ]


def _rare(target: NDArray[np.int64]) -> NDArray[np.bool_]:
    kinds, place, counts = np.unique(target, return_inverse=True, return_counts=True)
    order = np.argsort(counts, kind="stable")
    rare = np.zeros(len(kinds), dtype=bool)
    rare[order[np.cumsum(counts[order]) <= RARE_SHARE * target.size]] = True
    return rare[place].reshape(target.shape)


def _non_ascii_share(text: str) -> float:
    return sum(not c.isascii() for c in text) / len(text) if text else 0.0


def worst(
    losses: TokenLosses, windows: Windows, texts: Sequence[str], ids: Sequence[str], count: int = 5
) -> list[dict[str, Any]]:
    """The documents whose mean loss rose most: {id, tokens, before, after, text} with nats per token."""
    flat = windows.document[:, 1:].ravel()
    tokens = np.bincount(flat, minlength=len(texts))
    before, after = (
        np.bincount(flat, weights=side.ravel().astype(np.float64), minlength=len(texts)) / np.maximum(tokens, 1)
        for side in (losses.before, losses.after)
    )
    rise = np.where(tokens >= min(MIN_TOKENS, tokens.max()), after - before, -np.inf)
    return [
        {
            "id": ids[i],
            "tokens": int(tokens[i]),
            "before": float(before[i]),
            "after": float(after[i]),
            "text": texts[i] if len(texts[i]) <= EXCERPT else texts[i][:EXCERPT] + "…",
        }
        for i in np.argsort(-rise, kind="stable")[:count]
        if rise[i] > 0
    ]

"""clean_labels: labels and values to look at in the report of a cleaning, with what a model thinks of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from excise.corpus import Corpus
from excise.data.excerpts import Excerpt, excerpts
from excise.pipeline.clean_samples import CHARACTERS, most

#: Suspicious labels and values that are shown; labels in the table of which is taken for which.
_LABELS, _NOISY = 24, 12


def suspicious_labels(
    findings: pa.Table, corpus: Corpus, action: str, measured: pa.Table | None
) -> list[dict[str, Any]]:
    """The labels that look most wrong, with what the model thinks of them.

    Args:
        findings: FINDINGS of finder 'labels'.
        corpus: The records.
        action: What is done about them.
        measured: What `labels.measure` gave, if it is at hand.
    """
    return [
        {
            "id": row["locus"],
            "given": one.label,
            "suggested": row["value"],
            "redundancy": row["redundancy"],
            "reason": row["reason"],
            "text": one.text,
            "characters": one.characters,
            "action": action,
            "probabilities": {} if measured is None else _view(measured, row["position"] - corpus.first_own),
        }
        for row, one in _with_texts(most(findings, _LABELS), corpus)
    ]


def _view(measured: pa.Table, place: int) -> dict[str, float]:
    """What a model gives the likeliest label and the one that is there."""
    (row,) = measured.slice(place, 1).select(["given", "own", "suggested", "other"]).to_pylist()
    return {row["suggested"]: round(row["other"], 6), row["given"]: round(row["own"], 6)}


def label_noise(measured: pa.Table | None) -> dict[str, Any] | None:
    """Records by given and likely label, of the labels with the most errors."""
    if measured is None:
        return None
    from excise.data.labels import summary

    told = summary(measured)
    errors: dict[str, int] = {}
    for pair in told["confusion"]:
        for end in ("given", "true"):
            errors[pair[end]] = errors.get(pair[end], 0) + pair["records"]
    names = sorted(errors, key=lambda name: (-errors[name], name))[:_NOISY]
    if not names:
        return None
    right = {row["label"]: row["judged"] - row["wrong"] for row in told["classes"]}
    counts = {(pair["given"], pair["true"]): pair["records"] for pair in told["confusion"]}
    table = [[right[a] if a == b else counts.get((a, b), 0) for b in names] for a in names]
    return {"labels": names, "counts": table, "wrong": told["wrong"]}


def suspicious_values(findings: pa.Table, corpus: Corpus) -> list[dict[str, Any]]:
    """The values that are farthest from what a model expects."""
    return [
        {
            "id": row["locus"],
            "given": float(one.label),
            "expected": float(row["value"]),
            "redundancy": row["redundancy"],
            "text": one.text,
            "characters": one.characters,
        }
        for row, one in _with_texts(most(findings, _LABELS), corpus)
        if one.label is not None
    ]


def _with_texts(rows: list[dict[str, Any]], corpus: Corpus) -> list[tuple[dict[str, Any], Excerpt]]:
    texts = excerpts(corpus, {row["locus"]: [0] for row in rows}, CHARACTERS)
    return [(row, texts[row["locus"], 0]) for row in rows if (row["locus"], 0) in texts]

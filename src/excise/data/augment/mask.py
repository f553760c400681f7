"""Mask: spans of words replaced by a mask token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from excise.data.augment.protect import Span
from excise.data.augment.units import beside_next, free_words, spliced, units, words

#: Mean number of words of a span, as in T5.
SPAN = 3


def mask(
    text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = (), token: str = "<mask>"
) -> str:
    """A text in which spans of words are one mask token each.

    Args:
        text: Any text; in scripts without blanks, a word is one character.
        rng: A generator.
        rate: Share of the words that is masked, in [0, 1]; the number is rounded up or down at random, so that the
            share is right on average in short texts too. Protected words among them stay.
        protected: Parts that are to stay as they are.
        token: What stands in place of a span.

    Source: span corruption of Raffel et al. 2020, Exploring the limits of transfer learning with a unified text-to-text
        transformer.
    Differs: a span ends at punctuation and at a line's end, so that both stay.
    """
    of = units(text, protected)
    spans = words(of)
    chosen = _spans(len(spans), int(rate * len(spans) + rng.random()), rng) & free_words(of, spans)
    beside = beside_next(of, spans)
    edits: list[tuple[int, int, str]] = []
    last = -2
    for index in np.flatnonzero(chosen).tolist():
        start, stop = (int(of.borders[place]) for place in spans[index])
        if index == last + 1 and beside[last]:
            edits[-1] = (edits[-1][0], stop, token)
        else:
            edits.append((start, stop, token))
        last = index
    return spliced(text, edits)


def _spans(words: int, masked: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which words are masked: just so many, in spans of SPAN on average, spread evenly."""
    chosen = np.zeros(words, np.bool_)
    if not masked:
        return chosen
    count = min(max(1, round(masked / SPAN)), words - masked + 1)
    lengths = _shares(masked, count, rng, least=1)
    gaps = _shares(words - masked - (count - 1), count + 1, rng, least=0)
    at = 0
    for gap, length in zip(gaps, lengths, strict=False):
        at += int(gap)
        chosen[at : at + length] = True
        at += int(length) + 1  # two spans do not touch
    return chosen


def _shares(total: int, parts: int, rng: np.random.Generator, least: int) -> NDArray[np.int64]:
    """A total cut at random into parts of at least 0 or 1."""
    places = total - 1 if least else total + parts - 1
    cuts = np.sort(np.argsort(rng.random(places), kind="stable")[: parts - 1])
    if least:
        return np.diff(np.concatenate([[0], cuts + 1, [total]]))
    return np.diff(np.concatenate([[-1], cuts, [places]])) - 1

"""Words: some dropped, some put behind the next one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from excise.data.augment.protect import Span
from excise.data.augment.units import SPACE, Units, beside_next, free_words, spliced, units, words


def drop(text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
    """A text without some of its words; one at least stays.

    Args:
        text: Any text; in scripts without blanks, a word is one character.
        rng: A generator.
        rate: Probability, in [0, 1], that a word goes, with the blanks in front of it (of the first one, behind it).
        protected: Parts that are to stay as they are.

    Source: random deletion of Wei and Zou 2019, EDA: easy data augmentation techniques for text classification.
    """
    of = units(text, protected)
    spans = words(of)
    draws = rng.random(len(spans))
    gone = (draws < rate) & free_words(of, spans)
    if len(spans) and gone.all():
        gone[np.argmax(draws)] = False
    edits: list[tuple[int, int, str]] = []
    at = 0  # a blank goes once
    for start, stop in spans[gone].tolist():
        first, last = _with_blanks(of, start, stop, at)
        edits.append((int(of.borders[first]), int(of.borders[last]), ""))
        at = last
    return spliced(text, edits)


def _with_blanks(of: Units, start: int, stop: int, at: int) -> tuple[int, int]:
    """A word with the blanks in front of it; where it begins a line or the text, with those behind."""
    first = start
    while first > at and _is_blank(of, first - 1):
        first -= 1
    if first == start and not _glued(of, start):
        while stop < len(of.kinds) and _is_blank(of, stop):
            stop += 1
    return first, stop


def _glued(of: Units, start: int) -> bool:
    """Whether something other than a blank or line end stands right in front."""
    return start > 0 and bool(of.kinds[start - 1] != SPACE)


def _is_blank(of: Units, index: int) -> bool:
    return bool(of.kinds[index] == SPACE and of.free[index]) and of.character(index) in " \t\u00a0\u3000"


def swap(text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
    """A text in which some words have changed places with the next one; what is between them stays.

    Args:
        text: Any text; in scripts without blanks, a word is one character.
        rng: A generator.
        rate: Probability, in [0, 1], that a word is put behind the next one of its line or clause.
        protected: Parts that are to stay as they are.

    Returns:
        A text of the same words and as many code points.

    Source: random swap of Wei and Zou 2019 (see `drop`).
    Differs: neighbours instead of any two words, so that a long text is not torn apart.
    """
    of = units(text, protected)
    spans = words(of)
    free = free_words(of, spans)
    follows = np.zeros_like(free)
    follows[:-1] = free[1:]
    chosen = (rng.random(len(spans)) < rate) & free & follows & beside_next(of, spans)
    edits: list[tuple[int, int, str]] = []
    done = -1
    for index in np.flatnonzero(chosen).tolist():
        if index <= done:
            continue
        (a, b), (c, d) = (of.borders[span] for span in spans[index : index + 2])
        edits.append((int(a), int(d), text[c:d] + text[b:c] + text[a:b]))
        done = index + 1
    return spliced(text, edits)

"""Substitute: characters of a text by others that a table names, each place with the same probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from excise.data.augment.protect import Span
from excise.data.augment.units import spliced, units


def substituted(
    text: str, rng: np.random.Generator, rate: float, table: Mapping[str, Sequence[str]], protected: Sequence[Span] = ()
) -> str:
    """A text in which some places say something else.

    Args:
        text: Any text.
        rng: Drawn from once a character, and once more a substitution.
        rate: Probability, in [0, 1], that a place that the table knows is changed.
        table: From one character or a few to what may stand instead; the longest that fits a place is taken.
        protected: Parts that are to stay as they are.
    """
    of = units(text, protected)
    longest = max(map(len, table), default=0)
    edits: list[tuple[int, int, str]] = []
    at = 0
    for index in np.flatnonzero((rng.random(len(of.free)) < rate) & of.free).tolist():
        start = int(of.borders[index])
        if start < at:
            continue
        for last in range(
            min(index + longest, len(of.free)), index, -1
        ):  # whole characters, or a mark loses its letter
            at = int(of.borders[last])
            others = table.get(text[start:at])
            if others and of.free[index:last].all():
                edits.append((start, at, others[int(rng.random() * len(others))]))
                break
        else:
            at = start
    return spliced(text, edits)

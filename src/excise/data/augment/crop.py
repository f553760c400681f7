"""Crop: a contiguous share of a text, from one border of sentences, clauses or words to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from excise.data.augment.protect import Span
from excise.data.augment.units import Ints, Units, clauses, sentences, units, words


def crop(text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
    """A part of a text without the blanks at its ends.

    Args:
        text: Any text.
        rng: Drawn from once.
        rate: Share that goes, in [0, 1]; one part at least stays. Parts are sentences; clauses where there are too few
            sentences for one to stay and one to go; else words (in scripts without blanks, characters).
        protected: Parts that are not cut in two; they may go as a whole.

    Returns:
        round((1 - rate) * parts) parts that follow one another, more where a protected part reaches further.
    """
    if rate <= 0:
        return text
    of = units(text, protected)
    parts = _parts(of, rate)
    count = len(parts) - 1
    keep = max(1, round((1 - rate) * count))
    first = int(rng.random() * (count - keep + 1))
    start, stop = int(parts[first]), int(parts[first + keep]) if count else 0
    for a, b in protected:
        start = a if a < start < b else start
        stop = b if a < stop < b else stop
    whole = of.borders[[np.searchsorted(of.borders, start, "right") - 1, np.searchsorted(of.borders, stop)]]
    return _stripped(of, int(whole[0]), int(whole[1]))


def _parts(of: Units, rate: float) -> Ints:
    """Borders, in code points, of the coarsest parts of which the shares that stay and go hold one at least."""
    for parted in (sentences, clauses):
        found = parted(of)
        if (len(found) - 1) * min(rate, 1 - rate) >= 1:
            return found
    starts = of.borders[words(of)[:, 0]]
    return np.unique(np.concatenate([[0], starts[1:], [len(of.text)]])).astype(np.int64)


def _stripped(of: Units, start: int, stop: int) -> str:
    """A part without blanks at its ends; a blank under a mark is no blank."""
    part = of.text[start:stop]
    last, first = start + len(part.rstrip()), stop - len(part.lstrip())
    known = set(of.borders.tolist())
    return of.text[first if first in known else start : last if last in known else stop] if part.strip() else ""

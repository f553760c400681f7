"""OCR: what a reader of print takes for something else: 0 for O, rn for m, 己 for 已."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from excise.data.augment import han
from excise.data.augment.protect import Span
from excise.data.augment.substitute import substituted

#: Pairs that are taken for one another, either way.
_CONFUSED = (
    "0 O, 0 o, 0 D, O Q, 1 l, 1 I, l I, 1 i, i l, 1 |, 2 Z, 2 z, 5 S, 5 s, 6 b, 6 G, 8 B, 9 g, 9 q, "
    "c e, e o, c o, h b, u v, n h, n u, t f, f t, y v, C G, E F, P R, U V, "
    "rn m, cl d, vv w, ri n, li h, ii u, nn m, tt ft"
)


def ocr(text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
    """A text as a poor reader of print would read it.

    Args:
        text: Any text.
        rng: A generator.
        rate: Probability, in [0, 1], that a place that can be misread is; one to two characters become one to two.
        protected: Parts that are to stay as they are.
    """
    return substituted(text, rng, rate, misread(), protected)


@cache
def misread() -> dict[str, tuple[str, ...]]:
    """To each place what it is taken for."""
    table: dict[str, list[str]] = {sign: list(others) for sign, others in han.looking_alike().items()}
    for pair in _CONFUSED.split(", "):
        one, other = pair.split()
        table.setdefault(one, []).append(other)
        table.setdefault(other, []).append(one)
    return {place: tuple(dict.fromkeys(others)) for place, others in table.items()}

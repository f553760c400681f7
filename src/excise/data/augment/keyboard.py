"""Keyboard: the finger on the key beside the right one; in Chinese, the wrong character of the right sound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from excise.data.augment import han
from excise.data.augment.protect import Span
from excise.data.augment.substitute import substituted

#: Rows of keys from the top, and how far to the right of the first row each begins, in keys.
_OFFSETS = (0.0, 0.5, 0.75, 1.25)
_LAYOUTS = (
    ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"),
    ("1234567890", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
)
#: Keys whose middles are no further apart than this touch.
_TOUCHING = 1.3


def keyboard(text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
    """A text with slips of the keyboard.

    Letters and digits of the Latin (QWERTY) and Russian keyboards become a key that touches theirs, in the same case. A
    common Chinese character becomes one beside it in the order of pinyin, as when the wrong one of several candidates
    is taken. Other characters stay.

    Args:
        text: Any text.
        rng: A generator.
        rate: Probability, in [0, 1], that a character that has neighbours is changed.
        protected: Parts that are to stay as they are.

    Returns:
        A text of as many code points.
    """
    return substituted(text, rng, rate, slips(), protected)


@cache
def slips() -> dict[str, str]:
    """To each character what a slip makes of it."""
    table = dict(han.sounding_alike())
    for layout in _LAYOUTS:
        keys = {
            key: (row, column + offset)
            for row, (line, offset) in enumerate(zip(layout, _OFFSETS, strict=True))
            for column, key in enumerate(line)
        }
        for key, (row, x) in keys.items():
            near = "".join(
                k for k, (r, c) in keys.items() if k != key and (r - row) ** 2 + (c - x) ** 2 <= _TOUCHING**2
            )
            table.setdefault(key, near)
            if key.isalpha():
                table[key.upper()] = near.upper()
    return table

"""Homoglyphs: other code points of the same look: Cyrillic and Greek for Latin, full width for half."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from excise.data.augment.protect import Span
from excise.data.augment.substitute import substituted

#: Latin letters, each followed by the Cyrillic and Greek ones that are drawn alike.
_ALIKE = "aа cс eе iі jј oоο pрρ sѕ xх yу hһ vν AАΑ BВΒ CС EЕΕ HНΗ IІΙ JЈ KКΚ MМΜ NΝ OОΟ PРΡ SЅ TТΤ XХΧ YΥ ZΖ"
#: From ASCII, without the blank, to its forms of full width.
_ASCII, _FULL_WIDTH = range(0x21, 0x7F), 0xFEE0


def homoglyph(text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
    """A text that looks the same, or only wider, and is other code points.

    Args:
        text: Any text.
        rng: A generator.
        rate: Probability, in [0, 1], that a character that has such forms is changed.
        protected: Parts that are to stay as they are.

    Returns:
        A text of as many code points.
    """
    return substituted(text, rng, rate, look_alikes(), protected)


@cache
def look_alikes() -> dict[str, str]:
    """To each character those that look like it."""
    table: dict[str, str] = {}
    for group in _ALIKE.split():
        for sign in group:
            table[sign] = group.replace(sign, "")
    for point in _ASCII:
        half, full = chr(point), chr(point + _FULL_WIDTH)
        if half.isalnum() or half in ",.!?:;()":  # the others mean something to csv, code and markup
            table[half] = table.get(half, "") + full
            table[full] = half
    return table

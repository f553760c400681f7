"""Differences: two texts side by side, the words that differ marked."""

from __future__ import annotations

import difflib
import re

from markupsafe import Markup, escape

#: Words, single characters of scripts without spaces, white space, and everything else one by one.
_PIECES = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+?(?=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])|\w+|\s+|[^\w\s]"
)

#: difflib takes quadratic time; a longer text is shown by its beginning.
LONGEST = 2000


def marked(removed: str, kept: str) -> tuple[Markup, Markup]:
    """Both texts as HTML, escaped, with <mark> around what the other lacks.

    Args:
        removed: The record that went.
        kept: The record that stays.
    """
    pieces: list[list[str]] = [_PIECES.findall(_shortened(text)) for text in (removed, kept)]
    matcher = difflib.SequenceMatcher(None, pieces[0], pieces[1], autojunk=False)
    sides: tuple[list[Markup], list[Markup]] = ([], [])
    for action, *ends in matcher.get_opcodes():
        for side, start, stop in ((0, ends[0], ends[1]), (1, ends[2], ends[3])):
            text = escape("".join(pieces[side][start:stop]))
            if text:
                sides[side].append(text if action == "equal" else Markup("<mark>{}</mark>").format(text))
    return Markup("").join(sides[0]), Markup("").join(sides[1])


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"

"""Protect: parts of a text that no operation changes, for a letter more or less there says something else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from excise.errors import SettingError

#: Start and stop of a part, in code points.
Span = tuple[int, int]

#: What can be protected. Each pattern is tried once a run of its characters: a long run costs no more than itself.
PROTECTED: dict[str, re.Pattern[str]] = {
    "urls": re.compile(
        r"(?:https?|ftp)://[!-~]+|(?<![\w.])www\.[!-~]+|(?<![A-Za-z0-9._+-])[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]+"
    ),
    "numbers": re.compile(r"\d++(?:[.,:/\-]\d++)*+"),
    "code": re.compile(r"```(?s:.*?)```|`[^`\n]+`"),
    "masks": re.compile(r"<\|?[A-Za-z0-9_]{1,30}\|?>|\[[A-Z]{2,10}\]"),
}


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """These kinds in the order of PROTECTED, each once.

    Raises:
        SettingError: One is not known.
    """
    for name in names:
        if name not in PROTECTED:
            raise SettingError(f"protect has {name!r}; it must be one of {', '.join(PROTECTED)}.")
    return tuple(name for name in PROTECTED if name in names)


def spans(text: str, names: Sequence[str] = tuple(PROTECTED)) -> list[Span]:
    """The protected parts of a text, ascending, not overlapping.

    Args:
        text: Any text.
        names: Of PROTECTED: urls (and e-mail addresses), numbers, code (in backticks), masks (<mask>, [MASK], <|end|>).

    Returns:
        Start and stop in code points.
    """
    found = sorted(match.span() for match in chain.from_iterable(PROTECTED[name].finditer(text) for name in names))
    merged: list[Span] = []
    for start, stop in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged

"""Shared: the word runs that two texts have in common, wherever they are in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from excise.evidence.differences import WORDLESS, split


@dataclass(frozen=True)
class Run:
    """A run of words that both texts have.

    Attributes:
        start: First code point in the one text.
        stop: One past the last.
        other: First code point in the other text.
        words: Number of words; code points of scripts without spaces.
    """

    start: int
    stop: int
    other: int
    words: int


def shared(one: str, other: str, shortest: int = 5) -> list[Run]:
    """Longest runs of words of one text that the other has too, case aside, from left to right and apart.

    Args:
        one: The text that is covered.
        other: The text in which its words are looked for.
        shortest: Words of a run at least; a text that is shorter is one run.

    Cost: O(words of both), unless they repeat themselves.
    """
    mine, theirs = _words(one), _words(other)
    shortest = max(1, min(shortest, len(mine)))
    places: dict[tuple[str, ...], list[int]] = {}
    for at in range(len(theirs) - shortest + 1):
        found = places.setdefault(_key(theirs, at, shortest), [])
        if len(found) < _PLACES:
            found.append(at)
    runs, at = [], 0
    while at <= len(mine) - shortest:
        length, place = max(
            ((_common(mine, at, theirs, there), -there) for there in places.get(_key(mine, at, shortest), [])),
            default=(0, 0),
        )
        if length:
            runs.append(Run(mine[at][1], mine[at + length - 1][2], theirs[-place][1], length))
        at += max(1, length)
    return runs


#: Places of one sequence of words that are tried; a table repeats one thousands of times.
_PLACES = 20

_Word = tuple[str, int, int]


def _words(text: str) -> list[_Word]:
    """Words with the code points at which they start and stop."""
    found, at = [], 0
    for piece in split(text):
        if not WORDLESS.fullmatch(piece):
            found.append((piece.casefold(), at, at + len(piece)))
        at += len(piece)
    return found


def _key(words: Sequence[_Word], at: int, count: int) -> tuple[str, ...]:
    return tuple(word for word, _, _ in words[at : at + count])


def _common(mine: Sequence[_Word], at: int, theirs: Sequence[_Word], there: int) -> int:
    most = min(len(mine) - at, len(theirs) - there)
    return next((i for i in range(most) if mine[at + i][0] != theirs[there + i][0]), most)

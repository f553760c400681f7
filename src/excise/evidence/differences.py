"""Differences: texts side by side, the words that differ marked, long stretches that are the same left out."""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from excise.evidence.visible import shown

#: Words, single characters of scripts without spaces, white space, and everything else one by one.
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff66-\uff9d\U00020000-\U0003ffff"
)
_PIECES = re.compile(rf"[{_ALONE}]|\w+?(?=[{_ALONE}])|\w+|\s+|[^\w\s]")

#: difflib takes quadratic time; a longer text is shown by its beginning.
LONGEST = 2000
#: Pairs of equal pieces up to which each of them is tried; beyond (one word a thousand times over) those that come
#: often are matched beside others only. 1,000 times "a" against itself took 30 s without it.
_TRIED = 300_000

#: Characters of a stretch that is the same: shown beside a difference, and left out where at least so many more follow.
_BESIDE, _LEFT_OUT = 60, 120


#: A piece without a word.
WORDLESS = re.compile(r"[\W_]+")


def split(text: str) -> list[str]:
    """A text in pieces that are compared as wholes: words, or code points of scripts without spaces."""
    return _PIECES.findall(text)


def pieces(text: str) -> list[str]:
    """The beginning of a text in pieces."""
    return split(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def differing(one: Sequence[str], other: Sequence[str]) -> tuple[list[bool], list[bool]]:
    """For each piece of both sides whether the other side lacks it there.

    Cost: O(n²) at worst between the beginning and the end that both share; 0.1 s for 2,000 pieces.
    """
    most = min(len(one), len(other))
    head = next((i for i in range(most) if one[i] != other[i]), most)
    tail = next((i for i in range(most - head) if one[-1 - i] != other[-1 - i]), most - head)
    middles = one[head : len(one) - tail], other[head : len(other) - tail]
    often = Counter(middles[1])
    matcher = difflib.SequenceMatcher(None, *middles, autojunk=sum(often[piece] for piece in middles[0]) > _TRIED)
    flags = [False] * len(one), [False] * len(other)
    for action, *ends in matcher.get_opcodes():
        if action != "equal":
            for side, start, stop in ((0, ends[0], ends[1]), (1, ends[2], ends[3])):
                flags[side][head + start : head + stop] = [True] * (stop - start)
    return flags


def marked(removed: str, kept: str) -> tuple[Markup, Markup]:
    """Both texts as HTML, escaped, with <mark> around what the other lacks.

    Args:
        removed: The record that went.
        kept: The record that stays.
    """
    sides = pieces(removed), pieces(kept)
    flags = differing(*sides)
    return rendered(sides[0], flags[0]), rendered(sides[1], flags[1])


def beside(kept: str, others: Sequence[str]) -> tuple[Markup, list[Markup]]:
    """A cluster as HTML: in each member what the kept text lacks is marked, in that what any of the members lacks.

    Long stretches that all share are left out: '⋯ 812 ⋯' stands for 812 of their characters.
    """
    mine, members = pieces(kept), [pieces(text) for text in others]
    lacked = [False] * len(mine)
    told = []
    for member in members:
        flags, theirs = differing(mine, member)
        lacked = [a or b for a, b in zip(lacked, flags, strict=True)]
        told.append(rendered(member, theirs, fold=any(flags) or any(theirs)))
    return rendered(mine, lacked, fold=any(lacked)), told


def rendered(parts: Sequence[str], flags: Sequence[bool], *, fold: bool = False) -> Markup:
    """Pieces as HTML, those that are flagged marked.

    Args:
        parts: The pieces.
        flags: [parts], whether each is marked.
        fold: Leave out the inside of long stretches that are not marked.
    """
    runs = list(_runs(parts, flags))
    found = []
    for place, (flag, text) in enumerate(runs):
        if flag:
            found.append(Markup("<mark>{}</mark>").format(shown(text)))
        elif fold:
            found.append(_folded(text, first=place == 0, last=place == len(runs) - 1))
        else:
            found.append(shown(text))
    return Markup("").join(found)


def _runs(parts: Sequence[str], flags: Sequence[bool]) -> Iterator[tuple[bool, str]]:
    for flag, run in itertools.groupby(zip(flags, parts, strict=True), lambda pair: pair[0]):
        yield flag, "".join(part for _, part in run)


def _folded(text: str, *, first: bool, last: bool) -> Markup:
    """A stretch without its inside; beside a difference, and at the beginning of a text, some of it shows."""
    head, tail = _BESIDE, 0 if last and not first else _BESIDE
    if len(text) < head + tail + _LEFT_OUT:
        return shown(text)
    left = f"{len(text) - head - tail:,}"
    inside = Markup('<span class="fold">⋯ {} ⋯</span>').format(left)
    return shown(text[:head]) + inside + shown(text[len(text) - tail :])

"""Noise: letters inserted, deleted, changed and transposed at random, out of the script they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from excise.data.augment import han
from excise.data.augment.protect import Span
from excise.data.augment.units import ALONE, LETTER, Units, spliced, units

#: Scripts: the ranges their letters lie in, and the letters that are put in.
_SCRIPTS: tuple[tuple[tuple[tuple[int, int], ...], str], ...] = (
    (((0x30, 0x39), (0xFF10, 0xFF19)), "0123456789"),
    (((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF), (0xFF21, 0xFF5A)), "abcdefghijklmnopqrstuvwxyz"),
    (((0x370, 0x3FF), (0x1F00, 0x1FFF)), "αβγδεζηθικλμνξοπρστυφχψω"),
    (((0x400, 0x52F),), "абвгдежзийклмнопрстуфхцчшщъыьэюя"),
    (((0x5D0, 0x5EA),), "אבגדהוזחטיכלמנסעפצקרשת"),
    (((0x620, 0x64A),), "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"),
    (((0x904, 0x939),), "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह"),
    (((0xE01, 0xE2E),), "กขคงจฉชซญฎดตถทธนบปผฝพฟภมยรลวศษสหอ"),
    (
        ((0x3041, 0x3096),),
        "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん",
    ),
    (
        ((0x30A1, 0x30FA),),
        "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン",
    ),
    (
        ((0xAC00, 0xD7A3),),
        "가각간갈감갑강개거건검게겨결경고공과관구국군그금기길나남내너노누는다단달당대더도동되두드들등라로를리마만말면모무문미민바발방배버보부분비사산상새서선성세소수시신실아안않어언없에여연영오와요우운원위유으은을음의이인일있자작장재저적전정제조주중지진차처체추치크키타터트파편포표하한할함해현호화",
    ),
    (((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x2FFFF)), ""),  # filled with common Chinese characters
)
_INSERT, _DELETE, _CHANGE, _TRANSPOSE = range(4)


def noise(text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
    """A text with letters and digits inserted, deleted, changed or transposed, each of the four as often.

    Args:
        text: Any text.
        rng: A generator.
        rate: Probability, in [0, 1], that a letter or digit is where one of the four happens.
        protected: Parts that are to stay as they are.

    Returns:
        A text with at least one letter if there was one. A new letter is of the script, and the case, of the letter it
        replaces or follows; in a script without an alphabet here, letters are only deleted and transposed.
    """
    of = units(text, protected)
    letters = of.free & ((of.kinds == LETTER) | (of.kinds == ALONE))
    places = np.flatnonzero(letters & (rng.random(len(letters)) < rate))
    kinds = (rng.random(len(places)) * 4).astype(np.int64)
    deletable = int(np.count_nonzero((of.kinds == LETTER) | (of.kinds == ALONE))) - 1
    edits: list[tuple[int, int, str]] = []
    done = -1
    for place, kind in zip(places.tolist(), kinds.tolist(), strict=True):
        if place <= done:
            continue
        follows = place + 1 < len(letters) and bool(letters[place + 1])
        new, done, deletable = _edited(of, place, kind, follows, deletable, rng)
        edits.append((int(of.borders[place]), int(of.borders[done + 1]), new))
    return spliced(text, edits)


def _edited(
    of: Units, place: int, kind: int, follows: bool, deletable: int, rng: np.random.Generator
) -> tuple[str, int, int]:
    """What stands there instead, the last character that is replaced, and how many may still be deleted."""
    here = of.character(place)
    if kind == _TRANSPOSE and follows:
        return of.character(place + 1) + here, place + 1, deletable
    if kind == _DELETE and deletable > 0:
        return "", place, deletable - 1
    letters = _alphabet(here)
    if not letters:
        return here, place, deletable
    new = letters[int(rng.random() * len(letters))]
    new = new.upper() if here.isupper() else new
    return (here + new if kind == _INSERT else new), place, deletable


@cache
def _ranges() -> tuple[tuple[int, int, str], ...]:
    return tuple((first, last, letters or han.common()) for ranges, letters in _SCRIPTS for first, last in ranges)


def _alphabet(sign: str) -> str:
    """Letters of the script of a character; '' where none are known, as for emoji."""
    point = ord(sign[0])
    return next((letters for first, last, letters in _ranges() if first <= point <= last), "")

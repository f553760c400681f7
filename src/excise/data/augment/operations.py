"""Operations: those on text by name, and chains of them as they are written: keyboard=0.05+drop=0.1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from excise.data.augment import protect
from excise.data.augment.crop import crop
from excise.data.augment.homoglyphs import homoglyph
from excise.data.augment.keyboard import keyboard
from excise.data.augment.mask import mask
from excise.data.augment.noise import noise
from excise.data.augment.ocr import ocr
from excise.data.augment.protect import PROTECTED, Span
from excise.data.augment.words import drop, swap
from excise.errors import SettingError


class TextOperation(Protocol):
    """What every operation on text is: rate 0 gives the text back as it is."""

    def __call__(self, text: str, rng: np.random.Generator, rate: float, protected: Sequence[Span] = ()) -> str:
        """The text, changed."""


#: The operations on text by name.
TEXT: dict[str, TextOperation] = {
    "noise": noise,
    "keyboard": keyboard,
    "ocr": ocr,
    "homoglyph": homoglyph,
    "drop": drop,
    "swap": swap,
    "crop": crop,
    "mask": mask,
}


@dataclass(frozen=True)
class Operation:
    """Steps that are taken one after the other.

    Attributes:
        steps: Name and rate of each.
    """

    steps: tuple[tuple[str, float], ...]

    @property
    def name(self) -> str:
        """The names, without the rates: keyboard+drop."""
        return "+".join(name for name, _ in self.steps)

    @property
    def written(self) -> str:
        """As it is written: keyboard=0.05+drop=0.1."""
        return "+".join(f"{name}={rate:g}" for name, rate in self.steps)


def parse(written: str, known: Sequence[str] = tuple(TEXT)) -> Operation:
    """An operation as it is written.

    Args:
        written: NAME=RATE, or several with '+' between them, taken one after the other.
        known: Names there are.

    Raises:
        SettingError: Not so written, a name is not known, or a rate is not in [0, 1].
    """
    steps = []
    for step in written.split("+"):
        name, sign, number = (part.strip() for part in step.partition("="))
        if name not in known:
            raise SettingError(f"op names {name!r} in {written!r}; it must be one of {', '.join(known)}.")
        try:
            rate = float(number) if sign else math.nan
        except ValueError:
            rate = math.nan
        if not 0 <= rate <= 1:
            raise SettingError(
                f"op is {step.strip()!r} in {written!r}; write NAME=RATE with a rate in [0, 1], such as {name}=0.1, "
                "and + between steps that follow one another."
            )
        steps.append((name, rate))
    return Operation(tuple(steps))


@dataclass(frozen=True)
class TextSettings:
    """How texts are changed.

    Attributes:
        operations: At least one.
        protect: What is never changed, of PROTECTED.
        mask_token: What stands in place of a masked span; not empty.
    """

    operations: tuple[Operation, ...]
    protect: tuple[str, ...] = tuple(PROTECTED)
    mask_token: str = "<mask>"

    def __post_init__(self) -> None:
        if not self.operations:
            raise SettingError(f"op is not given; name one, such as keyboard=0.05, of {', '.join(TEXT)}.")
        names = [operation.name for operation in self.operations]
        if len(set(names)) < len(names):
            raise SettingError(
                f"op names {max(names, key=names.count)} twice; give it once, and --copies for more of them."
            )
        if not self.mask_token.strip() or "\n" in self.mask_token or "\t" in self.mask_token:
            raise SettingError(f"mask_token is {self.mask_token!r}; it must be a word of one line, such as <mask>.")
        object.__setattr__(self, "protect", protect.checked(self.protect))


def changed(text: str, operation: Operation, settings: TextSettings, rng: np.random.Generator) -> str:
    """A text after the steps of an operation; protected parts are looked for anew before each step."""
    for name, rate in operation.steps:
        protected = protect.spans(text, settings.protect)
        if name == "mask":
            text = mask(text, rng, rate, protected, settings.mask_token)
        else:
            text = TEXT[name](text, rng, rate, protected)
    return text

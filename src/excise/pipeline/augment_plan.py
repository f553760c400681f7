"""The plan of an augmentation: what was asked for, checked before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from excise.adapters.files.layouts import Fields
from excise.data.augment import operations
from excise.data.augment.draw import Drawing
from excise.errors import SettingError


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        drawing: What is drawn.
        fields: What the user said about fields.
        balance: Share of the largest class that each class is to reach, or None.
        held_out: Whether files that look like test sets are augmented too.
        marks: Whether added records say where they come from, where their format can.
        corrupt: 'stop' or 'reject'.
    """

    drawing: Drawing
    fields: Fields
    balance: float | None
    held_out: bool
    marks: bool
    corrupt: Literal["stop", "reject"]

    def as_dict(self) -> dict[str, Any]:
        """Plain data: the settings that the result depends on."""
        texts = self.drawing.texts
        return {
            "op": [operation.written for operation in texts.operations],
            "copies": None if self.balance is not None else self.drawing.copies,
            "share": self.drawing.share,
            "balance": self.balance,
            "protect": list(texts.protect),
            "mask_token": texts.mask_token,
            "held_out": self.held_out,
            "marks": self.marks,
            "corrupt": self.corrupt,
            "seed": self.drawing.seed,
            "text": self.fields.text,
            "id": self.fields.id,
            "label": self.fields.label,
        }


def planned(
    op: Sequence[str],
    copies: int | None,
    share: float,
    balance: str | None,
    text: str | None,
    label: str | None,
    id_: str | None,
    protected: Sequence[str],
    mask_token: str,
    held_out: bool,
    marks: bool,
    corrupt: Literal["stop", "reject"],
    seed: int,
) -> Plan:
    """A plan of the settings of `augment`.

    Raises:
        SettingError: One is out of range, or two exclude each other.
    """
    for name, value in (("op", op), ("protect", protected)):
        if isinstance(value, str):
            raise SettingError(f"{name} is {value!r}; give a list, such as ['{value}'].")
    if corrupt not in {"stop", "reject"}:
        raise SettingError(f"corrupt is {corrupt!r}; it must be stop or reject.")
    texts = operations.TextSettings(tuple(operations.parse(one) for one in op), tuple(protected), mask_token)
    ratio = None
    if balance is not None:
        if copies is not None or share != 1:
            raise SettingError(
                f"balance is {balance!r} beside {'copies' if copies is not None else 'share'}; both say how many "
                "copies there are. Give one of them."
            )
        field, ratio = _balance(balance)
        if label not in {None, field}:
            raise SettingError(f"balance names the field {field!r} and label {label!r}; give the same, or one of them.")
        label = field
    drawing = Drawing(texts, 1 if copies is None else copies, share, seed)
    return Plan(drawing, Fields(text, None, id_, label), ratio, held_out, marks, corrupt)


def _balance(written: str) -> tuple[str, float]:
    field, sign, number = written.rpartition("=")
    try:
        ratio = float(number) if sign else 1.0
    except ValueError:
        ratio = float("nan")
    if not 0 < ratio <= 1 or not (field or not sign):
        raise SettingError(
            f"balance is {written!r}; write FIELD, or FIELD=SHARE with the share of the largest class, "
            "above 0 and at most 1."
        )
    return (field, ratio) if sign else (written, ratio)

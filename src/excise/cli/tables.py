"""The before/after table, the same in every command that shows one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from excise.evidence import numbers
from excise.evidence.quantities import QUANTITIES

if TYPE_CHECKING:
    from rich.table import Table

Row = tuple[str, str, str, str, str]

_COLOURS = {"gain": "green", "loss": "red", "level": "default"}


def measure_row(name: str, measure: Mapping[str, Any]) -> Row:
    """One measured quantity: label, before, after, change (coloured), 95 % interval."""
    return (
        QUANTITIES[name].label[0],
        numbers.shown(name, measure["before"]),
        numbers.shown(name, measure["after"]),
        f"[{_COLOURS[numbers.effect(name, measure)]}]{numbers.change(measure)}[/]",
        numbers.interval(name, measure),
    )


def before_after(rows: Iterable[Row]) -> Table:
    """A table of rows."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("", "before", "after", "change", "95 % interval"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table

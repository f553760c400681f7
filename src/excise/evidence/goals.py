"""Goals: `NAME OP VALUE[x|%|unit]`, e.g. `bytes<=0.3x`, `bpb<=1.02x`, `memory<500MB`, `top1>=95%`.

`x` (and `%`) state a multiple of BEFORE; a plain number or a unit is absolute. `top1` and `kl` compare with BEFORE by
their nature and take no `x`; for them `%` is a hundredth. The same grammar with `=` alone is a target: it
steers a run.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from excise.errors import SettingError
from excise.evidence.quantities import ALIASES, QUANTITIES, UNITS

_GRAMMAR = re.compile(
    r"\s*(?P<name>\w+)\s*(?P<op><=|>=|<|>|=)\s*(?P<value>\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)\s*(?P<unit>\S*)\s*"
)
_EXAMPLES = "bytes<=0.3x, bpb<=1.02x, latency<=0.8x, memory<=500MB, top1>=95%"
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": lambda a, b: math.isclose(a, b, rel_tol=1e-9),
}


@dataclass(frozen=True)
class Goal:
    """One goal, as it was typed.

    Attributes:
        name: Key of QUANTITIES.
        op: <=, >=, <, > or =.
        value: The number as typed, before its unit is applied.
        unit: '', 'x', '%' or a unit of the quantity's dimension.
    """

    name: str
    op: str
    value: float
    unit: str = ""

    def __str__(self) -> str:
        number = repr(self.value).removesuffix(".0")
        return f"{self.name}{self.op}{number}{self.unit}"

    @property
    def relative(self) -> bool:
        """Whether the goal is a multiple of BEFORE."""
        return self.unit == "x" or (self.unit == "%" and QUANTITIES[self.name].relative)

    @property
    def limit(self) -> float:
        """The number to compare with: a ratio for relative goals, else in the quantity's base unit."""
        if self.unit == "%":
            return self.value / 100
        return self.value * UNITS[QUANTITIES[self.name].dimension].get(self.unit, 1)

    def holds(self, measured: float) -> bool:
        """Whether a measured ratio or value is on the right side of the limit."""
        return _COMPARE[self.op](measured, self.limit)


def parse(text: str, *, setting: str = "goal", ops: Sequence[str] = tuple(_COMPARE)) -> Goal:
    """Read one goal, or with `ops=("=",)` one target.

    Args:
        text: What the user typed.
        setting: What to call it in an error.
        ops: Comparisons that are allowed here.

    Raises:
        SettingError: Not in the grammar, an unknown name or unit; lists what is allowed.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise SettingError(
            f"{setting} is {text!r}; expected NAME, one of {' '.join(ops)}, then a number with x, % or a unit. "
            f"Names: {', '.join(QUANTITIES)}. Examples: {_EXAMPLES}."
        )
    name, op, unit = ALIASES.get(match["name"], match["name"]), match["op"], match["unit"]
    if name not in QUANTITIES:
        raise SettingError(
            f"{setting} is {text!r}; {name!r} is not measured. Names: {', '.join(QUANTITIES)}. Examples: {_EXAMPLES}."
        )
    if op not in ops:
        raise SettingError(f"{setting} is {text!r}; write {' or '.join(f'{name}{o}…' for o in ops)}.")
    value = float(match["value"])
    if not math.isfinite(value):
        raise SettingError(f"{setting} is {text!r}; the number is too large.")
    quantity = QUANTITIES[name]
    if unit == "x" and not quantity.relative:
        raise SettingError(
            f"{setting} is {text!r}; {name} compares with BEFORE already and takes no x. "
            f"Example: {'top1>=95%' if name == 'top1' else f'{name}<=0.02'}."
        )
    allowed = (["x"] if quantity.relative else []) + ["%"] * (name != "kl") + list(UNITS[quantity.dimension])
    if unit not in ("", *allowed):
        raise SettingError(
            f"{setting} is {text!r}; {unit!r} is not a unit of {name}. "
            f"Write a plain number or one of: {', '.join(allowed)}."
        )
    return Goal(name, op, value, unit)


@dataclass(frozen=True)
class Judgement:
    """A goal and what became of it.

    Attributes:
        goal: As typed.
        measured: Ratio to BEFORE for relative goals, else the value in base units.
        interval: 95 % interval of `measured`; None for exact quantities, and where it is not known.
        outcome: 'met' or 'not met' where the whole interval is on one side, else 'undecided'; also undecided where a
            quantity is not exact and its interval is not known.
        missed: The measured value itself is on the wrong side: this is what the exit code tells.
    """

    goal: str
    measured: float
    interval: tuple[float, float] | None
    outcome: str
    missed: bool
    name: str
    relative: bool
    limit: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "goal": self.goal,
            "name": self.name,
            "relative": self.relative,
            "limit": self.limit,
            "measured": self.measured,
            "interval": None if self.interval is None else list(self.interval),
            "outcome": self.outcome,
            "missed": self.missed,
        }


def judge(goals: Sequence[Goal], measures: Mapping[str, Mapping[str, Any]]) -> list[Judgement]:
    """Hold each goal against what was measured.

    Args:
        goals: Parsed goals.
        measures: `Evidence.measures`: name to before, after, ratio, interval {after, difference, ratio}.

    Raises:
        SettingError: The quantity was not measured in this comparison (e.g. bytes of a model in memory).
    """
    return [_judge(goal, measures) for goal in goals]


def _judge(goal: Goal, measures: Mapping[str, Mapping[str, Any]]) -> Judgement:
    measure = measures.get(goal.name)
    kind = "ratio" if goal.relative else "after"
    measured = None if measure is None else measure.get(kind)
    if measure is None or measured is None:
        known = ", ".join(n for n, m in measures.items() if m.get(kind) is not None)
        raise SettingError(f"goal is {str(goal)!r}; {goal.name} was not measured here. Measured: {known}.")
    intervals = measure.get("interval")
    bounds = None if intervals is None else intervals.get(kind)
    interval = None if bounds is None else (float(bounds[0]), float(bounds[1]))
    missed = not goal.holds(measured)
    sides = {goal.holds(end) for end in (measured, *(interval or ()))}
    unsure = len(sides) > 1 or (intervals is not None and bounds is None)
    outcome = "undecided" if unsure else "not met" if missed else "met"
    return Judgement(str(goal), measured, interval, outcome, missed, goal.name, goal.relative, goal.limit)

"""Numbers as people read them: 11.5 MB, 3.2 ms, 0.20x, -80 %."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from excise.evidence.quantities import QUANTITIES

_STEPS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(count: float) -> str:
    """Bytes with a decimal prefix."""
    for factor, unit in _STEPS:
        if abs(count) >= factor:
            return f"{three(count / factor)} {unit}"
    return f"{count:.0f} B"


def three(value: float) -> str:
    """Three significant digits, without an exponent; thousands are grouped."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if abs(value) >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def shown(name: str, value: float | None) -> str:
    """A value of a quantity with its unit; a dash where there is none."""
    return "–" if value is None else _WRITTEN[QUANTITIES[name].dimension](value)


_WRITTEN: dict[str, Callable[[float], str]] = {
    "bytes": size,
    "count": "{:,.0f}".format,
    "fraction": lambda value: f"{100 * value:.1f} %",
    "time": lambda value: f"{three(value)} ms",
    "rate": lambda value: f"{three(value)} tok/s",
    "bits": "{:.3f}".format,
    "nats": lambda value: f"{value:.3f}" if value >= 0.001 or value == 0 else f"{value:.1e}",
    "number": three,
}


def percent(ratio: float) -> str:
    """A ratio as a signed change; from threefold on as a multiple."""
    if ratio >= 3:
        return f"{three(ratio)}×"
    change = 100 * (ratio - 1)
    digits = 0 if abs(change) >= 9.95 else 1
    text = f"{change:+.{digits}f}".replace("-", "−")
    return "±0 %" if float(f"{change:.{digits}f}") == 0 else f"{text} %"


def change(measure: Mapping[str, Any]) -> str:
    """How a measure moved."""
    return "" if measure.get("ratio") is None else percent(measure["ratio"])


def interval(name: str, measure: Mapping[str, Any]) -> str:
    """The 95 % interval: of the change where there is one, else of the value."""
    bounds = measure.get("interval") or {}
    if bounds.get("ratio"):
        low, high = (percent(end) for end in bounds["ratio"])
        return f"{low.removesuffix(' %') if high.endswith('%') else low} … {high}"
    if bounds.get("after"):
        return " … ".join(shown(name, end) for end in bounds["after"])
    return ""


def effect(name: str, measure: Mapping[str, Any]) -> str:
    """'gain', 'loss' or 'level': whether a measure moved for the better, as far as its interval tells."""
    known, ratio = measure.get("interval"), measure.get("ratio")
    if ratio is None or (known is not None and "ratio" not in known):
        return "level"
    low, high = (ratio, ratio) if known is None else known["ratio"]
    better, worse = (high < 1, low > 1) if QUANTITIES[name].lower_is_better else (low > 1, high < 1)
    return "gain" if better else "loss" if worse else "level"


def goal_value(goal: Mapping[str, Any], value: float) -> str:
    """A measured value in the terms in which its goal was stated."""
    return f"{value:.3f}×" if goal["relative"] else shown(goal["name"], value)

"""Plots: small SVG figures for the report, the same bytes each time.

Colours are drawn as marks and turned into CSS variables, text stays text: one figure serves light, dark and Chinese.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from excise.evidence import numbers
from excise.evidence.visible import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Marks that matplotlib carries through unchanged, and the page's variables they become.
INK, FAINT, BEFORE, AFTER = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {INK: "var(--ink)", FAINT: "var(--rule)", BEFORE: "var(--before)", AFTER: "var(--after)"}

_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.linewidth": 1,
    "figure.facecolor": "none",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "grid.color": FAINT,
}
#: Inches. A figure is shown at about this width on a phone and somewhat larger on a desktop.
_WIDTH = 5.2
_LONGEST_LABEL = 26


@contextmanager
def _figure(
    name: str, height: float, columns: int = 1, chinese: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[Figure, Sequence[Axes], Callable[[], str]]]:
    """A figure, its axes, and how to render it. No pyplot: nothing global is opened or set."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"excise-{name}"}), warnings.catch_warnings():
        # Text is laid out with a font that has no Chinese, and drawn by the reader's browser with one that has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)[0]
        yield figure, list(axes), lambda: _svg(figure, chinese)


def _svg(figure: Figure, chinese: Mapping[str, str]) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # several figures share a page
    text = re.sub(r'(<svg [^>]*?) ?height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) ?width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)  # not needed inside HTML
    for english, translated in chinese.items():
        label = Markup('><tspan lang="en">{}</tspan><tspan lang="zh">{}</tspan></text>').format(english, translated)
        text = text.replace(f">{escape(english)}</text>", label)
    for mark, variable in _VARIABLES.items():
        text = text.replace(mark, variable)
    return text.replace("<svg ", '<svg role="img" ', 1)


def before_after(
    name: str,
    rows: Sequence[tuple[str, float, float]],
    shown: Callable[[float], str],
    chinese: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Horizontal bars, two a row.

    Args:
        name: Of the figure, unique on its page.
        rows: (label, before, after).
        shown: Writes a value beside its bar.
        chinese: Labels in Chinese by their English.
    """
    with _figure(name, 0.35 + 0.62 * len(rows), chinese=chinese) as (_, (axes,), render):
        most = max((max(b, a) for _, b, a in rows), default=0) or 1
        for place, (_, before, after) in enumerate(rows):
            for value, colour, shift in ((before, BEFORE, -0.19), (after, AFTER, 0.19)):
                axes.barh(place + shift, value, height=0.34, color=colour)
                axes.text(value + most * 0.015, place + shift, shown(value), va="center", fontsize=10)
        _name_rows(axes, [row[0] for row in rows], most)
        return render()


def _name_rows(axes: Any, names: Sequence[str], most: float) -> None:
    """Names at the left, from the top down; no axis below, since each bar has its number beside it."""
    axes.set_yticks(range(len(names)), [_label(name) for name in names])
    axes.set_xlim(0, most * 1.22)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.invert_yaxis()


def layer_errors(name: str, errors: Sequence[float]) -> str:
    """Relative output error of each layer in order, logarithmic; exact zeros are left out."""
    from matplotlib.ticker import LogLocator, NullLocator

    with _figure(name, 2.5) as (_, (axes,), render):
        places = [i for i, e in enumerate(errors) if e > 0]
        axes.scatter([i + 1 for i in places], [errors[i] for i in places], s=18, color=AFTER, linewidths=0)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: numbers.three(value))
        axes.grid(axis="y", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlim(0, len(errors) + 1)
        return render()


def spread(
    name: str, panels: Sequence[tuple[dict[str, Any], dict[str, Any]]], shown: Sequence[Callable[[float], str]]
) -> str:
    """Rounds of both models, one panel a quantity: a bar to the median, the middle half, a dot a round.

    Args:
        name: Of the figure.
        panels: (before, after), each {median, low, high, rounds}.
        shown: Writes the median of each panel.
    """
    with _figure(name, 1.75, columns=len(panels)) as (_, panes, render):
        for axes, sides, write in zip(panes, panels, shown, strict=True):
            for place, (side, colour) in enumerate(zip(sides, (BEFORE, AFTER), strict=True)):
                axes.barh(place, side["median"], height=0.36, color=colour, alpha=0.25)
                axes.barh(place, side["high"] - side["low"], left=side["low"], height=0.36, color=colour, alpha=0.5)
                axes.scatter(side["rounds"], [place] * len(side["rounds"]), s=14, color=colour, linewidths=0)
                axes.plot([side["median"]] * 2, [place - 0.26, place + 0.26], color=colour, linewidth=2)
                axes.text(side["median"], place - 0.33, write(side["median"]), ha="center", va="bottom", fontsize=10)
            axes.set_ylim(1.5, -0.75)
            axes.set_yticks([])
            axes.set_xlim(left=0, right=1.12 * max(max(s["rounds"]) for s in sides))
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(axis="x", labelsize=9)
        return render()


def _label(text: str) -> str:
    """Short, without characters that act, and never read as mathematics."""
    text = visible(text)
    text = text if len(text) <= _LONGEST_LABEL else "…" + text[-_LONGEST_LABEL + 1 :]
    return text.replace("$", r"\$")

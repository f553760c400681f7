"""Distribution: a small histogram as SVG, what goes set apart from what stays by the threshold between them.

A page may hold dozens; each is about 2 kB of hand-made SVG in the page's own colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

#: In units of the drawing: the plot, room above it for the threshold's number and below for the axis.
_WIDTH, _HEIGHT, _ABOVE, _BELOW, _MARGIN = 340.0, 84.0, 16.0, 18.0, 6.0


def distribution(
    edges: Sequence[float],
    counts: Sequence[float],
    threshold: Sequence[float | None] = (None, None),
    *,
    logarithmic: bool = False,
) -> Markup:
    """Bars whose height is the square root of the count, so that a few records beside many still show.

    Args:
        edges: Ascending, one more than counts.
        counts: Of what lies between two edges.
        threshold: What is kept lies from the first to the second; None leaves that side open.
        logarithmic: Ten times as much is equally far everywhere; all edges are above 0.
    """

    def place(value: float) -> float:
        return math.log10(max(value, edges[0])) if logarithmic else value

    low, high = place(edges[0]), place(edges[-1])
    scale = (_WIDTH - 2 * _MARGIN) / ((high - low) or 1.0)
    most = max(counts, default=0) or 1

    def x(value: float) -> float:
        return _MARGIN + (min(max(place(value), low), high) - low) * scale

    floor = _ABOVE + _HEIGHT
    parts = []
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        if count:
            tall = max(1.5, _HEIGHT * (count / most) ** 0.5)
            colour = "var(--gone)" if _beyond((left + right) / 2, threshold) else "var(--before)"
            wide = max(0.5, x(right) - x(left) - 1)
            parts.append(
                f'<rect x="{x(left) + 0.5:.1f}" y="{floor - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
                f'fill="{colour}"><title>{_short(left)} – {_short(right)}: {count:,.0f}</title></rect>'
            )
    parts.append(_line(_MARGIN, floor, _WIDTH - _MARGIN, floor, "var(--rule)"))
    for limit in threshold:
        if limit is not None and edges[0] <= limit <= edges[-1]:
            parts.append(_line(x(limit), _ABOVE - 2, x(limit), floor, "var(--ink)", dashed=True))
            parts.append(_text(x(limit), _ABOVE - 5, _short(limit), _anchor(x(limit))))
    parts.append(_text(_MARGIN, floor + 13, _short(edges[0]), "start"))
    parts.append(_text(_WIDTH - _MARGIN, floor + 13, _short(edges[-1]), "end"))
    box = f"0 0 {_WIDTH:.0f} {_ABOVE + _HEIGHT + _BELOW:.0f}"
    return Markup(f'<svg role="img" viewBox="{box}">{"".join(parts)}</svg>')


def _beyond(value: float, threshold: Sequence[float | None]) -> bool:
    least, most = threshold
    return (least is not None and value < least) or (most is not None and value > most)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="3 2"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dash}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11">{text}</text>'


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return "0" if abs(value) < 1e-6 else f"{value:.3g}"


def _anchor(x: float) -> str:
    return "start" if x < 24 else "end" if x > _WIDTH - 24 else "middle"

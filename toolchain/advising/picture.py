"""Advice as SVG: points lost against latency and against energy, one mark per deployment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from spikec.advising.choosing import joules, loss, loss_interval
from spikec.advising.numbers import distance, energy
from spikec.advising.trials import PURPOSES
from spikec.reporting.front import front
from spikec.reporting.numbers import engineering
from spikec.reporting.page.html import Html, join, tag

if TYPE_CHECKING:
    from spikec.advising.advice import Advice, Row
    from spikec.sweeping.store import Result

_PANEL, _HEIGHT, _LEFT, _TOP, _BOTTOM, _GAP = 400.0, 260.0, 64.0, 92.0, 52.0, 44.0
_COLOURS = {"streaming": "#2563c9", "lossless": "#14805a", "graded": "#c2620b"}
#: Losses beyond this many points are drawn at the bottom, as triangles.
_DEEPEST = 10.0
_STYLE = (
    "text{fill:#1b1f24}.back{fill:#fff}.grid{stroke:#e4e7eb}.axis{fill:#5a636e}.front{fill:none;stroke-opacity:.5;"
    "stroke-dasharray:4 3}.network{stroke:#1b1f24;stroke-width:1.2}.ring{fill:none;stroke:#1b1f24;stroke-width:1.6}"
    ".title{font-weight:600}.label{font-weight:600;paint-order:stroke;stroke:#fff;stroke-width:3px}"
)

Scale = Callable[[float], float]


def drawn(advice: Advice) -> str:
    """The drawing, with its numbers as titles of the marks."""
    rows = [row for row in advice.rows if row.usable and row.result is not None]
    results = [row.result for row in rows if row.result is not None]
    deepest = max(1.0, min(_DEEPEST, math.ceil(max(100 * loss_interval(result)[1] for result in results))))
    highest = min(1.0, max(0.0, max(-100 * loss_interval(result)[0] for result in results)))

    def y(points: float) -> float:
        clipped = min(max(points, -highest), deepest)
        return _TOP + (clipped + highest) / (deepest + highest) * _HEIGHT

    width = _LEFT + 2 * _PANEL + _GAP + 24
    height = _TOP + _HEIGHT + _BOTTOM
    parts = [
        tag("rect", class_="back", width=width, height=height),
        tag("text", f"{advice.model} on {advice.data}, {advice.title}", x=_LEFT, y=24, class_="title", font_size=16),
        tag("text", _caption(results), x=_LEFT, y=44, class_="axis"),
        *_legend(),
    ]
    steps = [float(result["latency_steps"]) for result in results]
    parts += _panel(advice, rows, steps, _LEFT, y, deepest, "latency, steps from image to answer", lambda v: f"{v:g}")
    if all(math.isfinite(joules(result)) for result in results):
        costs = [joules(result) for result in results]
        name = f"energy per image on {advice.title}, median of the estimate"
        parts += _panel(
            advice, rows, costs, _LEFT + _PANEL + _GAP, y, deepest, name, lambda v: engineering(v, "J"), named=False
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="sans-serif" font-size="12"><style>{_STYLE}</style>{join(parts)}</svg>\n'
    )


def _caption(results: Sequence[Result]) -> str:
    images = sorted({int(result["images"]) for result in results})
    number = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
    return f"points against the network on {number} held-out training images, 95 % intervals; rings: recommended"


def _legend() -> list[Html]:
    parts = []
    for index, purpose in enumerate(PURPOSES):
        x = _LEFT + 6 + index * 110
        parts += [_mark(purpose, x, 64.0, False), tag("text", purpose, x=x + 12, y=68)]
    return parts


def _panel(
    advice: Advice,
    rows: Sequence[Row],
    values: Sequence[float],
    left: float,
    y: Scale,
    deepest: float,
    title: str,
    written: Callable[[float], str],
    named: bool = True,
) -> list[Html]:
    low, high = min(values) / 1.15, max(values) * 1.15

    def x(value: float) -> float:
        return round(left + math.log(value / low) / math.log(high / low) * _PANEL, 1)

    parts = _grid(left, y, deepest, named)
    for value in _ticks(low, high):
        parts.append(tag("line", x1=x(value), x2=x(value), y1=_TOP, y2=_TOP + _HEIGHT, class_="grid"))
        parts.append(
            tag("text", written(value), x=x(value), y=_TOP + _HEIGHT + 18, text_anchor="middle", class_="axis")
        )
    middle = left + _PANEL / 2
    parts.append(tag("text", title, x=middle, y=_TOP + _HEIGHT + 40, text_anchor="middle"))
    points = [
        (value, 100 * loss(row.result)) for row, value in zip(rows, values, strict=True) if row.result is not None
    ]
    for purpose, colour in _COLOURS.items():
        own = [point for row, point in zip(rows, points, strict=True) if row.trial.purpose == purpose]
        ahead = sorted(dict.fromkeys(point for point, best in zip(own, front(own), strict=True) if best))
        line = " ".join(f"{x(value)},{y(lost):.1f}" for value, lost in ahead)
        if len(ahead) > 1:
            parts.append(tag("polyline", points=line, class_="front", stroke=colour))
    chosen = {each.trial.id for each in advice.recommendations.values()}
    for row, (value, lost) in zip(rows, points, strict=True):
        if row.result is not None:
            parts.append(_point(row, row.result, x(value), y, lost, deepest, row.trial.id in chosen))
    named_points = [(row, at) for row, at in zip(rows, points, strict=True) if row.trial.id in chosen]
    return parts + _labels([(row.trial.label, x(value), y(lost)) for row, (value, lost) in named_points], left)


def _grid(left: float, y: Scale, deepest: float, named: bool) -> list[Html]:
    """Lines for whole steps of points, with their names at the left; that of the network is darker."""
    spacing = next(step for step in (0.2, 0.5, 1.0, 2.0) if deepest / step <= 6)
    parts = []
    for index in range(int(deepest / spacing + 1e-9) + 1):
        at = round(y(index * spacing), 1)
        kind = "network" if index == 0 else "grid"
        parts.append(tag("line", x1=left, x2=left + _PANEL, y1=at, y2=at, class_=kind))
        name = "network" if index == 0 else f"-{index * spacing:g}"
        if named:
            parts.append(tag("text", name, x=left - 8, y=at + 4, text_anchor="end", class_="axis"))
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Values 1, 2 and 5 times a power of ten within the axis."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [part * 10.0**power for power in powers for part in (1, 2, 5) if low <= part * 10.0**power <= high]


def _point(row: Row, result: Result, x: float, y: Scale, lost: float, deepest: float, chosen: bool) -> Html:
    low, high = (100 * bound for bound in loss_interval(result))
    at, colour = round(y(lost), 1), _COLOURS[row.trial.purpose]
    told = f"{row.trial.label}: {distance(result)} points, {result['latency_steps']} steps, {energy(result)}"
    if lost > deepest:
        shape = tag("path", d=f"M{x - 5},{at - 8}h10l-5,8z", fill=colour)
        return tag("g", tag("title", told), shape)
    bar = tag("line", x1=x, x2=x, y1=round(y(low), 1), y2=round(y(high), 1), stroke=colour, stroke_opacity=0.45)
    return tag("g", tag("title", told), bar, _mark(row.trial.purpose, x, at, chosen))


def _mark(purpose: str, x: float, y: float, chosen: bool) -> Html:
    colour = _COLOURS[purpose]
    if purpose == "streaming":
        shape = tag("circle", cx=x, cy=y, r=4.5, fill=colour)
    elif purpose == "lossless":
        shape = tag("rect", x=round(x - 4, 1), y=round(y - 4, 1), width=8, height=8, fill=colour)
    else:
        shape = tag("path", d=f"M{x:g},{round(y - 5.5, 1)}l5.5,5.5l-5.5,5.5l-5.5,-5.5z", fill=colour)
    ring = [tag("circle", class_="ring", cx=x, cy=y, r=9)] if chosen else []
    return tag("g", shape, *ring)


def _labels(found: Sequence[tuple[str, float, float]], left: float) -> list[Html]:
    """Names of the recommended marks above the panel's lines, moved down where two would overlap."""
    parts: list[Html] = []
    taken: list[tuple[float, float, float]] = []
    for text, x, y in sorted(found, key=lambda item: item[2]):
        wide = 7.3 * len(text)
        start = min(max(left, x - wide / 2), left + _PANEL - wide)
        height = y - 14
        while any(abs(height - other) < 14 and start < last and start + wide > first for first, last, other in taken):
            height += 14
            if abs(height - y) < 14:
                height = y + 22
        taken.append((start, start + wide, height))
        parts.append(tag("text", text, x=round(start, 1), y=round(height, 1), class_="label"))
    return parts

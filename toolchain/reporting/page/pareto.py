"""What is gained against what it costs, one mark for each deployment, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spikec.reporting.page.chart import WIDTH, chart, label, line, linear, log_ticks, logarithmic, mark
from spikec.reporting.page.curve import Scale
from spikec.reporting.page.html import Html, tag

_HEIGHT = 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 14.0, 26.0, 40.0


@dataclass(frozen=True)
class Mark:
    """One deployment: ``cost`` > 0 across, ``value`` up with its interval; ``group`` gives colour and shape; ``best``:
    it lies on the front; ``ringed``: it is recommended."""

    cost: float
    value: float
    low: float
    high: float
    told: str
    group: int = 0
    best: bool = False
    ringed: bool = False


def pareto(
    title: str, marks: Sequence[Mark], scale: Scale, axes: tuple[str, str], written: Callable[[float], str],
    level: tuple[float, str] | None = None,
) -> Html:  # fmt: skip
    """``axes``: the names of both; ``written``: a cost in words; ``level``: a value to compare with, and its name."""
    low, high = min(m.cost for m in marks) / 1.25, max(m.cost for m in marks) * 1.25
    if high < 4 * low:  # so that there are at least two ticks
        low, high = low / 2, high * 2
    x = logarithmic(low, high, _LEFT, WIDTH - _RIGHT)
    y = linear(scale.low, scale.high, _HEIGHT - _BOTTOM, _TOP)
    parts: list[Html] = [label(axes[0], 4, 10, "tick")]
    for value, told in scale.ticks:
        parts.append(line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "grid"))
        parts.append(label(told, _LEFT - 6, y(value) + 4, "tick end"))
    for value in log_ticks(low, high, 6):
        parts.append(line(x(value), _TOP, x(value), _HEIGHT - _BOTTOM, "grid"))
        parts.append(label(written(value), x(value), _HEIGHT - _BOTTOM + 18, "tick middle"))
    parts.append(label(axes[1], (_LEFT + WIDTH - _RIGHT) / 2, _HEIGHT - 4, "tick middle"))
    if level is not None and scale.low <= level[0] <= scale.high:
        parts.append(line(_LEFT, y(level[0]), WIDTH - _RIGHT, y(level[0]), "reference"))
    for group in sorted({m.group for m in marks}):
        front = sorted((m for m in marks if m.group == group and m.best), key=lambda m: m.cost)
        if len(front) > 1:
            points = " ".join(f"{x(m.cost)},{y(_inside(m.value, scale))}" for m in front)
            parts.append(tag("polyline", points=points, class_=f"track-line k{group} front"))
    parts += [_drawn(m, x(m.cost), y, scale) for m in marks]
    if level is not None and scale.low <= level[0] <= scale.high:
        parts.append(label(level[1], WIDTH - _RIGHT, y(level[0]) + 14, "label ann end"))
    described = "; ".join(m.told for m in marks)
    return chart(title, described, WIDTH, _HEIGHT, parts, "near")


def _inside(value: float, scale: Scale) -> float:
    return min(max(value, scale.low), scale.high)


def _drawn(m: Mark, x: float, y: Callable[[float], float], scale: Scale) -> Html:
    at = y(_inside(m.value, scale))
    ends = y(_inside(m.low, scale)), y(_inside(m.high, scale))
    parts = tag("line", x1=x, x2=x, y1=ends[0], y2=ends[1], class_=f"whisker k{m.group}")
    if m.value < scale.low:  # below what is drawn
        parts = tag("path", d=f"M{x - 5:g} {at - 8:g}h10l-5 8z", class_=f"s{m.group}")
    else:
        parts = Html(parts + shape_of(m.group, x, at))
    if m.ringed:
        parts = Html(parts + tag("circle", cx=x, cy=at, r=9, class_="ring"))
    return mark(parts, m.told)


def shape_of(group: int, x: float, y: float) -> Html:
    """A shape for each group besides its colour."""
    kind = f"s{group}"
    if group % 3 == 1:
        return tag("rect", x=round(x - 4, 1), y=round(y - 4, 1), width=8, height=8, class_=kind)
    if group % 3 == 2:
        return tag("path", d=f"M{x:g} {y - 5.5:g}l5.5 5.5l-5.5 5.5l-5.5 -5.5z", class_=kind)
    return tag("circle", cx=x, cy=y, r=4.5, class_=kind)


def legend(names: Sequence[str]) -> Html:
    """The groups by name, each with its shape."""
    items = [
        tag("li", tag("svg", shape_of(i, 8, 8), viewBox="0 0 16 16", class_="key", aria_hidden="true"), name)
        for i, name in enumerate(names)
    ]
    return tag("ul", *items, class_="legend")

"""Quality against the step of the readout, as inline SVG. Colours come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spikec.reporting.numbers import percent, significant
from spikec.reporting.page.html import Html, tag

Axis = Callable[[float], float]

_WIDTH, _HEIGHT = 640.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 92.0, 14.0, 40.0


@dataclass(frozen=True)
class Point:
    """``value`` when the readout is taken after ``timesteps`` steps, from ``low`` to ``high``; ``mark`` says it."""

    timesteps: int
    value: float
    low: float
    high: float
    mark: str


@dataclass(frozen=True)
class Scale:
    """The vertical axis: from ``low`` to ``high``, with a line and a text at each of ``ticks``."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


def shares(values: Sequence[float]) -> Scale:
    """An axis for shares, in percent, up to 100 %."""
    floor = max(0.0, math.floor((min(values) - 0.005) * 20) / 20)
    spacing = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (1.0 - floor) / s <= 5.001)
    ticks = (1.0 - index * spacing for index in range(round((1.0 - floor) / spacing) + 1))
    return Scale(floor, 1.0, tuple((tick, percent(tick, 0)) for tick in ticks if tick >= floor - 1e-9))


def numbers(values: Sequence[float]) -> Scale:
    """An axis for other numbers: at most six ticks at 1, 2 or 5 times a power of ten, from 0 where all are positive and
    0 is not far."""
    low, high = min(values), max(values)
    if 0 <= low < 0.7 * high:
        low = 0.0
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 5))
    spacing = next(f * power for f in (1, 2, 5, 10, 20) if span / (f * power) <= 5)
    first, last = math.floor(low / spacing + 1e-9), math.ceil(high / spacing - 1e-9)
    last = max(last, first + 1)
    ticks = tuple((i * spacing, significant(i * spacing, 3)) for i in range(first, last + 1))
    return Scale(first * spacing, last * spacing, ticks)


def curve(title: str, points: Sequence[Point], deployed: int, ann: float | None, scale: Scale) -> Html:
    """A line through ``points`` with its 95 % band; ``deployed``: the T that gets the large dot; ``ann``: the level of
    the trained network."""
    steps = [p.timesteps for p in points]

    def x(step: float) -> float:
        first, last = steps[0], max(steps[-1], steps[0] + 1)
        return round(_LEFT + (step - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_TOP + (scale.high - value) / (scale.high - scale.low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = [*_grid(scale, x, y, steps)]
    band = [f"{x(p.timesteps)},{y(p.high)}" for p in points]
    band += [f"{x(p.timesteps)},{y(p.low)}" for p in reversed(points)]
    parts.append(tag("polygon", points=" ".join(band), class_="band"))
    if ann is not None:
        level = y(ann)
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=level, y2=level, class_="reference"))
    line = " ".join(f"{x(p.timesteps)},{y(p.value)}" for p in points)
    parts.append(tag("polyline", points=line, class_="curve"))
    for p in points:
        radius = 5 if p.timesteps == deployed else 3
        parts.append(tag("circle", tag("title", p.mark), cx=x(p.timesteps), cy=y(p.value), r=radius, class_="dot"))
    parts += _end_labels(points[-1].value, ann, y)
    return tag(
        "svg",
        tag("title", title),
        tag("desc", "; ".join(p.mark for p in points)),
        *parts,
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
        class_="chart",
    )


def _grid(scale: Scale, x: Axis, y: Axis, steps: Sequence[int]) -> list[Html]:
    parts = []
    for value, told in scale.ticks:
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", told, x=_LEFT - 8, y=y(value) + 4, class_="tick end"))
    stride = max(1, math.ceil(len(steps) / 16))
    for step in steps[::stride]:
        parts.append(tag("text", step, x=x(step), y=_HEIGHT - _BOTTOM + 18, class_="tick middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(tag("text", "steps T before the readout", x=middle, y=_HEIGHT - 4, class_="tick middle"))
    return parts


def _end_labels(last: float, ann: float | None, y: Axis) -> list[Html]:
    left = _WIDTH - _RIGHT + 10
    snn_y = y(last) + 4
    if ann is None:
        return [tag("text", "integer SNN", x=left, y=snn_y, class_="label snn")]
    ann_y = y(ann) + 4
    if abs(ann_y - snn_y) < 16:  # keep the two names apart, the higher one on top
        middle = (ann_y + snn_y) / 2
        snn_y, ann_y = (middle - 8, middle + 8) if last > ann else (middle + 8, middle - 8)
    return [
        tag("text", "integer SNN", x=left, y=round(snn_y, 1), class_="label snn"),
        tag("text", "ANN", x=left, y=round(ann_y, 1), class_="label ann"),
    ]


__all__ = ["Point", "Scale", "curve", "numbers", "shares"]

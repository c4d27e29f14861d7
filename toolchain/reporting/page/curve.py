"""Quality against the step of the readout, as inline SVG. Colours come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spikec.reporting.numbers import percent, significant
from spikec.reporting.page.chart import WIDTH, Axis, chart, label, line, linear, mark
from spikec.reporting.page.html import Html, tag

_HEIGHT = 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 66.0, 14.0, 40.0


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
    x = linear(steps[0], max(steps[-1], steps[0] + 1), _LEFT, WIDTH - _RIGHT)
    y = linear(scale.low, scale.high, _HEIGHT - _BOTTOM, _TOP)
    parts = _grid(scale, x, y, steps)
    band = [f"{x(p.timesteps)},{y(p.high)}" for p in points]
    band += [f"{x(p.timesteps)},{y(p.low)}" for p in reversed(points)]
    parts.append(tag("polygon", points=" ".join(band), class_="band"))
    if ann is not None:
        parts.append(line(_LEFT, y(ann), WIDTH - _RIGHT, y(ann), "reference"))
    path = " ".join(f"{x(p.timesteps)},{y(p.value)}" for p in points)
    parts.append(tag("polyline", points=path, class_="curve"))
    for p in points:
        radius = 5.5 if p.timesteps == deployed else 3
        parts.append(mark(tag("circle", cx=x(p.timesteps), cy=y(p.value), r=radius, class_="dot"), p.mark))
    parts += _end_labels(points[-1].value, ann, y)
    return chart(title, "; ".join(p.mark for p in points), WIDTH, _HEIGHT, parts, "near")


def _grid(scale: Scale, x: Axis, y: Axis, steps: Sequence[int]) -> list[Html]:
    parts = []
    for value, told in scale.ticks:
        parts.append(line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "grid"))
        parts.append(label(told, _LEFT - 6, y(value) + 4, "tick end"))
    stride = max(1, math.ceil(len(steps) / 12))
    for step in steps[::stride]:
        parts.append(label(step, x(step), _HEIGHT - _BOTTOM + 18, "tick middle"))
    parts.append(label("steps T before the readout", (_LEFT + WIDTH - _RIGHT) / 2, _HEIGHT - 4, "tick middle"))
    return parts


def _end_labels(last: float, ann: float | None, y: Axis) -> list[Html]:
    """The names of the two lines, at the right."""
    left, snn_y = WIDTH - _RIGHT + 9, y(last) + 4
    if ann is None:
        return [label("spiking", left, snn_y, "label snn")]
    ann_y = y(ann) + 4
    if abs(ann_y - snn_y) < 16:  # keep the two names apart, the higher one on top
        middle = min(max((ann_y + snn_y) / 2, _TOP + 12), _HEIGHT - _BOTTOM - 8)
        snn_y, ann_y = (middle - 8, middle + 8) if last > ann else (middle + 8, middle - 8)
    return [label("spiking", left, snn_y, "label snn"), label("network", left, ann_y, "label ann")]


__all__ = ["Point", "Scale", "curve", "numbers", "shares"]

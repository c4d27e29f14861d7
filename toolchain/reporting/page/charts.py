"""Inline SVG. Colours come from the style sheet, so one drawing serves light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from spikec.reporting.numbers import interval, percent, proportion
from spikec.reporting.page.html import Html, tag

if TYPE_CHECKING:
    from spikec.reporting.value import CurvePoint

Axis = Callable[[float], float]

_WIDTH, _HEIGHT = 640.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 92.0, 14.0, 40.0


def accuracy_curve(points: Sequence[CurvePoint], deployed: int, ann: float | None) -> Html:
    """Accuracy against the step at which the readout is taken, with its 95 % band and the ANN's level."""
    values = [p.accuracy.low for p in points] + ([ann] if ann is not None else [])
    floor = max(0.0, math.floor((min(values) - 0.005) * 20) / 20)
    steps = [p.timesteps for p in points]

    def x(step: float) -> float:
        first, last = steps[0], max(steps[-1], steps[0] + 1)
        return round(_LEFT + (step - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_TOP + (1.0 - value) / (1.0 - floor) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = [*_grid(floor, x, y, steps)]
    band = [f"{x(p.timesteps)},{y(p.accuracy.high)}" for p in points]
    band += [f"{x(p.timesteps)},{y(p.accuracy.low)}" for p in reversed(points)]
    parts.append(tag("polygon", points=" ".join(band), class_="band"))
    if ann is not None:
        level = y(ann)
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=level, y2=level, class_="reference"))
    line = " ".join(f"{x(p.timesteps)},{y(p.accuracy.value)}" for p in points)
    parts.append(tag("polyline", points=line, class_="curve"))
    for p in points:
        mark = f"T = {p.timesteps}: {proportion(p.accuracy)} ({interval(p.accuracy)})"
        radius = 5 if p.timesteps == deployed else 3
        parts.append(
            tag("circle", tag("title", mark), cx=x(p.timesteps), cy=y(p.accuracy.value), r=radius, class_="dot")
        )
    parts += _end_labels(points[-1].accuracy.value, ann, y)
    described = "; ".join(f"T = {p.timesteps}: {proportion(p.accuracy)}" for p in points)
    return tag(
        "svg",
        tag("title", "Accuracy against the number of steps"),
        tag("desc", described),
        *parts,
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
        class_="chart",
    )


def _grid(floor: float, x: Axis, y: Axis, steps: Sequence[int]) -> list[Html]:
    parts = []
    spacing = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (1.0 - floor) / s <= 5.001)
    for index in range(round((1.0 - floor) / spacing) + 1):
        value = 1.0 - index * spacing
        if value < floor - 1e-9:
            break
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", percent(value, 0), x=_LEFT - 8, y=y(value) + 4, class_="tick end"))
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


def _strip(*parts: Html, described: str, class_: str = "strip") -> Html:
    """A drawing for a table cell: 100 x 10 units, stretched to the cell, no text in it."""
    return tag(
        "svg",
        tag("title", described),
        *parts,
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        class_=class_,
    )


def _box(start: float, end: float, class_: str, top: float = 0.0, height: float = 10.0, least: float = 0.0) -> Html:
    width = max(end - start, least)
    start = min(start, 100.0 - width)
    return tag("rect", x=f"{start:.2f}", y=f"{top:g}", width=f"{width:.2f}", height=f"{height:g}", class_=class_)


def fraction_bar(value: float, described: str) -> Html:
    """A bar from 0 to ``value`` of 1."""
    return _strip(
        _box(0, 100, "track", 2, 6), _box(0, 100 * min(max(value, 0.0), 1.0), "fill", 2, 6), described=described
    )


def log_position(value: float, low: float, high: float) -> float:
    """Position of ``value``, 0 to 100, on a logarithmic axis from ``low`` to ``high``; clipped to the axis."""
    clipped = min(max(value, low), high)
    return 100 * math.log(clipped / low) / math.log(high / low)


def band_strip(value: float, band: tuple[float, float], axis: tuple[float, float], described: str) -> Html:
    """A mark on a logarithmic axis with ``band`` shaded."""
    at = log_position(value, *axis)
    return _strip(
        _box(0, 100, "track", 4.5, 1),
        _box(log_position(band[0], *axis), log_position(band[1], *axis), "shade"),
        _box(at - 1, at + 1, "mark"),
        described=described,
    )


def range_strip(low: float, middle: float, high: float, axis: tuple[float, float], slot: int, described: str) -> Html:
    """p5 to p95 as a bar and p50 as a mark, on a logarithmic axis."""
    at = log_position(middle, *axis)
    return _strip(
        _box(0, 100, "track", 4.5, 1),
        _box(log_position(low, *axis), log_position(high, *axis), f"s{slot} soft", 2, 6, least=1),
        _box(at - 0.8, at + 0.8, "mark"),
        described=described,
    )


def stacked_bar(shares: Sequence[tuple[str, float, int]], described: str) -> Html:
    """A bar of parts side by side, each given as (name, share of the whole, colour slot)."""
    parts, start = [], 0.0
    for name, share, slot in shares:
        piece = _box(start, start + 100 * share, f"s{slot}")
        parts.append(tag("g", tag("title", f"{name}: {percent(share, 0)}"), piece))
        start += 100 * share
    return _strip(*parts, described=described, class_="stack")


def tornado_strip(low: float, middle: float, high: float, axis: tuple[float, float], described: str) -> Html:
    """A bar between the totals at both ends of a constant's interval, on a linear axis, with a mark at ``middle``."""

    def at(value: float) -> float:
        return 100 * (value - axis[0]) / (axis[1] - axis[0])

    ends = sorted((at(low), at(high)))
    return _strip(
        _box(ends[0], max(ends[0], min(at(middle), ends[1])), "fill soft", 1.5, 7),
        _box(max(ends[0], min(at(middle), ends[1])), ends[1], "fill", 1.5, 7),
        _box(at(middle) - 0.3, at(middle) + 0.3, "mark"),
        described=described,
    )


def load_bars(loads: Sequence[float]) -> Html:
    """A chart of the number of cores in each of ten classes of load, 0 to 100 %."""
    classes = [0] * 10
    for load in loads:
        classes[min(9, int(load * 10 - 1e-9))] += 1
    width, height, base = 480.0, 120.0, 96.0
    step = width / 10
    parts: list[Html] = []
    for index, number in enumerate(classes):
        tall = round(number / max(classes) * (base - 18), 1)
        span = f"{10 * index} to {10 * index + 10} %"
        bar = tag("rect", tag("title", f"{number} at {span}"), x=round(index * step + 3, 1), y=round(base - tall, 1),
                  width=round(step - 6, 1), height=tall, class_="bar")  # fmt: skip
        middle = round((index + 0.5) * step, 1)
        parts.append(bar)
        if number:
            parts.append(tag("text", f"{number:,}", x=middle, y=round(base - tall - 4, 1), class_="tick middle"))
        parts.append(tag("text", f"{10 * index + 10} %", x=middle, y=height - 8, class_="tick middle"))
    described = "; ".join(f"up to {10 * i + 10} %: {n}" for i, n in enumerate(classes) if n)
    return tag(
        "svg",
        tag("title", "Cores by load"),
        tag("desc", described),
        tag("line", x1=0, x2=width, y1=base, y2=base, class_="grid"),
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        class_="chart loads",
    )

"""The break-even curve: how few spikes per synapse a network needs to cost no more than its quantised counterpart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spikec.energy.value import BreakEven, Reference
from spikec.reporting.numbers import significant
from spikec.reporting.page.chart import WIDTH, chart, mark
from spikec.reporting.page.html import Html, tag

_HEIGHT = 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 78.0, 14.0, 40.0


def break_even_chart(found: Reference) -> Html:
    """``s_star`` over reuse, both logarithmic, with the measured spikes per synapse; empty where nothing can be drawn.

    A point whose median is not positive (no number of spikes is few enough) ends the curve; a band that reaches zero is
    drawn down to the axis.
    """
    drawn = _drawable(found.curve)
    if len(drawn) < 2 or found.spikes_per_synapse <= 0:
        return Html("")
    values = [found.spikes_per_synapse]
    for point in drawn:
        values += [point.s_star.p50, point.s_star.p95]
    low = 10.0 ** math.floor(math.log10(min(values) / 1.5))
    high = 10.0 ** math.ceil(math.log10(max(values) * 1.2))
    last = found.curve[-1].reuse

    def x(reuse: float) -> float:
        return round(_LEFT + math.log(reuse) / math.log(last) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        share = math.log(min(max(value, low), high) / low) / math.log(high / low)
        return round(_TOP + (1.0 - share) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts: list[Html] = []
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        value = 10.0**power
        parts.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", f"{value:g}", x=_LEFT - 8, y=y(value) + 4, class_="tick end"))
    for point in found.curve:
        parts.append(tag("text", point.reuse, x=x(point.reuse), y=_HEIGHT - _BOTTOM + 18, class_="tick middle"))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    axis = "operations per fetched value"
    parts.append(tag("text", axis, x=middle, y=_HEIGHT - 4, class_="tick middle"))
    band = [f"{x(p.reuse)},{y(p.s_star.p95)}" for p in drawn]
    band += [f"{x(p.reuse)},{y(p.s_star.p5)}" for p in reversed(drawn)]
    parts.append(tag("polygon", points=" ".join(band), class_="band"))
    level = y(found.spikes_per_synapse)
    parts.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=level, y2=level, class_="reference"))
    line = " ".join(f"{x(p.reuse)},{y(p.s_star.p50)}" for p in drawn)
    parts.append(tag("polyline", points=line, class_="curve"))
    for p in drawn:
        dot = tag("circle", cx=x(p.reuse), cy=y(p.s_star.p50), r=3, class_="dot")
        parts.append(mark(dot, f"reuse {p.reuse}: {_described(p)}"))
    parts += _labels(level, x(drawn[-1].reuse), y(drawn[-1].s_star.p50), significant(found.spikes_per_synapse))
    described = "; ".join(f"reuse {p.reuse}: {_described(p)}" for p in found.curve)
    told = f"{described}; measured: {significant(found.spikes_per_synapse)}"
    title = "Break-even spikes per synapse against data reuse"
    return chart(title, told, WIDTH, _HEIGHT, parts, "near")


def _drawable(curve: Sequence[BreakEven]) -> list[BreakEven]:
    """Points up to the first without a positive median."""
    found = []
    for point in curve:
        if point.s_star.p50 <= 0:
            break
        found.append(point)
    return found


def _described(point: BreakEven) -> str:
    s = point.s_star
    if s.p50 <= 0:
        return "never"
    low = significant(s.p5) if s.p5 > 0 else "never"
    return f"{significant(s.p50)} ({low} to {significant(s.p95)})"


def _labels(measured: float, end: float, curve: float, value: str) -> list[Html]:
    """Names of the two lines: the measured one at the right border, the curve where it ends."""
    right = WIDTH - _RIGHT + 10
    curve_y, measured_y = curve + 4, measured + 4
    if end > right - 20 and abs(curve_y - measured_y) < 32:
        middle = (curve_y + measured_y) / 2
        curve_y, measured_y = (middle - 16, middle + 16) if curve < measured else (middle + 16, middle - 16)
    return [
        tag("text", "break-even", x=end + 10, y=round(curve_y, 1), class_="label snn"),
        tag("text", "measured", x=right, y=round(measured_y - 7, 1), class_="label ann"),
        tag("text", value, x=right, y=round(measured_y + 8, 1), class_="label ann"),
    ]

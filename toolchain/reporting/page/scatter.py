"""Numbers predicted against those wanted, as inline SVG."""

from __future__ import annotations

from spikec.reporting.details import Predicted
from spikec.reporting.numbers import significant
from spikec.reporting.page.chart import WIDTH, chart, label, line, linear, mark
from spikec.reporting.page.curve import numbers
from spikec.reporting.page.html import Html, tag

_HEIGHT = 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 12.0, 10.0, 40.0


def scatter(found: Predicted) -> Html:
    """Points on the line are right."""
    scale = numbers([value for point in found.points for value in point])
    x = linear(scale.low, scale.high, _LEFT, WIDTH - _RIGHT)
    y = linear(scale.low, scale.high, _HEIGHT - _BOTTOM, _TOP)
    parts: list[Html] = []
    for value, told in scale.ticks:
        parts.append(line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "grid"))
        parts.append(label(told, _LEFT - 6, y(value) + 4, "tick end"))
        parts.append(label(told, x(value), _HEIGHT - _BOTTOM + 18, "tick middle"))
    parts.append(line(x(scale.low), y(scale.low), x(scale.high), y(scale.high), "reference"))
    for wanted, predicted in found.points:
        dot = tag("circle", cx=x(wanted), cy=y(predicted), r=2.6, class_="point")
        parts.append(mark(dot, f"wanted {significant(wanted, 4)}, predicted {significant(predicted, 4)}"))
    parts.append(label("wanted", (_LEFT + WIDTH - _RIGHT) / 2, _HEIGHT - 4, "tick middle"))
    parts.append(
        tag("text", "predicted", class_="tick middle", transform=f"translate(11 {_HEIGHT / 2 - 10:g}) rotate(-90)")
    )
    told = f"{found.shown} of {found.total} numbers; points on the dashed line are right"
    return chart(f"Predicted against wanted, {found.head}", told, WIDTH, _HEIGHT, parts, "near")

"""How a decision forms: the value of each output after every step, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from spikec.reporting.numbers import significant
from spikec.reporting.page.chart import chart, label, line, linear, mark
from spikec.reporting.page.curve import numbers
from spikec.reporting.page.html import Html, tag
from spikec.words import shortened

_WIDTH, _HEIGHT = 300.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 84.0, 10.0, 34.0
_SPACE = 13.0
#: Letters of a name that fit beside the lines.
_LETTERS = 13


def tracks(names: Sequence[str], values: Sequence[Sequence[float]], title: str, wanted: int | None) -> Html:
    """``values`` of each of ``names``, at least two after each other; ``wanted``: the one that is right."""
    steps = len(values[0])
    scale = numbers([value for each in values for value in each])
    x = linear(1, steps, _LEFT, _WIDTH - _RIGHT)
    y = linear(scale.low, scale.high, _HEIGHT - _BOTTOM, _TOP)
    parts: list[Html] = []
    for value, told in scale.ticks:
        parts.append(line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), "grid"))
        parts.append(label(told, _LEFT - 5, y(value) + 4, "tick end"))
    for step in sorted({1, steps, *range(1, steps + 1, max(1, -(-steps // 6)))}):
        if step in (1, steps) or x(steps) - x(step) > 22:
            parts.append(label(step, x(step), _HEIGHT - _BOTTOM + 16, "tick middle"))
    parts.append(label("step", (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4, "tick middle"))
    for index, (name, each) in enumerate(zip(names, values, strict=True)):
        path = " ".join(f"{x(step)},{y(value)}" for step, value in enumerate(each, 1))
        dashed = "" if wanted is None or index == wanted else " dashed"
        parts.append(tag("polyline", points=path, class_=f"track-line k{index}{dashed}"))
        for step, value in enumerate(each, 1):
            dot = tag("circle", cx=x(step), cy=y(value), r=2.5, class_=f"s{index}")
            parts.append(mark(dot, f"{name}, step {step}: {significant(value, 3)}"))
    ends = _apart([y(each[-1]) for each in values])
    for index, (name, at) in enumerate(zip(names, ends, strict=True)):
        bold = " bold" if index == wanted else ""
        parts.append(label(shortened(name, _LETTERS), _WIDTH - _RIGHT + 7, at + 4, f"tick k{index}{bold}"))
    told = "; ".join(f"{name}: {significant(each[-1], 3)} at the end" for name, each in zip(names, values, strict=True))
    return chart(title, told, _WIDTH, _HEIGHT, parts, "near small")


def _apart(places: Sequence[float]) -> list[float]:
    """``places`` in their order, moved so that names do not overlap and stay inside."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    found, least = list(places), _TOP
    for index in order:
        found[index] = least = max(places[index], least)
        least += _SPACE
    over = max(0.0, max(found) - (_HEIGHT - _BOTTOM))
    return [round(place - over, 1) for place in found]

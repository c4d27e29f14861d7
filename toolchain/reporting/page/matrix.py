"""A confusion matrix as inline SVG: rows are labels, columns predictions, shaded by their share of the row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spikec.reporting.page.chart import WIDTH, chart, label, mark
from spikec.reporting.page.html import Html, tag

_LEFT, _TOP, _RIGHT, _BOTTOM = 34.0, 30.0, 4.0, 4.0
#: Classes up to which each field answers to a pointer and shows its number.
_NUMBERED = 20
_SHADES = (0.08, 0.2, 0.4, 0.65, 1.0)


def matrix(counts: Sequence[Sequence[int]], unit: str, named: Callable[[int], str] = str) -> Html:
    """``counts`` [label][predicted], of ``unit``; ``named``: what a class is called."""
    number = len(counts)
    side = (WIDTH - _LEFT - _RIGHT) / number
    height = _TOP + number * side + _BOTTOM
    parts = [
        label("predicted class", _LEFT + (WIDTH - _LEFT - _RIGHT) / 2, 11, "tick middle"),
        tag(
            "text", "label", class_="tick middle", transform=f"translate(10 {_TOP + number * side / 2:.1f}) rotate(-90)"
        ),
    ]
    stride = 1 if number <= _NUMBERED else 10
    for index in range(0, number, stride):
        parts.append(label(index, _LEFT + (index + 0.5) * side, _TOP - 5, "tick middle"))
        parts.append(label(index, _LEFT - 5, _TOP + (index + 0.5) * side + 4, "tick end"))
    draw = _fields if number <= _NUMBERED else _shaded
    parts += draw(counts, side, unit, named)
    right = sum(counts[i][i] for i in range(number))
    every = sum(map(sum, counts))
    told = f"{right:,} of {every:,} {unit} on the diagonal"
    return chart("Confusion matrix: labels against predictions", told, WIDTH, height, parts)


def _fields(counts: Sequence[Sequence[int]], side: float, unit: str, named: Callable[[int], str]) -> list[Html]:
    parts = []
    for row, numbers in enumerate(counts):
        whole = sum(numbers) or 1
        for column, number in enumerate(numbers):
            x, y, share = _LEFT + column * side, _TOP + row * side, number / whole
            kind = "right" if row == column else "wrong"
            opacity = round(0.25 + 0.75 * share, 2) if number else None
            cell = tag(
                "rect", x=round(x + 0.5, 1), y=round(y + 0.5, 1), width=round(side - 1, 1), height=round(side - 1, 1),
                class_=kind if number else "none", fill_opacity=opacity,
            )  # fmt: skip
            text = _short(number) if number else ""
            ink = "on-dark" if share > 0.4 else "bold"
            drawn = label(text, x + side / 2, y + side / 2 + 4, f"tick middle {ink}") if text else ""
            what = f"label {named(row)}, predicted {named(column)}"
            told = f"{what}: {number:,} {unit}, {100 * number / whole:.1f} % of the label"
            parts.append(mark(Html(cell + drawn), told))
    return parts


def _shaded(counts: Sequence[Sequence[int]], side: float, *_: object) -> list[Html]:
    """One path for each shade: of a hundred classes there are ten thousand fields."""
    paths: dict[tuple[str, float], list[str]] = {}
    for row, numbers in enumerate(counts):
        whole = sum(numbers) or 1
        for column, number in enumerate(numbers):
            if number:
                shade = next(each for each in _SHADES if number / whole <= each)
                kind = "right" if row == column else "wrong"
                x, y = _LEFT + column * side, _TOP + row * side
                paths.setdefault((kind, shade), []).append(f"M{x:.1f} {y:.1f}h{side:.1f}v{side:.1f}h-{side:.1f}z")
    edge = len(counts) * side
    back = tag("rect", x=_LEFT, y=_TOP, width=round(edge, 1), height=round(edge, 1), class_="none")
    return [back, *(tag("path", d="".join(d), class_=kind, fill_opacity=shade) for (kind, shade), d in paths.items())]


def _short(number: int) -> str:
    return f"{number}" if number < 10_000 else f"{number / 1000:.0f}k" if number < 1e6 else f"{number / 1e6:.0f}M"

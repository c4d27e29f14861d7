"""What neurons emit in each step, as inline SVG: a row for each neuron, a column for each step."""

from __future__ import annotations

from spikec.reporting.details import Raster
from spikec.reporting.page.chart import chart, mark
from spikec.reporting.page.html import Html, tag

_WIDTH, _ROW = 300.0, 4.6
#: Least height, of layers with few neurons.
_LEAST = 44.0
#: Steps up to which each column says how many emit.
_TOLD = 64


def raster(found: Raster) -> Html:
    """Spikes are drawn in one colour, negative ones in another, several at once taller."""
    emitted = [[int(value) for value in row.split()] for row in found.rows]
    tall = min(max(_ROW, _LEAST / len(emitted)), 3 * _ROW)
    steps, height = len(emitted[0]), max(len(emitted) * tall, _LEAST) + 2
    wide = _WIDTH / steps
    bar = min(wide * 0.82, 24.0)
    paths: dict[str, list[str]] = {"plus": [], "minus": [], "several": []}
    for row, values in enumerate(emitted):
        y = 1 + (row + 0.5) * tall
        for step, value in enumerate(values):
            if value:
                kind = "minus" if value < 0 else "several" if value > 1 else "plus"
                paths[kind].append(f"M{(step + 0.5) * wide - bar / 2:.1f} {y:.1f}h{bar:.1f}")
    parts: list[Html] = []
    if steps <= _TOLD:
        for step in range(steps):
            firing = sum(1 for values in emitted if values[step])
            column = tag(
                "rect", x=round(step * wide, 2), y=0, width=round(wide, 2), height=round(height, 1), class_="hit"
            )
            parts.append(mark(column, f"step {step + 1}: {firing} of {len(emitted)} neurons emit"))
    parts += [tag("path", d="".join(d), class_=f"spikes {kind}") for kind, d in paths.items() if d]
    total = sum(1 for values in emitted for value in values if value)
    told = f"{total} emissions of {len(emitted)} of {found.of} neurons in {steps} steps"
    return chart(f"Spikes of {found.layer}", told, _WIDTH, round(height, 1), parts, "raster")

"""Energy per inference of every profile on one logarithmic axis, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from spikec.energy import Estimate
from spikec.reporting import sentences
from spikec.reporting.numbers import engineering, quantiles
from spikec.reporting.page.chart import WIDTH, chart, label, line, log_ticks, logarithmic, mark
from spikec.reporting.page.html import Html, tag

_ROW, _TOP, _BOTTOM, _SIDE = 46.0, 4.0, 24.0, 14.0


def energy_chart(energies: Sequence[Estimate]) -> Html:
    """A bar from p5 to p95 with the median; empty where nothing has an energy."""
    priced = [energy for energy in energies if energy.total.p5 > 0]
    if not priced:
        return Html("")
    low = min(energy.total.p5 for energy in priced) / 1.6
    high = max(energy.total.p95 for energy in priced) * 1.6
    x = logarithmic(low, high, _SIDE, WIDTH - _SIDE)
    base = _TOP + len(priced) * _ROW
    parts: list[Html] = []
    for value in log_ticks(low, high, 5):
        parts.append(line(x(value), _TOP, x(value), base, "grid"))
        parts.append(label(engineering(value, "J", 1), x(value), base + 17, "tick middle"))
    for index, energy in enumerate(priced):
        y, total = _TOP + index * _ROW, energy.total
        told = f"{energy.title}: {sentences.at_least(energy)}{quantiles(total, 'J')} per inference"
        width = max(x(total.p95) - x(total.p5), 2)
        bar = tag("rect", x=x(total.p5), y=y + 22, width=round(width, 1), height=13, rx=3, class_="fill soft")
        middle = tag("rect", x=round(x(total.p50) - 1.5, 1), y=y + 19, width=3, height=19, class_="mark")
        names = label(energy.title, _SIDE, y + 15, "name") + label(
            sentences.total(energy), WIDTH - _SIDE, y + 15, "tick end bold"
        )
        parts.append(mark(Html(names + bar + middle), told))
    described = "; ".join(f"{energy.title}: {quantiles(energy.total, 'J')}" for energy in priced)
    return chart("Energy per inference", described, WIDTH, base + _BOTTOM, parts)

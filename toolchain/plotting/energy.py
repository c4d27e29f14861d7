"""What an image costs, by cause."""

from __future__ import annotations

from spikec.calls import named_arguments
from spikec.energy import Estimate
from spikec.errors import DataError
from spikec.plotting.style import COLOURS, GREY, Axes, drawing, height_of, rows
from spikec.reporting.numbers import prefixed


@named_arguments
def energy(estimate: Estimate, *, ax: Axes | None = None) -> Axes:
    """Energy per image of each item, the largest first, and the total: medians, with the interval from 5 % to 95 %.

    ``estimate``: of ``tc.estimate``. Raises ``DataError`` for anything else.

    >>> ax = tc.plot.energy(estimate)
    >>> ax.get_xlabel().startswith("energy per image")
    True
    """
    if not isinstance(estimate, Estimate):
        raise DataError(f"expected what tc.estimate returns, got {type(estimate).__name__}")
    items = sorted(estimate.items, key=lambda item: -item.p50)
    told = [("total", estimate.total), *((item.name, item.joules) for item in items)]
    by, unit = prefixed(max(each.p95 for _, each in told), "J")
    middle = [each.p50 / by for _, each in told]
    spread = [
        [max(0.0, (each.p50 - each.p5) / by) for _, each in told],
        [max(0.0, (each.p95 - each.p50) / by) for _, each in told],
    ]
    with drawing(ax, height_of(len(told), 0.22)) as ax:
        shades = [COLOURS[4], *[COLOURS[0]] * len(items)]
        ax.barh(range(len(told)), middle, color=shades, height=0.6)
        ax.errorbar(middle, range(len(told)), xerr=spread, fmt="none", ecolor="black", elinewidth=0.8, capsize=2)
        rows(ax, [name for name, _ in told])
        ax.axhline(0.5, color=GREY, linewidth=0.4)
        ax.set_xlim(left=0)
        least = ", at least" if estimate.lower_bound else ""
        ax.set_xlabel(f"energy per image ({unit}){least}, {estimate.title}")
    return ax

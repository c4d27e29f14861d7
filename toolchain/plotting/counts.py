"""How many spikes each layer sends."""

from __future__ import annotations

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.plotting.chosen import trace_of
from spikec.plotting.style import COLOURS, Axes, drawing, height_of, rows
from spikec.reporting.numbers import grouped
from spikec.simulation.trace import Trace


@named_arguments
def counts(trace: Trace, *, ax: Axes | None = None) -> Axes:
    """Spikes per image of each layer, a bar with its number; layers in network order.

    A spike is an emission that is not zero, whatever its payload. Raises ``DataError``.

    >>> ax = tc.plot.counts(trace)
    >>> len(ax.patches)
    2
    """
    totals = trace_of(trace).event_totals or {name: each.sum(axis=0) for name, each in trace.events.items()}
    if not totals:
        raise DataError("the trace holds no counts: run tc.simulate without counts=False")
    values = [float(total.sum()) / trace.images for total in totals.values()]
    with drawing(ax, height_of(len(values))) as ax:
        bars = ax.barh(range(len(values)), values, color=COLOURS[0], height=0.62)
        ax.bar_label(bars, [grouped(float(f"{value:.3g}")) for value in values], padding=2, fontsize="small")
        rows(ax, list(totals))
        ax.set_xlim(0, 1.18 * max(values) or 1)
        ax.set_xlabel("spikes per image")
    return ax

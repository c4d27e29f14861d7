"""How often neurons fire, by layer."""

from __future__ import annotations

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.plotting.chosen import trace_of
from spikec.plotting.style import COLOURS, GREY, Axes, drawing, height_of, rows
from spikec.simulation.trace import Trace


@named_arguments
def rates(trace: Trace, *, ax: Axes | None = None) -> Axes:
    """Firing rates of the neurons of each layer: spikes per step, as means over the images.

    The box is the middle half of the neurons, its line the median, the whiskers reach from 5 % to 95 %, and the dot is
    the mean of the layer. Layers stand in network order. Raises ``DataError``.

    >>> ax = tc.plot.rates(trace)
    >>> len(ax.get_yticks())
    2
    """
    totals = trace_of(trace).event_totals or {name: each.sum(axis=0) for name, each in trace.events.items()}
    if not totals:
        raise DataError("the trace holds no counts: run tc.simulate without counts=False")
    ran = trace.images * (trace.timesteps + trace.extra_steps) if trace.steps is None else int(trace.steps.sum())
    values = [total.reshape(-1) / max(ran, 1) for total in totals.values()]
    with drawing(ax, height_of(len(values))) as ax:
        ax.boxplot(
            values,
            positions=range(len(values)),
            **_sideways(ax),
            whis=(5, 95),
            widths=0.55,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": COLOURS[5], "edgecolor": COLOURS[0], "linewidth": 0.8},
            medianprops={"color": COLOURS[0], "linewidth": 1.2},
            whiskerprops={"color": GREY, "linewidth": 0.8},
            capprops={"color": GREY, "linewidth": 0.8},
            manage_ticks=False,
        )
        ax.plot([float(each.mean()) for each in values], range(len(values)), "o", color=COLOURS[4], markersize=3)
        rows(ax, list(totals))
        ax.set_xlim(left=0)
        ax.set_xlabel("spikes per neuron and step")
    return ax


def _sideways(ax: Axes) -> dict[str, object]:
    """Boxes that lie: matplotlib 3.10 has another word for it."""
    import inspect

    return (
        {"orientation": "horizontal"} if "orientation" in inspect.signature(ax.boxplot).parameters else {"vert": False}
    )

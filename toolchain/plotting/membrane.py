"""Membranes of a few neurons, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.ir.graph import IntegerGraph, Population, leak_of
from spikec.ir.leak import UNIT
from spikec.ir.profile.decode import as_integer
from spikec.plotting.chosen import image_of, recorded
from spikec.plotting.style import Axes, colour, drawing, whole_steps
from spikec.simulation.trace import Trace

if TYPE_CHECKING:
    import nir


@named_arguments
def membrane(
    trace: Trace,
    layer: str,
    *,
    neurons: Sequence[int] = (0, 1, 2),
    image: int = 0,
    graph: nir.NIRGraph | IntegerGraph | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The membranes of ``neurons`` before reset, in integer units, for ``image``; a dot where one fires.

    ``trace``: recorded with ``record="membranes"``. ``layer``: a population or a readout; ``neurons``: their numbers in
    the layer, flattened. ``graph``: the deployment, whose thresholds are drawn as dashed lines of the same colour.
    Raises ``DataError``.

    >>> ax = tc.plot.membrane(membranes, "1", neurons=[0, 5], graph=graph)
    >>> ax.get_ylabel()
    'membrane (integer units)'
    """
    values = recorded(trace, "membranes", layer)
    values, count = values[image_of(trace, image)], values.shape[2]
    wrong = [each for each in neurons if not 0 <= each < count]
    if wrong or not len(neurons):
        raise DataError(f"{layer} has the neurons 0 to {count - 1}; give some of them, not {list(neurons)}")
    node = None if graph is None else as_integer(graph).nodes.get(layer)
    spikes = trace.spikes.get(layer)
    steps = np.arange(1, len(values) + 1)
    with drawing(ax, 2.2) as ax:
        for number, neuron in enumerate(neurons):
            shade = colour(number)
            ax.plot(steps, values[:, neuron], color=shade, label=f"neuron {neuron}", marker=".", markersize=2)
            if isinstance(node, Population):
                unit = 1 if leak_of(node) is None else UNIT
                theta = int(node.theta.reshape(-1)[neuron]) * unit
                ax.axhline(theta, color=shade, linestyle=(0, (4, 2)), linewidth=0.7)
            if spikes is not None:
                fired = np.flatnonzero(spikes.reshape(*spikes.shape[:2], -1)[image, :, neuron])
                ax.plot(steps[fired], values[fired, neuron], "o", color=shade, markersize=4)
        ax.set_xlabel("time step")
        ax.set_ylabel("membrane (integer units)")
        whole_steps(ax)
        ax.legend(
            title="dashed: threshold" if isinstance(node, Population) else None, title_fontsize="small", loc="best"
        )
    return ax

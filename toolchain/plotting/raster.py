"""Spikes of one image, neuron by step."""

from __future__ import annotations

import numpy as np

from spikec.calls import named_arguments
from spikec.plotting.chosen import image_of, recorded, spread, trace_of
from spikec.plotting.style import GREY, Axes, colour, drawing, height_of, short, whole_steps
from spikec.simulation.trace import Trace


@named_arguments
def raster(trace: Trace, layer: str | None = None, *, image: int = 0, most: int = 60, ax: Axes | None = None) -> Axes:
    """The spikes of ``image``: a row for each neuron, a mark for each emission, at its step.

    ``trace``: recorded with ``record="spikes"``. ``layer``: a population; None: all of them, the input at the bottom.
    ``most`` neurons of each are drawn, evenly chosen. Spikes below zero have another colour; a payload is a mark as
    large as it is. Raises ``DataError``.

    >>> ax = tc.plot.raster(trace)
    >>> ax.get_xlabel()
    'time step'
    """
    names = list(trace_of(trace).spikes) if layer is None and trace.spikes else [layer or "all"]
    image = image_of(trace, image)
    found = [recorded(trace, "spikes", name)[image] for name in names]
    kept = [spread(spikes.shape[1], most) for spikes in found]
    lines = sum(map(len, kept))
    with drawing(ax, min(4.5, height_of(lines, 0.03, 0.8) if len(names) == 1 else height_of(lines, 0.02, 0.9))) as ax:
        at, middles = 0, []
        for number, (spikes, rows) in enumerate(zip(found, kept, strict=True)):
            chosen = spikes[:, rows]
            for sign, shade in ((1, colour(number)), (-1, colour(number + 4))):
                step, neuron = np.nonzero(np.sign(chosen) == sign)
                size = np.abs(chosen[step, neuron]).astype(float)
                area = _area(lines) * np.sqrt(size / max(1.0, float(size.max(initial=1))))
                where = rows[neuron] if len(names) == 1 else at + neuron
                ax.scatter(step + 1, where, s=area, c=shade, marker="|" if len(names) == 1 else "s", linewidths=0.8)
            middles.append(at + len(rows) / 2)
            at += len(rows)
            if len(names) > 1 and number:
                ax.axhline(at - len(rows) - 0.5, color=GREY, linewidth=0.4)
        steps = found[0].shape[0]
        ax.set_xlim(0.5, steps + 0.5)
        ax.set_xlabel("time step")
        whole_steps(ax)
        if len(names) == 1:
            ax.set_ylim(-0.5, found[0].shape[1] - 0.5)
            ax.set_ylabel(f"neuron of {short(names[0])}")
            whole_steps(ax, "y")
        else:
            ax.set_ylim(-0.5, at - 0.5)
            ax.set_yticks(middles, [short(name) for name in names])
            ax.tick_params(axis="y", length=0)
    return ax


def _area(lines: int) -> float:
    """Of a mark, in square points, so that those of neighbours do not touch."""
    return float(np.clip(1500 / max(lines, 1), 3, 40))

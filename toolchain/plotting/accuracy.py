"""Accuracy against time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.evidence.intervals import wilson
from spikec.plotting.chosen import trace_of
from spikec.plotting.style import Axes, colour, drawing, level, whole_steps
from spikec.simulation.trace import Trace


@named_arguments
def accuracy(
    traces: Trace | Mapping[str, Any] | Sequence[Trace],
    labels: npt.ArrayLike,
    *,
    network: float | npt.ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of the images that are right when the output is read after each step, with its 95 % interval.

    ``traces``: one; or several of one set of images, by the names of their lines. In place of a trace a list of them
    may stand, of deployments with different T: each is a point at its T, as layerwise schedules need, which have no
    output before the last step. ``labels``: integers [N]. ``network``: the trained network's own accuracy, a share, or
    its outputs [N, classes] for the same images; a dashed line. Raises ``DataError``.

    >>> ax = tc.plot.accuracy(trace, labels, network=0.5)
    >>> ax.get_ylabel()
    'accuracy (%)'
    """
    several = traces if isinstance(traces, Mapping) else {"": traces}
    lines = {name: _line(each, labels) for name, each in several.items()}
    own = None if network is None else _own(network, labels)
    with drawing(ax, 2.3) as ax:
        for number, (name, (steps, right, images)) in enumerate(lines.items()):
            bands = np.array([wilson(count, images)[-2:] for count in right])
            few = {"marker": "o", "markersize": 2.5} if len(steps) <= 32 else {}
            shade, shown = colour(number), name or "spiking network"
            ax.fill_between(steps, *(100 * bands.T), color=shade, alpha=0.18, linewidth=0)
            ax.plot(steps, 100 * np.asarray(right) / images, color=shade, label=shown, **few)
        if own is not None:
            level(ax, 100 * own, f"trained network, {100 * own:.1f} %")
        ax.set_xlabel("time steps T")
        ax.set_ylabel("accuracy (%)")
        whole_steps(ax)
        if len(lines) > 1 or own is not None:
            ax.legend(loc="lower right")
    return ax


def _line(given: Any, labels: npt.ArrayLike) -> tuple[list[int], list[int], int]:
    """Steps, how many images are right at each, and of how many."""
    if isinstance(given, Sequence):
        if not given:
            raise DataError("give one trace at least")
        points = sorted(given, key=lambda trace: trace_of(trace).timesteps)
        right = [int((trace.predictions == trace.classes_of(labels)).sum()) for trace in points]
        return [trace.timesteps for trace in points], right, points[0].images
    trace = trace_of(given)
    wanted, curve = trace.classes_of(labels), trace.output_curve
    if curve is None:
        raise DataError(
            "this schedule has no output before the last step: give a list of traces of deployments with different T"
        )
    right = (curve.argmax(axis=2) == wanted[:, None]).sum(axis=0)
    return list(range(1, curve.shape[1] + 1)), [int(count) for count in right], trace.images


def _own(network: Any, labels: npt.ArrayLike) -> float:
    values = np.asarray(network.detach() if hasattr(network, "detach") else network)
    if values.ndim == 0 and 0 <= float(values) <= 1:
        return float(values)
    given = np.asarray(labels)
    if values.ndim == 2 and len(values) == len(given):
        return float((values.argmax(axis=1) == given).mean())
    raise DataError(
        f"network is the accuracy, a share from 0 to 1, or the outputs [{len(given)}, classes]; it is "
        f"{values if values.ndim == 0 else f'of shape {list(values.shape)}'}"
    )

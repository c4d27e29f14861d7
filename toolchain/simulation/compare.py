"""Where two executions of one graph differ first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.ir.metadata import OUTPUT
from spikec.simulation.trace import Array, Trace


@dataclass(frozen=True)
class Difference:
    """The first difference: layer in network order (``"output"`` for the readout, ``"output boxes"`` where it is called
    otherwise), then image, step and neuron.

    ``quantity`` is what was compared: ``spikes``, ``counts``, ``events`` or ``output``. ``step`` is None where the
    quantity has no steps. ``first`` and ``second`` are the values of the two traces.
    """

    layer: str
    quantity: str
    image: int
    step: int | None
    neuron: tuple[int, ...]
    first: int
    second: int
    targets: tuple[str, str] = ("first", "second")

    def __str__(self) -> str:
        where = f"image {self.image}" + ("" if self.step is None else f", step {self.step}")
        place = self.neuron[0] if len(self.neuron) == 1 else list(self.neuron)
        what = f"value {place}" if self.quantity == "output" else f"{self.quantity} of neuron {list(self.neuron)}"
        return (
            f"{self.layer}: first difference at {where}, {what}: "
            f"{self.first} ({self.targets[0]}) against {self.second} ({self.targets[1]})"
        )


@named_arguments
def compare(a: Trace, b: Trace) -> Difference | None:
    """None when both traces hold the same spikes, counts, events and outputs; else the first difference.

    Layers go in the order of the network. Per layer, rasters are compared where both traces recorded them, then counts,
    then events; last the outputs, per step where both have a curve. What only one trace recorded is not compared.
    Raises ``DataError`` where the two cannot be executions of one graph on the same images: other layers, outputs,
    shapes, numbers of images or steps.

    >>> tc.compare(trace, tc.simulate(graph, images)) is None
    True
    """
    for trace in (a, b):
        if not isinstance(trace, Trace):
            raise DataError(f"expected two traces of tc.simulate or program.run, got {type(trace).__name__}")
    if a.timesteps != b.timesteps:
        raise DataError(f"traces of different runs: {a.timesteps} steps against {b.timesteps}")
    if (a.steps is None) != (b.steps is None):
        raise DataError("traces of different runs: only one of them could stop early (early_exit)")
    labels = (a.target, b.target) if a.target != b.target else ("first", "second")
    for layer, quantity, first, second in _pairs(a, b):
        if first.shape != second.shape:
            raise DataError(
                f"traces of different runs: {quantity} of {layer} has shape {list(first.shape)} "
                f"against {list(second.shape)}"
            )
        found = _first_index(first, second)
        if found is None:
            continue
        image, *rest = found
        step = rest.pop(0) if quantity in ("spikes", "curve") else None
        return Difference(
            layer=layer,
            quantity="output" if quantity == "curve" else quantity,
            image=image,
            step=step,
            neuron=tuple(rest),
            first=int(first[found]),
            second=int(second[found]),
            targets=labels,
        )
    return None


def _pairs(a: Trace, b: Trace) -> Iterator[tuple[str, str, Array, Array]]:
    """What both traces hold, in network order."""
    parts: list[tuple[str, Mapping[str, Array], Mapping[str, Array]]] = [
        ("spikes", a.spikes, b.spikes),
        ("counts", a.counts, b.counts),
        ("events", a.events, b.events),
    ]
    for quantity, first, second in parts:
        if first and second and set(first) != set(second):
            only = sorted(set(first) ^ set(second))
            raise DataError(f"traces of different graphs: only one of them has {quantity} of {', '.join(only)}")
    if list(a.outputs) != list(b.outputs):
        raise DataError(f"traces of different graphs: outputs {', '.join(a.outputs)} against {', '.join(b.outputs)}")
    layers = list(dict.fromkeys([*a.counts, *a.spikes]))
    for layer in layers:
        for quantity, first, second in parts:
            if layer in first and layer in second:
                yield layer, quantity, first[layer], second[layer]
    for name in a.outputs:
        label = OUTPUT if name == OUTPUT else f"{OUTPUT} {name}"
        if name in a.output_curves and name in b.output_curves:
            yield label, "curve", a.output_curves[name], b.output_curves[name]
        yield label, "output", a.outputs[name], b.outputs[name]


def _first_index(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> tuple[int, ...] | None:
    """Index of the first unequal element in C order."""
    unequal = (first != second).reshape(-1)
    if not unequal.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(unequal)), first.shape))

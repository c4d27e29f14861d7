"""syops 0.0.5 (``ops.py``): every call of a layer is all its positions times the mean of what enters it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from spikec.energy.conventions.seen import Layer, Seen
from spikec.errors import UnsupportedOperation
from spikec.implementations import Implementations
from spikec.ir.graph import Population
from spikec.ir.kinds import IF, Kind
from spikec.ir.operations import Affine, Convolution, Flatten, MaxPool, Operation, SumPool, Synapse, Unflatten

_MAC, _AC = 4.6e-12, 0.9e-12  # float32 operations, whatever the weights are

#: (ACs, MACs) of an operation over all images and steps.
OPERATIONS: Implementations[Callable[[Seen, Operation], tuple[float, float]]] = Implementations(
    "rule of syops",
    f"{__name__}.OPERATIONS",
    Operation,
    otherwise=lambda name: UnsupportedOperation(f"syops has no module for {name}"),
)
#: Neurons that syops has a module for, by its name.
NEURONS: Implementations[str] = Implementations(
    "module of syops",
    f"{__name__}.NEURONS",
    Kind,
    otherwise=lambda name: UnsupportedOperation(f"syops has no module for {name}"),
)
NEURONS.register(IF)("IFNode")


def syops(seen: Seen) -> tuple[dict[str, float], list[str]]:
    """ACs and MACs per image, as ``get_model_complexity_info`` returns them for a network of ``nn.Conv2d``,
    ``nn.Linear``, ``nn.AvgPool2d`` and SpikingJelly's ``IFNode`` that computes one step after the other.

    A call whose input has at most two values, both in [0, 1], adds (positions + biases) x mean input to the ACs, any
    other adds them to the MACs. Padding counts; a Linear's bias is counted once per call, a convolution's once per
    image. A pool counts its inputs the same way, an ``IFNode`` all its neurons as ACs. The images of the trace are one
    batch. Raises ``UnsupportedOperation`` for other operations; other neurons count as nothing, and a note says so.
    """
    acs = macs = 0.0
    for synapse in seen.net.synapses:
        added, multiplied = OPERATIONS(synapse)(seen, synapse)
        acs, macs = acs + added, macs + multiplied
    for node in seen.net:
        if isinstance(node, Operation) and not isinstance(node, Synapse):
            added, multiplied = OPERATIONS(node)(seen, node)
            acs, macs = acs + added, macs + multiplied
        elif isinstance(node, Population) and _known(node):
            acs += math.prod(node.shape) * seen.counts.steps * seen.counts.images
    values = {"ACs": acs / seen.counts.images, "MACs": macs / seen.counts.images}
    joules = values["ACs"] * _AC + values["MACs"] * _MAC
    return {**values, "joules": joules}, _notes(seen)


def _known(node: Population) -> bool:
    """Whether syops has a module for its neurons, which emit a spike or none."""
    return node.neuron in NEURONS and node.neuron.binary


@OPERATIONS.register(Convolution)
def _convolution(seen: Seen, node: Operation) -> tuple[float, float]:
    return _synapses(seen, node, biases=seen.counts.images)


@OPERATIONS.register(Affine)
def _linear(seen: Seen, node: Operation) -> tuple[float, float]:
    return _synapses(seen, node, biases=1)


def _synapses(seen: Seen, node: Operation, biases: int) -> tuple[float, float]:
    """(ACs, MACs) of a layer whose bias a call counts ``biases`` times."""
    layer: Layer = next(layer for layer in seen.layers if layer.node is node)
    per_call = layer.counts.padded_macs * seen.counts.images + layer.bias * biases
    calls = seen.calls(layer)
    if calls is not None:
        return _sorted(per_call, calls)
    if layer.binary:
        return per_call * layer.density * layer.steps, 0.0
    return 0.0, float(per_call * layer.steps)


@OPERATIONS.register(SumPool, MaxPool)
def _pool(seen: Seen, pool: Operation) -> tuple[float, float]:
    per_call = math.prod(pool.input_shape) * seen.counts.images
    source = seen.net.nodes[pool.sources[0]]
    if len(pool.sources) == 1 and isinstance(source, Population):
        calls = seen.entering(pool, pool.sources)
        if calls is not None:
            return _sorted(per_call, calls)
        if source.name in seen.counts.events and _known(source):
            return float(seen.counts.events[source.name].sum()), 0.0
    return 0.0, float(per_call * seen.counts.steps)


@OPERATIONS.register(Flatten, Unflatten)
def _flatten(seen: Seen, node: Operation) -> tuple[float, float]:
    return 0.0, 0.0


def _sorted(per_call: int, calls: Iterable[npt.NDArray[np.float64]]) -> tuple[float, float]:
    """(ACs, MACs) of calls by what enters them."""
    acs = macs = 0.0
    for values in calls:
        if _spikes(values):
            acs += per_call * float(values.mean())
        else:
            macs += per_call
    return acs, macs


def _spikes(values: npt.NDArray[np.float64]) -> bool:
    """What syops takes for spikes: at most two values, none below 0 or above 1."""
    return bool(values.min() >= 0 and values.max() <= 1 and len(np.unique(values)) <= 2)


def _notes(seen: Seen) -> list[str]:
    notes = [
        "syops multiplies all positions by the mean of a call's input, so border neurons and padding count like any "
        "other, and so do biases",
        "it counts every neuron of an IFNode as an AC at every step, and the inputs of pools",
        "a call whose input is not two values in [0, 1] (pixels, pools, signs, payloads) is dense: MACs",
        "4.6 and 0.9 pJ are float32 operations in 45 nm without any memory",
    ]
    if seen.missing and any(not layer.binary and not layer.from_input for layer in seen.layers):
        notes.append(f"{seen.missing} calls that might hold two values only are taken for dense")
    if any(layer.chained for layer in seen.layers):
        notes.append("a layer behind another one, without neurons between, sees no spikes: dense")
    if any(not _known(population) for population in seen.net.populations):
        notes.append("neurons that are no IFNode are modules it does not know and counts as nothing")
    return notes

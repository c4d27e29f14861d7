"""The neurons of a lowered graph: its populations and readouts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

import spikec.ir as ig
from spikec.conversion.network import SpikingNetwork
from spikec.conversion.neurons import Neuron
from spikec.ir.integers import held_once
from spikec.quantization.currents import float64
from spikec.quantization.kernels import Float64
from spikec.quantization.maps import Current
from spikec.quantization.scales import Units


def _by_channel(values: Float64 | ig.Int64, shape: ig.Shape) -> npt.NDArray[Any]:
    """One value per output channel (or element), shaped to meet the neurons of a population of ``shape``."""
    if len(values) == shape[0]:
        return np.asarray(values).reshape(-1, *[1] * (len(shape) - 1))
    return np.repeat(np.asarray(values), math.prod(shape) // len(values)).reshape(shape)  # channels that were flattened


def population_of(name: str, neuron: Neuron, current: Current, units: Units, sources: tuple[str, ...]) -> ig.Population:
    """Neurons with thresholds and initial membranes in units of their weights."""
    assert units.theta is not None
    shape = current.shape
    theta, unit = _by_channel(units.theta, shape).astype(np.int64), _by_channel(units.unit, shape)
    offset = np.rint(float64(neuron.offset) / unit).astype(np.int64)
    spread = np.broadcast_to(theta, shape)
    kind = neuron.spec.kind.lowered(spread, neuron.spec.negative)
    return ig.Population(
        name=name,
        sources=sources,
        shape=shape,
        neuron=kind,
        theta=held_once(spread),
        v_init=held_once(np.broadcast_to(theta // 2 + offset, shape)),
        scale=np.atleast_1d(float64(neuron.value)),
    )


def readout(
    network: SpikingNetwork, name: str, output: str, current: Current, units: Units, sources: tuple[str, ...]
) -> ig.Readout:
    """The integrator of ``output``, whose scale is the real value of one unit."""
    steps = max((neuron.averaged for neuron in network.neurons.values()), default=1)
    steps = steps if network.frames is None else network.timesteps
    scale = float(units.unit[0]) / steps
    zero, signal = np.zeros(current.shape, dtype=np.int64), len(network.outputs[output].meta["shape"]) == 2
    return ig.Readout(name, sources, current.shape, zero, scale, output=output, signal=signal)

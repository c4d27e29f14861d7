"""NIR's own equations in float64, step by step: what the integers are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from spikec.conversion.from_nir.dynamics import Dynamics
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.conversion.from_nir.shapes import aligned, kernel_of, pads_of, pair, read_shape, strides_of
from spikec.ir.coding import integers
from spikec.ir.delays import Steps, by_delay

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FloatRun:
    """``spikes`` bool [N, steps, *shape] and ``membranes`` float64 before reset, of each layer that fires; ``outputs``
    float64 [N, steps, *shape]: what each readout gives after each step, by the name of the output. ``currents``: the
    largest magnitude of the current, as it enters the membrane; ``depths``: how far the membrane went below the value
    it resets to (of a readout: how far from 0); by layer, readouts included."""

    spikes: dict[str, npt.NDArray[np.bool_]]
    membranes: dict[str, Float64]
    outputs: dict[str, Float64]
    currents: dict[str, float]
    depths: dict[str, float]


def run_float(network: SequenceNetwork, sequences: Float64, *, coded: bool = True) -> FloatRun:
    """Run sequences float64 [N, steps, *input shape]. ``coded``: the input is first rounded to its 8 bits, so that what
    differs from the integers is not the input."""
    if coded:
        sequences = integers(network.coding, sequences) * network.coding.scale
    images, steps = sequences.shape[:2]
    state = {name: _State(neurons, images) for name, neurons in network.neurons.items()}
    fired: dict[str, list[Float64]] = {
        name: [] for name, neurons in network.neurons.items() if neurons.threshold is not None
    }
    seen: dict[str, list[Float64]] = {name: [] for name in fired}
    outputs: dict[str, list[Float64]] = {name: [] for name in network.outputs}
    for step in range(steps):
        sent: dict[str, Float64] = {}
        for name, node in network.nodes.items():
            if isinstance(node, nir.Input):
                sent[name] = sequences[:, step]
                continue
            parts = [
                _before(network, fired, sequences, a, step, network.delays[a, name])
                if (a, name) in network.delays
                else sent[a]
                for a in network.sources[name]
            ]
            z = np.sum(parts, axis=0)
            if name in state:
                sent[name] = state[name].step(z)
                if name in fired:
                    fired[name].append(sent[name])
                    seen[name].append(state[name].membrane)
            else:
                sent[name] = _linear(node, z, network.shapes[name])
        for name, values in outputs.items():
            values.append(sent[name])
    return FloatRun(
        {name: np.stack(train, axis=1) > 0 for name, train in fired.items()},
        {name: np.stack(train, axis=1) for name, train in seen.items()},
        {name: _read(network, name, np.stack(values, axis=1)) for name, values in outputs.items()},
        {name: each.largest_current for name, each in state.items()},
        {name: each.deepest for name, each in state.items()},
    )


def _read(network: SequenceNetwork, output: str, values: Float64) -> Float64:
    """What a readout gives after each step, from what it reads at each, [N, steps, *shape]."""
    found = values.reshape(*values.shape[:2], *read_shape(values.shape[2:]))
    if network.outputs[output] is None or network.reading == "sum":
        return np.cumsum(found, axis=1)
    return found if network.reading == "last" else np.maximum.accumulate(found, axis=1)


def _before(
    network: SequenceNetwork, fired: dict[str, list[Float64]], sequences: Float64, name: str, step: int, steps: Steps
) -> Float64:
    """What neurons, or the input, sent so many steps before; nothing before the first."""
    found = np.zeros((len(sequences), *network.shapes[name]))
    for delay, senders in by_delay(steps, network.shapes[name]):
        if delay <= step:
            sent = sequences[:, step - delay] if name == network.input else fired[name][step - delay]
            found[:, senders] = sent[:, senders]
    return found


class _State:
    """Neurons of a layer between two steps."""

    def __init__(self, neurons: Dynamics, images: int) -> None:
        self._neurons = neurons
        self._u = np.zeros((images, *neurons.shape))
        self._v = np.zeros_like(self._u)
        self.membrane = self._v
        self.largest_current = self.deepest = 0.0

    def step(self, z: Float64) -> Float64:
        """What they send: spikes, or the membrane of an integrator."""
        n = self._neurons
        self._u = n.keep_u * self._u + n.gain_u * z
        self.membrane = self._v = n.keep_v * self._v + n.gain_v * self._u + n.drive
        self.largest_current = max(self.largest_current, float(np.abs(n.gain_v * self._u).max()))
        below = np.abs(self._v) if n.threshold is None else n.reset - self._v
        self.deepest = max(self.deepest, float(below.max()))
        if n.threshold is None:
            return self._v
        spikes = self.membrane > n.threshold
        after = self.membrane - (n.threshold - n.reset) if n.subtract else np.broadcast_to(n.reset, spikes.shape)
        self._v = np.where(spikes, after, self.membrane)
        return spikes.astype(np.float64)


def _linear(node: nir.NIRNode, x: Float64, shape: tuple[int, ...]) -> Float64:
    """What a node without neurons sends, [N, *shape], for ``x`` [N, *input shape]."""
    match node:
        case nir.Affine() | nir.Linear():
            weight = np.asarray(node.weight, dtype=np.float64)
            bias = np.asarray(getattr(node, "bias", 0.0), dtype=np.float64)
            return np.asarray(x @ weight.T + bias)
        case nir.Scale():
            return np.asarray(x * aligned(node.scale, shape))
        case nir.Conv1d() | nir.Conv2d():
            top, bottom, left, right = pads_of(node)
            padded = F.pad(torch.from_numpy(x), (left, right, top, bottom))
            kernel, shift = (torch.from_numpy(values.copy()) for values in kernel_of(node))
            stride, dilation = strides_of(node)
            out = F.conv2d(padded, kernel, shift, stride, 0, dilation, int(np.asarray(node.groups)))
            return np.asarray(out.numpy())
        case nir.SumPool2d() | nir.AvgPool2d():
            window, stride, padding = pair(node.kernel_size), pair(node.stride), pair(node.padding)
            mean = F.avg_pool2d(torch.from_numpy(x), window, stride, padding).numpy()
            return np.asarray(mean * (window[0] * window[1] if isinstance(node, nir.SumPool2d) else 1))
        case nir.Flatten():
            return x.reshape(len(x), *shape)
    return x  # the output

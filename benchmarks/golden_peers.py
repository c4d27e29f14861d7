"""The golden model's network with the neurons of another simulator: what differs in speed is the neuron and its format.

The image's and biases' part of every synapse is computed once per image and all steps go through a synapse as one
batch, which is more than these packages do by themselves; integers, thresholds and initial membranes are ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spikec.analysis.ranges import bounds
from spikec.ir import IntegerGraph, Population
from spikec.simulation.engines.general import Network, Signal
from spikec.simulation.registers import Watch

#: Input [T, N, *shape] to spikes [T, N, *shape].
Neurons = Callable[[Tensor], Tensor]


class PeerNetwork(Network):
    """``make(threshold, start)`` gives the neurons of a layer; both are float32 [*shape].

    Membranes start half an integer above ``v_init``, so that none is ever on a threshold: packages disagree on ties.
    """

    def __init__(self, graph: IntegerGraph, make: Callable[[Tensor, Tensor], Neurons]) -> None:
        super().__init__(graph, bounds(graph))
        self._neurons = {
            p.name: make(torch.from_numpy(p.theta).float(), torch.from_numpy(p.v_init + 0.5).float())
            for p in graph.populations
        }

    def _fire(self, node: Population, x: Signal, images: int, watch: Watch) -> Tensor:
        steady = self._steady(node, x)
        shape = (self.graph.timesteps, images, *node.shape)
        return self._neurons[node.name](steady.expand(shape) if x.driven is None else x.driven + steady)


def spikingjelly(threshold: Tensor, start: Tensor) -> Neurons:
    """Multi-step IFNode, soft reset."""
    from spikingjelly.activation_based.neuron import IFNode

    one = threshold.flatten()[0]
    assert (threshold == one).all(), "IFNode takes one threshold"
    node = IFNode(v_threshold=float(one), v_reset=None, step_mode="m").eval()

    def run(z: Tensor) -> Tensor:
        node.v = start.expand(z.shape[1:]).clone()
        return node(z)

    return run


def snntorch(threshold: Tensor, start: Tensor) -> Neurons:
    """Leaky without a leak; its reset is due at the start of the next step."""
    from snntorch import Leaky

    node = Leaky(beta=1.0, threshold=threshold, reset_mechanism="subtract").eval()

    def run(z: Tensor) -> Tensor:
        spikes, v = [], start.expand(z.shape[1:]) + (start > threshold) * threshold
        for current in z:
            s, v = node(current, v)
            spikes.append(s)
        return torch.stack(spikes)

    return run


def sinabs(threshold: Tensor, start: Tensor) -> Neurons:
    """IAF with single spikes and no lower bound; it wants [N, T, ...]."""
    from sinabs.activation import SingleSpike
    from sinabs.layers import IAF

    node = IAF(spike_threshold=threshold, spike_fn=SingleSpike, min_v_mem=None).eval()

    def run(z: Tensor) -> Tensor:
        z = z.transpose(0, 1)
        if not node.is_state_initialised():
            node.init_state_with_shape((len(z), *z.shape[2:]))
        node.v_mem = start.expand(len(z), *z.shape[2:]).clone()
        return node(z).transpose(0, 1)

    return run


def norse(threshold: Tensor, start: Tensor) -> Neurons:
    """IAFCell with a step that subtracts, since Norse has none."""
    from norse.torch import IAFCell
    from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters

    from spikec.targets.interop.norse import subtracting_step

    node = IAFCell(p=IAFParameters(v_th=threshold)).eval()
    node.activation = subtracting_step

    def run(z: Tensor) -> Tensor:
        spikes, state = [], IAFFeedForwardState(v=start.expand(z.shape[1:]))
        for current in z:
            s, state = node(current, state)
            spikes.append(s)
        return torch.stack(spikes)

    return run


PEERS = {"spikingjelly": spikingjelly, "snntorch": snntorch, "sinabs": sinabs, "norse": norse}

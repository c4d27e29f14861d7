"""The trained and the spiking network side by side: values of their nodes on calibration images, batch by batch.

Only values that are read again much later are kept: what neurons emit, and what several nodes read. All else between
them is linear and is computed again from these when it is asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from spikec.conversion.network import SpikingNetwork, StepRunner
from spikec.conversion.neurons import Neuron
from spikec.errors import ConversionError

#: Working set in bytes.
BUDGET = 3 * 2**30
#: Bytes of the values of one batch at one node.
_BATCH_BYTES = 2**27
_BATCH = 64
_ALIVE = 4


class Streams:
    """Values of the nodes of ``network``'s graph, and of the same nodes of ``exact``, the traced network it came from.

    ``steps``: steps that the spiking stream has here. Of ``images`` [N, C, H, W] as many are used as memory allows.
    """

    def __init__(self, network: SpikingNetwork, exact: fx.GraphModule, images: Tensor, steps: int) -> None:
        self.network, self.steps = network, steps
        largest = max(torch.Size(n.meta["shape"]).numel() for n in network.graph.graph.nodes if "shape" in n.meta)
        affordable = BUDGET // (largest * (_ALIVE * (4 + steps) + 8 * steps))
        if affordable < 1:
            raise ConversionError("this network is too large for this calibration; use fewer timesteps")
        self.images = images[: int(affordable)]
        self.batches = torch.split(self.images, max(1, min(_BATCH, _BATCH_BYTES // (4 * steps * largest))))
        self._exact = fx.Interpreter(exact)
        self._twins = dict(zip(network.graph.graph.nodes, exact.graph.nodes, strict=True))
        self._spiking = network.graph
        self._kept: dict[fx.Node, list[tuple[Tensor, Any]]] = {}
        nodes = list(network.graph.graph.nodes)
        self._last = {source: reader for reader in nodes for source in reader.all_input_nodes}

    @property
    def drain(self) -> int:
        return self.network.drain if self.steps > 1 else 0

    def exact(self, node: fx.Node, batch: int) -> Tensor:
        """Value of ``node`` in the trained network, [n, *shape]."""
        if node in self._kept:
            return self._kept[node][batch][0]
        if node.op == "placeholder":
            return self.batches[batch]
        self._exact.env = {self._twins[source]: self.exact(source, batch) for source in node.all_input_nodes}
        result: Tensor = self._exact.run_node(self._twins[node])
        return result

    def spiking(self, node: fx.Node, batch: int) -> Tensor:
        """Value of ``node`` in the spiking network at every step, [steps * n, *shape], steps outermost."""
        if node in self._kept:
            kept = self._kept[node][batch][1]
            values: Tensor = kept() if callable(kept) else kept
            return values
        n = len(self.batches[batch])
        driven = (self.steps - self.drain) * n
        if node.op == "placeholder":
            x = self.batches[batch]
            x = x.repeat(self.steps, *([1] * (x.ndim - 1)))
            x[driven:] = 0
            return x
        runner = StepRunner(self._spiking, self.steps, driven, None)
        runner.env = {source: self.spiking(source, batch) for source in node.all_input_nodes}
        result: Tensor = runner.run_node(node)
        return result

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the steps that count of values at every step: [steps * n, *shape] to [n, *shape]."""
        if self.steps == 1:
            return values
        network = self.network
        by_step = values.reshape(self.steps, -1, *values.shape[1:])
        counted = by_step[network.warm_up : network.warm_up + network.timesteps + network.drain]
        return counted.sum(0) / network.timesteps

    def keep(self, node: fx.Node, exact: Tensor, spiking: Any) -> None:
        """Keep the values of the next batch of ``node``; ``spiking`` may be a function that makes them."""
        self._kept.setdefault(node, []).append((exact, spiking))

    def keep_shared(self, node: fx.Node) -> None:
        """Keep a node that several others read."""
        if len(node.users) > 1 and node not in self._kept and node.op != "placeholder":
            batches = range(len(self.batches))
            # All first: as soon as one batch is kept, the node counts as kept.
            for exact, spiking in [(self.exact(node, batch), self.spiking(node, batch)) for batch in batches]:
                self.keep(node, exact, spiking)

    def forget(self, node: fx.Node) -> None:
        """Drop what no node after ``node`` reads. A kept value is read until its last reader's own value is kept or
        computed for the last time, which is at the next kept node behind it."""
        reachable = self._needed_after(node)
        for old in [each for each in self._kept if each not in reachable]:
            del self._kept[old]

    def _needed_after(self, node: fx.Node) -> set[fx.Node]:
        nodes = list(self.network.graph.graph.nodes)
        needed: set[fx.Node] = set()
        waiting = [source for later in nodes[nodes.index(node) + 1 :] for source in later.all_input_nodes]
        while waiting:
            source = waiting.pop()
            if source not in needed:
                needed.add(source)
                if source not in self._kept:
                    waiting += source.all_input_nodes
        return needed


def neuron_at(graph: fx.GraphModule, node: fx.Node) -> Neuron | None:
    """The population at ``node``; None where it is something else."""
    if node.op != "call_module":
        return None
    module = graph.get_submodule(str(node.target))
    return module if isinstance(module, Neuron) else None

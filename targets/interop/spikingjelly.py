"""SpikingJelly: an IF comes in as an IFNode that resets to ``v_reset``."""

from __future__ import annotations

from typing import Any, cast

import nir
from torch import Tensor, nn

from spikec.targets.interop.adapter import HONOURED, Adapter


class SpikingJelly(Adapter):
    """Adjustment: ``v_reset = None``, which makes the reset subtract, and ``dt=1.0`` for r = 1.

    Neurons hold one threshold, a Python float that their compiled step insists on.
    """

    framework = "spikingjelly"
    requirement = "spikingjelly==2.0.0"
    batch_axis = True
    honours = HONOURED - {"per_neuron_threshold"}

    def importer(self, graph: nir.NIRGraph) -> nn.Module:
        from spikingjelly.activation_based.nir_exchange import import_from_nir

        network: nn.Module = import_from_nir(graph, dt=1.0)
        return network

    def load(self, graph: nir.NIRGraph) -> nn.Module:
        network = self.importer(graph)
        for name, node in graph.nodes.items():
            if isinstance(node, nir.IF):
                cast(Any, network.get_submodule(name)).module.v_reset = None
        return network

    def set_membrane(self, neuron: nn.Module, membrane: Tensor) -> None:
        cast(Any, neuron).module.v = membrane

"""snnTorch: an IF comes in as a Leaky neuron that leaks."""

from __future__ import annotations

from typing import Any, cast

import nir
import numpy as np
import torch
from torch import Tensor, nn

from spikec.targets.interop.adapter import Adapter


class SnnTorch(Adapter):
    """Adjustment: no leak, the membrane kept in the neuron, the reset at the start of the next step.

    The importer of snnTorch 1.0.0 sets ``beta = 0.9``, returns a pair its own wiring cannot pass on
    (``init_hidden=False``), and with ``reset_delay=False`` loses the spike of a membrane that is still above the
    threshold after its reset. It takes one threshold per layer; others are put in place after the import.
    """

    framework = "snntorch"
    requirement = "snntorch==1.0.0"

    def importer(self, graph: nir.NIRGraph) -> nn.Module:
        from snntorch.import_nir import import_from_nir

        network: nn.Module = import_from_nir(graph)
        return network

    def load(self, graph: nir.NIRGraph) -> nn.Module:
        network = self.importer(uniform_thresholds(graph))
        for name, node in graph.nodes.items():
            if isinstance(node, nir.IF):
                leaky = cast(Any, network.get_submodule(name))
                leaky.init_hidden = True
                leaky.beta.data.fill_(1.0)
                leaky.reset_delay = True
                leaky.threshold = torch.from_numpy(node.v_threshold).float()
        return network

    def set_membrane(self, neuron: nn.Module, membrane: Tensor) -> None:
        # The neuron subtracts the threshold for a membrane above it at the start of a step, spike or not.
        leaky = cast(Any, neuron)
        leaky.mem = membrane + (membrane > leaky.threshold) * leaky.threshold


def uniform_thresholds(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The graph with thresholds of 1 in every IF, for importers that refuse others than one per layer."""
    nodes = {
        name: nir.IF(r=node.r, v_threshold=np.ones_like(node.v_threshold), v_reset=node.v_reset)
        if isinstance(node, nir.IF)
        else node
        for name, node in graph.nodes.items()
    }
    return nir.NIRGraph(nodes=nodes, edges=graph.edges, metadata={}, type_check=False)

"""Sinabs: an IF comes in as an IAFSqueeze that fires several times in a step and clips its membrane from below."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import nir
from torch import Tensor, nn

from spikec.targets.interop.adapter import NODES, Adapter


class Sinabs(Adapter):
    """Adjustment: single spikes, no lower bound; nirtorch's wiring with Sinabs' node map.

    ``sinabs.from_nir`` wires through nirtorch's old executor, which runs the end of a skip connection before all of its
    inputs exist, and its map silently cuts the graph at an AvgPool2d; nirtorch's default map has one.
    """

    framework = "sinabs"
    requirement = "sinabs==3.1.3"
    batch_axis = True

    def importer(self, graph: nir.NIRGraph) -> nn.Module:
        from sinabs.nir import from_nir

        network: nn.Module = from_nir(graph, batch_size=1)
        return network

    def load(self, graph: nir.NIRGraph) -> nn.Module:
        from nirtorch import nir_to_torch
        from sinabs.activation import SingleSpike
        from sinabs.nir import _import_sinabs_module

        node_map = partial(_import_sinabs_module, batch_size=1, num_timesteps=None)
        network: nn.Module = nir_to_torch(graph, dict.fromkeys(NODES, node_map))
        for name, node in graph.nodes.items():
            if isinstance(node, nir.IF):
                neuron = cast(Any, network.get_submodule(name))
                neuron.spike_fn = SingleSpike
                neuron.min_v_mem = None
        return network

    def set_membrane(self, neuron: nn.Module, membrane: Tensor) -> None:
        cast(Any, neuron).v_mem = membrane

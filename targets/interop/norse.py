"""Norse: an IF comes in as an IAFCell that resets to a value."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import nir
from torch import Tensor, nn

from spikec.targets.interop.adapter import NODES, Adapter


class Norse(Adapter):
    """Adjustment: a step that subtracts, in place of the cell's; nirtorch's wiring with Norse's node map.

    ``norse.torch.from_nir`` of 1.1.0 wires through nirtorch's old executor, which runs the end of a skip connection
    before all of its inputs exist, and its map drops AvgPool2d; nirtorch's default map has one.
    """

    framework = "norse"
    requirement = "norse==1.1.0"

    def importer(self, graph: nir.NIRGraph) -> nn.Module:
        import norse.torch

        network: nn.Module = norse.torch.from_nir(graph)
        return network

    def load(self, graph: nir.NIRGraph) -> nn.Module:
        from nirtorch import nir_to_torch
        from norse.torch.utils.import_nir import _import_norse_module

        network: nn.Module = nir_to_torch(graph, dict.fromkeys(NODES, partial(_import_norse_module)))
        for name, node in graph.nodes.items():
            if isinstance(node, nir.IF):
                cast(Any, network.get_submodule(name)).activation = subtracting_step
        return network

    def set_membrane(self, neuron: nn.Module, membrane: Tensor) -> None:
        from norse.torch.functional.iaf import IAFFeedForwardState

        cast(Any, neuron).state_fallback = lambda _: IAFFeedForwardState(v=membrane)


def subtracting_step(x: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
    """m = v + x; z = [m > v_th]; v = m - z * v_th."""
    m = state.v + x
    z = (m > p.v_th).to(x.dtype)
    return z, type(state)(v=m - z * p.v_th)

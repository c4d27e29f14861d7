"""nirtorch: its wiring of the graph, with an affine map and a neuron of our own."""

from __future__ import annotations

import nir
import torch
from torch import Tensor, nn

from spikec.targets.interop.adapter import Adapter


class NirTorch(Adapter):
    """Adjustment: the maps below. The default map of nirtorch 2.6 has no IF and leaves the bias of Affine random."""

    framework = "nirtorch"
    requirement = "nirtorch==2.6"

    def importer(self, graph: nir.NIRGraph) -> nn.Module:
        from nirtorch import nir_to_torch

        network: nn.Module = nir_to_torch(graph, {nir.IF: IntegrateAndFire})
        return network

    def load(self, graph: nir.NIRGraph) -> nn.Module:
        from nirtorch import nir_to_torch

        network: nn.Module = nir_to_torch(graph, {nir.IF: IntegrateAndFire, nir.Affine: affine})
        return network

    def set_membrane(self, neuron: nn.Module, membrane: Tensor) -> None:
        neuron.start = membrane


class IntegrateAndFire(nn.Module):
    """m = v + x; s = [m >= threshold]; v = m - s * threshold."""

    threshold: Tensor

    def __init__(self, node: nir.IF) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.from_numpy(node.v_threshold).float())
        self.start: Tensor | float = 0.0

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        m = (self.start if state is None else state) + x
        s = (m >= self.threshold).to(x.dtype)
        return s, m - s * self.threshold


def affine(node: nir.Affine) -> nn.Linear:
    """A Linear with the node's weight and bias."""
    layer = nn.Linear(node.weight.shape[1], node.weight.shape[0])
    layer.weight.data = torch.from_numpy(node.weight).float()
    layer.bias.data = torch.from_numpy(node.bias).float()
    return layer

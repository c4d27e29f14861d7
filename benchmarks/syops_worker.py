"""Runs in an environment with syops: ACs and MACs it reports for layers, pools, neurons and inputs read from a file.

python -m benchmarks.syops_worker FOLDER
"""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.clock_driven.neuron import IFNode
from syops import get_model_complexity_info
from torch import Tensor, nn

from benchmarks.peer_layers import Case, layer_of, work


class Replay(nn.Module):
    """The modules of a network that computes one step after the other, fed what they received in an execution."""

    def __init__(self, case: Case, arrays: Any) -> None:
        super().__init__()
        self.steps = case["steps"]
        windows = {pool["name"]: pool["kernel"][0] * pool["kernel"][1] for pool in case["pools"]}
        self.parts = nn.ModuleList()
        self.entering: list[Tensor] = []
        for layer in case["layers"]:
            entering = torch.from_numpy(arrays[f"{layer['name']}/entering"]).double() / windows.get(layer["pool"], 1)
            self._add(layer_of(layer, arrays, bias=True), entering)
        for pool in case["pools"]:
            kernel = tuple(pool["kernel"])
            self._add(nn.AvgPool2d(kernel, kernel), torch.from_numpy(arrays[f"{pool['name']}/entering"]).double())
        for neurons in case["neurons"]:
            if neurons["if_node"]:
                self._add(IFNode(), torch.zeros(case["images"], self.steps, *neurons["shape"]))

    def _add(self, part: nn.Module, entering: Tensor) -> None:
        self.parts.append(part)
        self.entering.append(entering)

    def forward(self, images: Tensor) -> Tensor:
        for step in range(self.steps):
            for part, entering in zip(self.parts, self.entering, strict=True):
                part(entering[:, step])
        return images


def count(case: Case, arrays: Any) -> dict[str, float]:
    """All images are one batch of the loader; in float64, so that a rate has no rounding of its own."""
    loader = [(torch.zeros(case["images"], 1), None)]
    found, _ = get_model_complexity_info(
        Replay(case, arrays), (1,), loader, as_strings=False, print_per_layer_stat=False
    )
    return {"ACs": float(found[1]), "MACs": float(found[2])}


if __name__ == "__main__":
    work(count)

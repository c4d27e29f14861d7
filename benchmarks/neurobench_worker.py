"""Runs in an environment with the neurobench package: its numbers for layers and inputs read from a file.

python -m benchmarks.neurobench_worker FOLDER
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from torch import Tensor, nn

from benchmarks.peer_layers import Case, layer_of, work


class Replay(nn.Module):
    """Layers that are fed what they received in an execution, step by step."""

    def __init__(self, layers: dict[str, nn.Module], entering: dict[str, Tensor]) -> None:
        super().__init__()
        self.names = list(layers)
        self.layers = nn.ModuleList(layers.values())
        self.entering = entering  # by layer: [N, T, *input shape]

    def forward(self, images: Tensor) -> Tensor:
        for name, layer in zip(self.names, self.layers, strict=True):
            for step in range(self.entering[name].shape[1]):
                layer(self.entering[name][:, step])
        return images


def count(case: Case, arrays: Any) -> dict[str, float]:
    layers = {d["name"]: layer_of(d, arrays, bias=False, double=False) for d in case["layers"]}
    entering = {name: torch.from_numpy(arrays[f"{name}/entering"].astype(np.float32)) for name in layers}
    model = TorchModel(Replay(layers, entering))
    model.register_hooks()
    images = torch.zeros(case["images"], 1)
    with torch.no_grad():
        return SynapticOperations()(model, model(images), (images, images))


if __name__ == "__main__":
    work(count)

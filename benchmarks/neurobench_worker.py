"""Runs in an environment with the neurobench package: its numbers for layers and inputs read from a file.

    python -m benchmarks.neurobench_worker FOLDER

Reads ``plan.json`` and one ``CASE.npz`` per case, writes ``results.json``. Imports nothing of spikec.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from torch import Tensor, nn


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


def layer_of(description: dict, weight: np.ndarray) -> nn.Module:
    if description["kind"] == "affine":
        layer: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    else:
        geometry = {key: tuple(description[key]) for key in ("stride", "padding", "dilation")}
        groups = description["groups"]
        layer = nn.Conv2d(
            weight.shape[1] * groups, weight.shape[0], weight.shape[2:], groups=groups, bias=False, **geometry
        )
    layer.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)))
    return layer


def run(folder: Path, case: dict) -> dict[str, float]:
    data = np.load(folder / f"{case['name']}.npz")
    layers = {d["name"]: layer_of(d, data[f"{d['name']}/weight"]) for d in case["layers"]}
    entering = {name: torch.from_numpy(data[f"{name}/entering"].astype(np.float32)) for name in layers}
    model = TorchModel(Replay(layers, entering))
    model.register_hooks()
    metric = SynapticOperations()
    images = torch.zeros(case["images"], 1)
    with torch.no_grad():
        prediction = model(images)
        return metric(model, prediction, (images, images))


def main() -> None:
    folder = Path(sys.argv[1])
    results = {case["name"]: run(folder, case) for case in json.loads((folder / "plan.json").read_text())}
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()

"""Runs in an environment with sinabs: the SynOps its hooks report for layers and inputs read from a file.

python -m benchmarks.sinabs_worker FOLDER
"""

from __future__ import annotations

from typing import Any

import torch
from sinabs.hooks import register_synops_hooks
from torch import Tensor, nn

from benchmarks.peer_layers import Case, layer_of, work


class Given(nn.Module):
    """Hands on what the next layer received in an execution, whatever came before."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, _: Tensor) -> Tensor:
        return self.values


def count(case: Case, arrays: Any) -> dict[str, float]:
    """Batch and time are one axis, as in sinabs; in float64, so that sums of many spikes stay exact."""
    kernels = {pool["name"]: tuple(pool["kernel"]) for pool in case["pools"]}
    modules: list[nn.Module] = []
    for layer in case["layers"]:
        pool = layer["pool"]
        entering = torch.from_numpy(arrays[f"{pool or layer['name']}/entering"]).double().flatten(0, 1)
        modules.append(Given(entering))
        if pool is not None:
            kernel = kernels[pool]
            modules.append(nn.AvgPool2d(kernel, kernel))
        if pool is not None and layer["flatten"]:
            modules.append(nn.Flatten())
        modules.append(layer_of(layer, arrays, bias=False))
    model = nn.Sequential(*modules)
    register_synops_hooks(model)
    with torch.no_grad():
        model(torch.zeros(1))
    per_step = float(model.hook_data["total_synops_per_timestep"])
    return {"synops": per_step * case["steps"], "total_synops_per_timestep": per_step}


if __name__ == "__main__":
    work(count)

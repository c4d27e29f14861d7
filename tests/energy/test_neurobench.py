"""Against the neurobench package itself, where it is installed; `make counts` compares whole networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikec.energy import convention
from spikec.simulation import simulate

macs = pytest.importorskip("neurobench.metrics.utils.layers", reason="the neurobench package is not installed")


@pytest.mark.parametrize("seed", range(5))
def test_two_layers_by_its_own_function(one_layer, seed):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-2, 3, (4, 3))
    net = one_layer(weight=weight, bias=np.zeros(4, np.int64), theta=3)
    pixels = rng.integers(0, 4, (5, 3))
    pixels[0, 0] = 3
    trace = simulate(net, pixels * net.input.scale, record="spikes", threads=1)
    expected = {"Effective_ACs": 0, "Effective_MACs": net.timesteps * operations(pixels, weight)}
    for step in range(net.timesteps):
        expected["Effective_ACs"] += operations(trace.spikes["neurons"][:, step], np.eye(4))
    found = convention(net, trace, "neurobench").values
    assert {key: found[key] for key in expected} == {key: total / 5 for key, total in expected.items()}


def operations(entering, weight):
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = torch.nn.Parameter(torch.from_numpy(weight.astype(np.float32)))
    return macs.single_layer_MACs(torch.from_numpy(entering.astype(np.float32)), layer)[0]

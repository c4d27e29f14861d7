"""Lossless methods: the counts of the golden model are the levels of the integer network, computed without time.

The levels come from the NIR file by one pass of plain integer arithmetic: U = all the input of the T steps, level =
clip((2 U + theta) // (2 theta), 0, L). Identities P4 and P5 of ``docs/methods.md``, for whole networks.
"""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc


class _Network(nn.Module):
    """Stride, groups, a pool, a residual sum and a concatenation."""

    def __init__(self, levels):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, stride=(1, 2), padding=1)
        self.body, self.norm = nn.Conv2d(4, 4, (3, 1), padding="same", groups=2), nn.BatchNorm2d(4)
        self.spikes = nn.ModuleList(tc.ClipFloorShift(levels, t) for t in (0.4, 0.7, 0.9, 0.3))
        self.mix, self.classes = nn.Conv2d(8, 5, 2), nn.Linear(20, 3)

    def forward(self, x):
        x = self.spikes[0](self.stem(x))
        y = self.spikes[1](self.norm(self.body(x)) + x)
        x = torch.cat([x, self.spikes[2](y * 0.5)], 1)
        return self.classes(self.spikes[3](self.mix(nn.functional.avg_pool2d(x, (2, 1)))).flatten(1))


_METHODS = [
    *(tc.QCFS(timesteps=t, schedule="layerwise") for t in (1, 4, 7)),
    tc.ErrorCompensation(timesteps=4, schedule="layerwise"),
    *(tc.QCFS(timesteps=t, schedule="layerwise", spikes=k) for t, k in ((1, 4), (2, 2), (3, 5))),
    tc.ErrorCompensation(timesteps=2, schedule="layerwise", spikes=3),
    *(tc.ErrorFree(timesteps=t) for t in (1, 3, 5)),
    tc.Graded(),
    tc.Graded(levels=9),
]


@pytest.fixture(scope="module")
def images():
    return torch.rand(8, 2, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("per", ["layer", "channel"])
@pytest.mark.parametrize("method", _METHODS, ids=lambda m: f"{m.name}-{m.timesteps}-{m.resolution(4)}")
def test_counts_are_the_levels_of_the_integer_network(method, per, images, integer_levels):
    torch.manual_seed(0)
    network = _Network(4).eval()
    with torch.no_grad():
        network.norm.running_var.uniform_(0.3, 2)
    graph = tc.lower(tc.convert(network, method, example=images), tc.Int8(per=per))
    levels, output = integer_levels(graph, images)
    trace = tc.simulate(graph, images, record="spikes")
    bits = 2 ** np.arange(method.timesteps)[::-1] if method.name == "error-free" else np.ones(method.timesteps, int)
    assert any(0 < level.mean() < level.max() for level in levels.values())
    for name, level in levels.items():
        emitted = trace.spikes[name].astype(np.int64)
        np.testing.assert_array_equal(np.tensordot(emitted, bits, (1, 0)), level, err_msg=name)
    np.testing.assert_array_equal(trace.output, output)
    assert {type(node) for node in graph.nodes.values()} >= {nir.IF, nir.Conv2d, nir.SumPool2d}

"""Activations of concatenations move before them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.frontend import canonicalize


class _Dense(nn.Module):
    """Two branches of 4 and 3 channels, normalised and activated together."""

    def __init__(self, activation: nn.Module, *, norm: bool = True, pool: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(7) if norm else nn.Identity()
        self.mid, self.act, self.head = nn.ReLU(), activation, nn.Linear(7 * (4 if pool else 16), 3)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        joined = torch.cat([torch.cat([first], 1), self.second(self.mid(first))], 1)
        return self.head(self.pool(self.act(self.norm(joined))).flatten(1))


@pytest.mark.parametrize("activation", [nn.ReLU(), tc.ClipFloorShift(levels=4, threshold=2.0)], ids=["relu", "qcfs"])
@pytest.mark.parametrize("norm", [True, False])
def test_each_part_has_neurons_of_its_own(activation, norm):
    torch.manual_seed(0)
    model, images = _Dense(activation, norm=norm).eval(), torch.rand(8, 2, 4, 4)
    graph = canonicalize(model, images)
    torch.testing.assert_close(graph(images), model(images))
    network = tc.convert(model, tc.QCFS(timesteps=4, schedule="layerwise"), example=images, calibration=images)
    assert sorted(network.neurons) == ["act.0", "act.1", "mid"]
    integers = tc.simulate(tc.lower(network, tc.Int8(per="channel")), images)
    assert {"act.0", "act.1", "mid"} <= set(integers.counts)
    assert len(tc.fidelity(model, network, images).layers) == 3


def test_no_weight_is_zero_by_construction():
    images = torch.rand(8, 2, 4, 4)
    network = tc.convert(_Dense(nn.ReLU()).eval(), tc.QCFS(timesteps=4), example=images, calibration=images)
    nodes = tc.lower(network).nodes
    stored = sum(node.weight.size for node in nodes.values() if hasattr(node, "weight"))
    assert stored == 4 * 2 * 9 * 2 + 3 * 4 * 9 + 7 * 16 * 3  # the first layer twice: for mid, and for its part of act


def test_a_max_pool_behind_keeps_them_together():
    model, images = _Dense(nn.ReLU(), pool=True).eval(), torch.rand(8, 2, 4, 4)
    network = tc.convert(model, tc.QCFS(timesteps=4), example=images, calibration=images)
    assert "act" in network.neurons


def test_thresholds_per_channel_keep_them_together():
    activation = tc.ClipFloorShift(levels=4)
    activation.threshold = nn.Parameter(torch.ones(7).reshape(7, 1, 1))
    images = torch.rand(8, 2, 4, 4)
    assert "act" in {str(n.target) for n in canonicalize(_Dense(activation).eval(), images).graph.nodes}


def test_the_part_of_one_activation_may_be_another():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(8), nn.Linear(8 * 4, 3)

        def forward(self, x):
            x = F.relu(self.conv(x))
            return self.head(F.relu(self.norm(torch.cat([x, x], 1))).flatten(1))

    model, images = Again().eval(), torch.rand(4, 2, 4, 4)
    torch.testing.assert_close(canonicalize(model, images)(images), model(images))
    tc.lower(tc.convert(model, tc.QCFS(timesteps=4), example=images, calibration=images))

"""Which max pools are trained as what they are deployed as: those that read what activations send, or the image."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.frontend import with_layers
from spikec.training import ClipFloorShift, FitConfig, fit, replace_relu, spiking, spiking_logits
from spikec.training.max_pools import pools_of_currents


class Net(nn.Module):
    """Two convolutions and a pool, in an order that ``forward`` chooses."""

    def __init__(self, order: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.order, self.first, self.sends = order, nn.Conv2d(1, 4, 3, padding=1), ClipFloorShift(4, 0.5)
        self.conv, self.relu = nn.Conv2d(4, 4, 3), ClipFloorShift(4, 0.3)
        self.pool, self.drop = nn.MaxPool2d(2), nn.Dropout(0.1)
        self.out = nn.Linear(self.parts(torch.zeros(1, 1, 8, 8)).numel(), 3)
        with torch.no_grad():
            self.conv.weight.mul_(4)  # spikes that come and go
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.parts(x).flatten(1))

    def parts(self, x: torch.Tensor) -> torch.Tensor:
        conv, relu, pool = self.conv, self.relu, self.pool
        if self.order == "image":
            return relu(conv(self.sends(self.first(pool((x - 0.5) / 0.25)))))
        if self.order == "first layer":
            return relu(conv(self.sends(pool(self.first(x)))))
        x = self.sends(self.first(x))
        if self.order == "behind":
            x = pool(self.drop(relu(conv(x))))
        elif self.order == "twice":
            x = F.max_pool2d(pool(relu(conv(x))), 2, 1)
        elif self.order == "both ways":
            x = relu(conv(x))
            x = pool(torch.cat([x, x.clone()], 1))
        elif self.order == "before":
            x = relu(pool(conv(x)))
        elif self.order == "averages":
            x = pool(F.avg_pool2d(relu(conv(x)), 2))
        elif self.order == "call":
            x = relu(F.max_pool2d(conv(x), 2))
        elif self.order == "global":
            x = relu(conv(x).amax((2, 3), keepdim=True))
        return x


EXPECTED = {
    "behind": [],
    "twice": [],
    "both ways": [],
    "image": [],
    "first layer": [],
    "before": ["pool"],
    "averages": ["pool"],
    "call": ["max_pool2d"],
    "global": ["amax"],
}


@pytest.mark.parametrize("order", EXPECTED)
def test_exactly_the_pools_that_are_deployed_differently_are_named(order: str) -> None:
    """Where none is named, training runs what is deployed; where one is, it does not."""
    net, images = Net(order), torch.rand(16, 1, 8, 8).mul(255).round() / 255
    assert pools_of_currents(net, images[:2]) == EXPECTED[order]
    network = tc.convert(net, tc.QCFS(timesteps=3), example=images, calibration=images)
    with spiking(net) as neurons:
        trained = spiking_logits(net, neurons, images, 3)
    assert torch.allclose(trained, network(images), rtol=1e-4, atol=1e-5) == (not EXPECTED[order])


def test_pools_of_a_twin() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.out = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.max_pool2d(F.relu(self.a(x)), 2)
            return self.out(F.relu(F.max_pool2d(self.b(x), 3)).flatten(1))

    images = torch.rand(2, 1, 8, 8)
    made = with_layers(Functional(), images)
    assert pools_of_currents(made, images) == []  # no activation sends spikes
    assert replace_relu(made, lambda: ClipFloorShift(4, 0.5)) == 2
    assert pools_of_currents(made, images) == ["max_pool2d_1"]


class Data:
    def __len__(self) -> int:
        return 8

    def images(self, chosen: object = slice(None)) -> torch.Tensor:
        return torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))[chosen]

    def targets(self, chosen: object = slice(None)) -> torch.Tensor:
        return (torch.arange(8) % 3)[chosen]


@pytest.mark.parametrize("order", ["behind", "before"])
def test_training_through_spikes_warns_of_them(order: str) -> None:
    config = FitConfig(epochs=1, batch=4, timesteps=2, through_spikes=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(Net(order), Data(), Data(), config)
        fit(Net(order), Data(), Data(), FitConfig(epochs=1, batch=4))
    said = [str(each.message) for each in caught if "max pools" in str(each.message)]
    assert len(said) == (order == "before")
    assert all(text.startswith("max pools pool: no activation stands before them") for text in said)

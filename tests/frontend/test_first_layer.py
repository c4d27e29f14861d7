"""What the first layer says of the images."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikec.frontend import first_layer, image_shape


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3)

    def forward(self, x):
        return F.adaptive_avg_pool2d(F.relu(self.conv(self.norm((x - 0.5) / 0.25))), 1).flatten(1)


def mlp(*before: nn.Module) -> nn.Module:
    return nn.Sequential(*before, nn.Linear(12, 3), nn.ReLU(), nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("model", "wanted", "right", "wrong"),
    [
        (Functional(), "images of 3 channels", (3, 32, 32), (1, 32, 32)),
        (mlp(), "vectors of 12 numbers", (12,), (13,)),
        (mlp(nn.Flatten()), "images of 12 numbers", (3, 2, 2), (1, 8, 8)),
    ],
)
def test_first_layer(model, wanted, right, wrong) -> None:
    found = first_layer(model)
    assert found is not None
    assert found.wanted == wanted
    assert found.takes(right)
    assert not found.takes(wrong)


class Ways(nn.Module):
    """A first convolution of ``channels`` behind something that ``way`` names."""

    def __init__(self, way: str, channels: int) -> None:
        super().__init__()
        self.way, self.conv = way, nn.Conv2d(channels, 2, 3)
        self.register_buffer("mean", torch.full((channels, 1, 1), 0.5))

    def forward(self, x, domain=None):
        if self.way == "guard" and x.shape[-1] != 64:
            raise ValueError("images of 64 x 64")
        if self.way == "gray":
            x = x.mean(1, keepdim=True)
        if self.way == "repeats":
            x = x.repeat(1, 3, 1, 1)
        if self.way == "selects":
            x = x[:, :2]
        if self.way == "mean":
            x = x - self.mean
        if self.way == "pooled":
            x = F.relu(F.pad(F.avg_pool2d(x, 2), (1, 1, 1, 1)))
        try:
            return self.conv(x).mean((2, 3))
        except TypeError:
            return x


@pytest.mark.parametrize(
    ("way", "channels", "shape"),
    [
        ("guard", 3, (3, 64, 64)),
        ("guard", 1, (1, 64, 64)),
        ("plain", 5, (5, 32, 32)),
        ("mean", 5, (5, 32, 32)),
        ("pooled", 2, (2, 32, 32)),
        ("gray", 1, None),
        ("repeats", 3, None),
        ("selects", 2, None),
    ],
)
def test_ways_to_the_first_convolution(way, channels, shape) -> None:
    model = Ways(way, channels).train()
    found = first_layer(model)
    assert found is not None
    assert (found.name, found.image, found.numbers, found.reshaped) == ("conv", True, channels, shape is None)
    assert image_shape(model) == shape
    assert model.training


def test_networks_of_signals_and_vectors() -> None:
    assert first_layer(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(4, 2))) is None
    found = first_layer(nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 2)))
    assert found is not None
    assert found.wanted == "vectors of 7 numbers"


def test_image_shape_runs() -> None:
    assert image_shape(Functional()) == (3, 32, 32)
    assert image_shape(nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 3))) == (1, 28, 28)
    assert image_shape(mlp()) is None
    assert image_shape(nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(17, 3))) is None
    assert first_layer(nn.Sequential(nn.ReLU())) is None

"""What the first layer says of the images."""

from __future__ import annotations

import pytest
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


def test_image_shape_runs() -> None:
    assert image_shape(Functional()) == (3, 32, 32)
    assert image_shape(nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 3))) == (1, 28, 28)
    assert image_shape(mlp()) is None
    assert image_shape(nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(17, 3))) is None
    assert first_layer(nn.Sequential(nn.ReLU())) is None

"""A small network, images, and a labelled set of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikec.training import ClipFloorShift


class LabelledSet:
    """Given images, all of class 0."""

    def __init__(self, images: torch.Tensor) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def images(self, indices: np.ndarray | slice = slice(None)) -> torch.Tensor:
        return self._images[indices]

    def targets(self, indices: np.ndarray | slice = slice(None)) -> torch.Tensor:
        return torch.zeros(len(self._images), dtype=torch.int64)[indices]

    def first(self, count: int) -> LabelledSet:
        return LabelledSet(self._images[:count])

    def double(self) -> LabelledSet:
        return LabelledSet(self._images.double())


@pytest.fixture
def model() -> nn.Sequential:
    """In training mode, for images [N, 1, 6, 6]."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        ClipFloorShift(4, 1.5),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(27, 8),
        ClipFloorShift(4, 0.3),
        nn.Linear(8, 4),
    )
    model(torch.rand(64, 1, 6, 6) * 3)  # gives batch norm something to do
    return model


@pytest.fixture
def images() -> torch.Tensor:
    """float32 [20, 1, 6, 6], multiples of 1/16."""
    return torch.randint(0, 17, (20, 1, 6, 6), generator=torch.Generator().manual_seed(1)) / 16


@pytest.fixture
def data(images: torch.Tensor) -> LabelledSet:
    return LabelledSet(images)

"""LeNet-5 with average pooling (LeCun et al., "Gradient-based learning applied to document recognition", 1998)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def lenet5(num_classes: int, in_channels: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """conv 6, pool, conv 16, pool, fc 120, fc 84, fc; input [N, in_channels, 28, 28] (the first convolution pads to
    the 32x32 of the paper), output [N, num_classes]."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 5, padding=2),
        activation(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        activation(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        activation(),
        nn.Linear(120, 84),
        activation(),
        nn.Linear(84, num_classes),
    )

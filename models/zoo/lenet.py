"""LeNet-5 with average pooling (LeCun et al., "Gradient-based learning applied to document recognition", 1998)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def lenet5(num_classes: int, in_channels: int, activation: Callable[[], nn.Module], *, width: int = 6) -> nn.Sequential:
    """conv 6, pool, conv 16, pool, fc 120, fc 84, fc; input [N, in_channels, 28, 28] (the first convolution pads to
    the 32x32 of the paper), output [N, num_classes]. ``width`` scales every layer, 6 is the published size."""
    second, hidden, last = 16 * width // 6, 20 * width, 14 * width
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 5, padding=2),
        activation(),
        nn.AvgPool2d(2),
        nn.Conv2d(width, second, 5),
        activation(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(second * 5 * 5, hidden),
        activation(),
        nn.Linear(hidden, last),
        activation(),
        nn.Linear(last, num_classes),
    )

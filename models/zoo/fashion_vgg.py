"""A VGG-like network for 28x28 grey images: 185 thousand parameters, 7.5 million multiply-accumulates."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def fashion_vgg(num_classes: int, in_channels: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """conv 24, pool, conv 48, conv 48, pool, conv 96, pool, fc 128, fc; input [N, in_channels, 28, 28]."""

    def convolution(inputs: int, outputs: int) -> list[nn.Module]:
        layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [layer, nn.BatchNorm2d(outputs), activation()]

    return nn.Sequential(
        *convolution(in_channels, 24),
        nn.AvgPool2d(2),
        *convolution(24, 48),
        *convolution(48, 48),
        nn.AvgPool2d(2),
        *convolution(48, 96),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96 * 3 * 3, 128),
        activation(),
        nn.Linear(128, num_classes),
    )

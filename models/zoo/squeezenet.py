"""A SqueezeNet-like network: fire modules that concatenate two branches (Iandola et al., arXiv 1602.07360).

Layout of version 1.1 with average pooling and batch norm; like there, the classifier is a 1x1 convolution before the
global pool, but without the activation after it: logits may be negative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


class Fire(nn.Module):
    """1x1 squeeze to ``squeeze`` channels, then 1x1 and 3x3 expansions to ``expand`` each, concatenated."""

    def __init__(self, inputs: int, squeeze: int, expand: int, activation: Activation) -> None:
        super().__init__()
        self.squeeze = _layer(inputs, squeeze, 1, 1, activation)
        self.expand1 = _layer(squeeze, expand, 1, 1, activation)
        self.expand3 = _layer(squeeze, expand, 3, 1, activation)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.squeeze(x)
        return torch.cat([self.expand1(squeezed), self.expand3(squeezed)], 1)


class SqueezeNet(nn.Module):
    """Stem and eight fire modules; input [N, in_channels, H, W], output [N, num_classes].

    ``stem`` "imagenet": convolution and pool with stride 2 (224x224 images); "cifar": stride 1 and no pool (32x32).
    ``width`` is the number of channels of the stem, 64 as published.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        activation: Activation,
        *,
        stem: Literal["cifar", "imagenet"] = "cifar",
        width: int = 64,
    ) -> None:
        super().__init__()
        imagenet = stem == "imagenet"
        squeeze = width // 4

        def fires(inputs: int, factor: int, number: int) -> list[nn.Module]:
            ins = [inputs, *[2 * factor * width] * (number - 1)]
            return [Fire(i, factor * squeeze, factor * width, activation) for i in ins]

        self.features = nn.Sequential(
            _layer(in_channels, width, 3, 2 if imagenet else 1, activation),
            nn.AvgPool2d(2) if imagenet else nn.Identity(),
            *fires(width, 1, 2),
            nn.AvgPool2d(2),
            *fires(2 * width, 2, 2),
            nn.AvgPool2d(2),
            *fires(4 * width, 3, 2),
            *fires(6 * width, 4, 2),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(8 * width, num_classes, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.pool(self.classifier(self.features(x))).flatten(1)
        return logits


def _layer(inputs: int, outputs: int, kernel: int, stride: int, activation: Activation) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), activation())

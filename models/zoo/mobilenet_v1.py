"""MobileNetV1: depthwise separable convolutions (Howard et al., arXiv 1704.04861)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Activation = Callable[[], nn.Module]

#: Output channels in units of the stem's and stride of every separable convolution.
_LAYERS = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *[(16, 1)] * 5, (32, 2), (32, 1))


class MobileNetV1(nn.Module):
    """Stem and thirteen separable convolutions; input [N, in_channels, H, W], output [N, num_classes].

    ``stem`` "imagenet": the first convolution has stride 2 (224x224 images); "cifar": the first convolution and the
    first strided layer have stride 1 (32x32). ``width`` is the number of channels of the stem, 32 as published.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        activation: Activation,
        *,
        stem: Literal["cifar", "imagenet"] = "cifar",
        width: int = 32,
    ) -> None:
        super().__init__()
        cifar = stem == "cifar"
        layers = _layer(in_channels, width, 3, 1 if cifar else 2, 1, activation)
        channels = width
        for index, (factor, stride) in enumerate(_LAYERS):
            step = 1 if cifar and index == 1 else stride
            layers += _layer(channels, channels, 3, step, channels, activation)
            layers += _layer(channels, factor * width, 1, 1, 1, activation)
            channels = factor * width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return logits


def _layer(inputs: int, outputs: int, kernel: int, stride: int, groups: int, activation: Activation) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), activation()]

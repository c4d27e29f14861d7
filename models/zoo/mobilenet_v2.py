"""MobileNetV2: inverted residuals with linear bottlenecks (Sandler et al., CVPR 2018).

A bottleneck ends without an activation, so a projection, the additions around it and the next expansion are one linear
map. Parameters are named as in torchvision's ``mobilenet_v2``, whose weights load into the ImageNet stem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Activation = Callable[[], nn.Module]

#: Expansion, output channels (at width 32), number of blocks, stride of the first of them.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3, 1x1 projection without activation; a skip where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, activation: Activation) -> None:
        super().__init__()
        self.skip = stride == 1 and inputs == outputs
        hidden = inputs * expansion
        layers: list[nn.Module] = [_layer(inputs, hidden, 1, 1, 1, activation)] if expansion != 1 else []
        layers.append(_layer(hidden, hidden, 3, stride, hidden, activation))
        layers += [nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.skip else y


class MobileNetV2(nn.Module):
    """Stem, seventeen inverted residuals, 1x1 convolution; input [N, in_channels, H, W], output [N, num_classes].

    The network's own activation is ``nn.ReLU6``: an ``activation`` of ``nn.ReLU`` is taken as that. ``stem``
    "imagenet": the first convolution has stride 2 (224x224 images); "cifar": the first convolution and the first
    strided stage have stride 1 (32x32). ``width`` is the number of channels of the stem, 32 as published.
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
        activation = nn.ReLU6 if activation is nn.ReLU else activation
        cifar = stem == "cifar"
        layers: list[nn.Module] = [_layer(in_channels, width, 3, 1 if cifar else 2, 1, activation)]
        channels = width
        for index, (expansion, published, blocks, stride) in enumerate(_STAGES):
            outputs = max(published * width // 32, 1)
            for block in range(blocks):
                step = stride if block == 0 and not (cifar and index == 1) else 1
                layers.append(InvertedResidual(channels, outputs, step, expansion, activation))
                channels = outputs
        layers.append(_layer(channels, 40 * width, 1, 1, 1, activation))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(40 * width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return logits


def _layer(inputs: int, outputs: int, kernel: int, stride: int, groups: int, activation: Activation) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), activation())

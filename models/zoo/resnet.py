"""ResNet-18 and ResNet-34 (He et al., CVPR 2016), with a stem for ImageNet or for CIFAR.

Parameters are named as in torchvision's ``resnet18`` and ``resnet34``, whose weights load into the ImageNet stem (they
were trained with a max pool there, which is an average pool here: fine-tune).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Activation = Callable[[], nn.Module]

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a skip (1x1 convolution where the shape changes); activation after the addition."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.act2 = activation()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        skip = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.act2(y + skip)
        return out


class ResNet(nn.Module):
    """``depth`` 18 or 34; input [N, in_channels, H, W], output [N, num_classes].

    ``stem`` "imagenet": 7x7 convolution with stride 2, average pool with stride 2 (224x224 images); "cifar": 3x3
    convolution, no pool (32x32). ``width`` is the number of channels of the first stage, 64 as published.
    """

    def __init__(
        self,
        depth: Literal[18, 34],
        num_classes: int,
        in_channels: int,
        activation: Activation,
        *,
        stem: Literal["cifar", "imagenet"] = "cifar",
        width: int = 64,
    ) -> None:
        super().__init__()
        imagenet = stem == "imagenet"
        size, stride = (7, 2) if imagenet else (3, 1)
        self.conv1 = nn.Conv2d(in_channels, width, size, stride, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = activation()
        self.pool = nn.AvgPool2d(3, 2, 1) if imagenet else nn.Identity()
        blocks = _BLOCKS[depth]
        self.layer1 = _stage(width, width, blocks[0], 1, activation)
        self.layer2 = _stage(width, 2 * width, blocks[1], 2, activation)
        self.layer3 = _stage(2 * width, 4 * width, blocks[2], 2, activation)
        self.layer4 = _stage(4 * width, 8 * width, blocks[3], 2, activation)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.act1(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def _stage(inputs: int, outputs: int, blocks: int, stride: int, activation: Activation) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride, activation)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, activation) for _ in range(blocks - 1)))

"""ResNet-20 for CIFAR (He et al. 2016, section 4.2) with option A shortcuts: 0.27 million parameters, 41 MMAC.

Parameter names are those of ``akamaster/pytorch_resnet_cifar10``, whose published weights load as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PaddedShortcut(nn.Module):
    """Option A: every second row and column, new channels filled with zeros on both sides; no parameters."""

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.side = new_channels // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.side, self.side))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; activation after the addition."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act2 = activation()
        self.shortcut = nn.Identity() if stride == 1 else PaddedShortcut(outputs - inputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y)) + self.shortcut(x)
        out: Tensor = self.act2(y)
        return out


class ResNet20(nn.Module):
    """Stem 16, three stages of three blocks with 16, 32, 64 channels, global average pool, linear.

    Input [N, in_channels, 32, 32], output [N, num_classes].
    """

    def __init__(self, num_classes: int, in_channels: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.act1 = activation()
        self.layer1 = _stage(16, 16, 1, activation)
        self.layer2 = _stage(16, 32, 2, activation)
        self.layer3 = _stage(32, 64, 2, activation)
        self.pool = nn.AvgPool2d(8)
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(torch.flatten(self.pool(x), 1))
        return logits


def _stage(inputs: int, outputs: int, stride: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride, activation),
        BasicBlock(outputs, outputs, 1, activation),
        BasicBlock(outputs, outputs, 1, activation),
    )

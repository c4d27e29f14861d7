"""A residual network for 28x28 grey images: 150 thousand parameters, 8.5 million multiply-accumulates."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a skip (1x1 convolution where the shape changes); activation after the addition."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.act2 = activation()
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y)) + self.skip(x)
        out: Tensor = self.act2(y)
        return out


class FashionResNet(nn.Module):
    """Stem 24, pool, blocks 32, 64 (stride 2), 64, global average pool, fc; input [N, in_channels, 28, 28]."""

    def __init__(self, num_classes: int, in_channels: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 24, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.act = activation()
        self.pool = nn.AvgPool2d(2)
        self.block1 = ResidualBlock(24, 32, 1, activation)
        self.block2 = ResidualBlock(32, 64, 2, activation)
        self.block3 = ResidualBlock(64, 64, 1, activation)
        self.global_pool = nn.AvgPool2d(7)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.act(self.norm(self.stem(x))))
        x = self.block3(self.block2(self.block1(x)))
        logits: Tensor = self.fc(torch.flatten(self.global_pool(x), 1))
        return logits

"""Residual networks for CIFAR (He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2).

Parameters are named as in ``akamaster/pytorch_resnet_cifar10`` (Idelbayev 2018), whose published weights load here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from spikec.errors import DataError
from spikec.models.zoo.normalization import Normalize

Option = Literal["A", "B"]
Activation = Callable[[], nn.Module]


class ZeroPaddedShortcut(nn.Module):
    """Option A: every second row and column, and ``extra`` zero channels, half in front and half behind."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        front = self.extra // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, front, self.extra - front))


class CifarBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; activation after the addition."""

    def __init__(self, inputs: int, outputs: int, stride: int, option: Option, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Sequential()
        if stride != 1 or inputs != outputs:
            if option == "A":
                self.shortcut = ZeroPaddedShortcut(outputs - inputs, stride)
            else:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )
        self.act2 = activation()

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.bn1(self.conv1(x)))
        out: Tensor = self.act2(self.bn2(self.conv2(y)) + self.shortcut(x))
        return out


class CifarResNet(nn.Module):
    """Stem and three stages of ``width``, 2 and 4 times ``width`` channels with ``(depth - 2) / 6`` blocks each; the
    20-layer one has 0.27 million parameters and 37 million multiply-accumulates (41 with those on the padding).

    Input [N, in_channels, H, W] with H and W divisible by 4 (32x32 for CIFAR), output [N, num_classes].
    ``option`` "A": shortcuts without parameters where the shape changes; "B": 1x1 convolutions. ``normalize`` comes
    before the stem and has no parameters: weights trained on normalised images then take images in [0, 1].
    """

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int,
        activation: Activation,
        *,
        option: Option = "A",
        width: int = 16,
        normalize: Normalize | None = None,
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise DataError(f"a CIFAR ResNet has 6 n + 2 layers, such as 20, 32, 44 or 56, not {depth}")
        self.normalize = nn.Identity() if normalize is None else normalize
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = activation()
        blocks = (depth - 2) // 6
        self.layer1 = _stage(width, width, blocks, 1, option, activation)
        self.layer2 = _stage(width, 2 * width, blocks, 2, option, activation)
        self.layer3 = _stage(2 * width, 4 * width, blocks, 2, option, activation)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(self.normalize(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(self.pool(x).flatten(1))
        return logits


def _stage(
    inputs: int, outputs: int, blocks: int, stride: int, option: Option, activation: Activation
) -> nn.Sequential:
    first = CifarBlock(inputs, outputs, stride, option, activation)
    rest = [CifarBlock(outputs, outputs, 1, option, activation) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)

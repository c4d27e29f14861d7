"""The reference architectures, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from models.zoo.digits_cnn import digits_cnn
from models.zoo.fashion_resnet import FashionResNet
from models.zoo.fashion_vgg import fashion_vgg
from models.zoo.resnet20 import ResNet20

Builder = Callable[[int, int, Callable[[], nn.Module]], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """``build(num_classes, in_channels, activation)`` makes an untrained network; ``activation`` is called once per
    spiking layer and returns the module to put there, ``nn.ReLU`` or a :class:`toolchain.training.ClipFloorShift`.
    ``input_shape`` is (C, H, W) of the images it is meant for."""

    build: Builder
    input_shape: tuple[int, int, int]


REGISTRY: dict[str, Architecture] = {
    "digits-cnn": Architecture(digits_cnn, (1, 8, 8)),
    "fashion-vgg": Architecture(fashion_vgg, (1, 28, 28)),
    "fashion-resnet": Architecture(FashionResNet, (1, 28, 28)),
    "resnet20": Architecture(ResNet20, (3, 32, 32)),
}

__all__ = ["REGISTRY", "Architecture", "Builder"]

"""The reference architectures, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from spikec.models.zoo.digits_cnn import digits_cnn
from spikec.models.zoo.fashion_resnet import FashionResNet
from spikec.models.zoo.fashion_vgg import fashion_vgg
from spikec.models.zoo.lenet import lenet5
from spikec.models.zoo.mobilenet_v1 import MobileNetV1
from spikec.models.zoo.mobilenet_v2 import MobileNetV2
from spikec.models.zoo.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalize
from spikec.models.zoo.resnet import ResNet
from spikec.models.zoo.resnet_cifar import CifarResNet
from spikec.models.zoo.squeezenet import SqueezeNet
from spikec.models.zoo.vgg import VGG

Builder = Callable[[int, int, Callable[[], nn.Module]], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """An entry of the zoo. ``build(num_classes, in_channels, activation)`` makes an untrained network.

    ``activation`` is called once per spiking layer and returns the module to put there, ``nn.ReLU`` or a
    :class:`spikec.training.ClipFloorShift`. ``input_shape``: (C, H, W) of the images the network is meant for.
    """

    build: Builder
    input_shape: tuple[int, int, int]


GREY, CIFAR, IMAGENET = (1, 28, 28), (3, 32, 32), (3, 224, 224)


def resnet20_normalized(num_classes: int, in_channels: int, activation: Callable[[], nn.Module]) -> CifarResNet:
    """ResNet-20 for images in [0, 1], with weights trained on ImageNet-normalised images, such as Idelbayev's."""
    normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
    return CifarResNet(20, num_classes, in_channels, activation, normalize=normalize)


REGISTRY: dict[str, Architecture] = {
    "digits-cnn": Architecture(digits_cnn, (1, 8, 8)),
    "fashion-vgg": Architecture(fashion_vgg, GREY),
    "fashion-resnet": Architecture(FashionResNet, GREY),
    "lenet5": Architecture(lenet5, GREY),
    "vgg11": Architecture(partial(VGG, 11), CIFAR),
    "vgg13": Architecture(partial(VGG, 13), CIFAR),
    "vgg16": Architecture(partial(VGG, 16), CIFAR),
    "vgg11-imagenet": Architecture(partial(VGG, 11, head="imagenet"), IMAGENET),
    "vgg13-imagenet": Architecture(partial(VGG, 13, head="imagenet"), IMAGENET),
    "vgg16-imagenet": Architecture(partial(VGG, 16, head="imagenet"), IMAGENET),
    "resnet18": Architecture(partial(ResNet, 18), CIFAR),
    "resnet34": Architecture(partial(ResNet, 34), CIFAR),
    "resnet18-imagenet": Architecture(partial(ResNet, 18, stem="imagenet"), IMAGENET),
    "resnet34-imagenet": Architecture(partial(ResNet, 34, stem="imagenet"), IMAGENET),
    "resnet20": Architecture(partial(CifarResNet, 20), CIFAR),
    "resnet20-normalized": Architecture(resnet20_normalized, CIFAR),
    "resnet32": Architecture(partial(CifarResNet, 32), CIFAR),
    "resnet44": Architecture(partial(CifarResNet, 44), CIFAR),
    "resnet56": Architecture(partial(CifarResNet, 56), CIFAR),
    "resnet20-b": Architecture(partial(CifarResNet, 20, option="B"), CIFAR),
    "resnet32-b": Architecture(partial(CifarResNet, 32, option="B"), CIFAR),
    "resnet44-b": Architecture(partial(CifarResNet, 44, option="B"), CIFAR),
    "resnet56-b": Architecture(partial(CifarResNet, 56, option="B"), CIFAR),
    "mobilenetv1": Architecture(MobileNetV1, CIFAR),
    "mobilenetv1-imagenet": Architecture(partial(MobileNetV1, stem="imagenet"), IMAGENET),
    "mobilenetv2": Architecture(MobileNetV2, CIFAR),
    "mobilenetv2-imagenet": Architecture(partial(MobileNetV2, stem="imagenet"), IMAGENET),
    "squeezenet": Architecture(SqueezeNet, CIFAR),
    "squeezenet-imagenet": Architecture(partial(SqueezeNet, stem="imagenet"), IMAGENET),
}

__all__ = ["REGISTRY", "Architecture", "Builder"]

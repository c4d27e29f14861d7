"""ResNet-18, ResNet-50 and VGG-16 for 1,000 classes, of torchvision where it is installed, else the same layers."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

CLASSES = 1000
_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


class Block(nn.Module):
    """A residual block of two 3 x 3 convolutions, or of 1 x 1, 3 x 3 and 1 x 1 ones to four times the ``width``."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * (4 if bottleneck else 1)
        if bottleneck:
            layers = [*_conv(inputs, width, 1), nn.ReLU(), *_conv(width, width, 3, stride), nn.ReLU()]
            layers += _conv(width, outputs, 1)
        else:
            layers = [*_conv(inputs, width, 3, stride), nn.ReLU(), *_conv(width, width, 3)]
        self.body = nn.Sequential(*layers)
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else nn.Sequential(*_conv(inputs, outputs, 1, stride))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.body(x) + self.skip(x))
        return y


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


def _resnet(blocks: tuple[int, ...], bottleneck: bool) -> nn.Module:
    layers: list[nn.Module] = [*_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for place in range(count):
            layers.append(Block(inputs, width, 2 if stage and not place else 1, bottleneck))
            inputs = width * (4 if bottleneck else 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


def _vgg16() -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 3
    for width in _VGG16:
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        inputs = width or inputs
    head = [nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, CLASSES)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


def _own_or(name: str, own: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        try:
            from torchvision import models
        except ImportError:
            return own()
        module: nn.Module = getattr(models, name)(weights=None)
        return module

    return build


#: Networks by name, each a function that makes one with random weights.
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": _own_or("resnet18", lambda: _resnet((2, 2, 2, 2), bottleneck=False)),
    "resnet50": _own_or("resnet50", lambda: _resnet((3, 4, 6, 3), bottleneck=True)),
    "vgg16": _own_or("vgg16", _vgg16),
}

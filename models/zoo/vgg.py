"""VGG with batch norm and average pooling (Simonyan and Zisserman, ICLR 2015, configurations A, B and D).

Parameters are named as in torchvision's ``vgg11_bn``, ``vgg13_bn`` and ``vgg16_bn``, whose weights load into the
ImageNet head (they were trained with max pooling: fine-tune).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Activation = Callable[[], nn.Module]

#: Channels of the convolutions in units of 64, stage by stage; a pool ends each stage.
_STAGES: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((1,), (2,), (4, 4), (8, 8), (8, 8)),
    13: ((1, 1), (2, 2), (4, 4), (8, 8), (8, 8)),
    16: ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8)),
}


class VGG(nn.Module):
    """``depth`` 11, 13 or 16; input [N, in_channels, H, W], output [N, num_classes].

    ``head`` "cifar": H = W = 32, one linear layer on the 1x1 maps; "imagenet": H = W = 224, two hidden linear layers
    of 64 times ``width`` and dropout. ``width`` is the number of channels of the first stage, 64 as published.
    """

    def __init__(
        self,
        depth: Literal[11, 13, 16],
        num_classes: int,
        in_channels: int,
        activation: Activation,
        *,
        head: Literal["cifar", "imagenet"] = "cifar",
        width: int = 64,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for stage in _STAGES[depth]:
            for factor in stage:
                convolution = nn.Conv2d(channels, factor * width, 3, padding=1)
                layers += [convolution, nn.BatchNorm2d(factor * width), activation()]
                channels = factor * width
            layers.append(nn.AvgPool2d(2))
        self.features = nn.Sequential(*layers)
        if head == "cifar":
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.classifier: nn.Module = nn.Linear(channels, num_classes)
        else:
            hidden = 64 * width
            self.avgpool = nn.AdaptiveAvgPool2d(7)
            self.classifier = nn.Sequential(
                nn.Linear(channels * 7 * 7, hidden),
                activation(),
                nn.Dropout(),
                nn.Linear(hidden, hidden),
                activation(),
                nn.Dropout(),
                nn.Linear(hidden, num_classes),
            )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return logits

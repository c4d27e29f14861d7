"""Input normalisation as a layer, for weights that were trained on normalised images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Channel statistics of ImageNet images in [0, 1], as torchvision's published weights use them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """``y[:, c] = (x[:, c] - mean[c]) / std[c]`` on images [N, C, H, W]; it adds nothing to the state dictionary."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

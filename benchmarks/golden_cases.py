"""The networks of the golden benchmark, with shipped or, on which speed hardly depends, with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import toolchain as tc
from models import pretrained, resolve
from models.data import open_dataset
from models.zoo import REGISTRY
from toolchain.errors import DataError
from toolchain.frontend import canonicalize

#: Data set by network, and whether it runs with the shipped weights.
NETWORKS = {
    "digits-cnn": ("digits", True),
    "fashion-vgg": ("fashion-mnist", True),
    "vgg11": ("cifar10", False),
    "resnet20": ("cifar10", False),
}
#: Neurons other than IF: the method that converts to them.
KINDS = {
    "if": tc.QCFS,
    "signed_if": tc.ErrorCompensation,
    "static": lambda timesteps: tc.ErrorCompensation(timesteps=timesteps, offsets="static"),
    "calibrated_if": tc.OffsetSpikes,
    "layerwise": lambda timesteps: tc.QCFS(timesteps=timesteps, schedule="layerwise"),
    "bit_serial": tc.ErrorFree,
    "graded": lambda timesteps: tc.Graded(levels=timesteps),
}


@dataclass(frozen=True)
class Case:
    """One deployment: a network at ``timesteps``, with neurons of a kind."""

    network: str
    timesteps: int
    kind: str = "if"

    @property
    def name(self) -> str:
        return f"{self.network}-{self.kind}-{self.timesteps}"

    def write(self, folder: Path) -> None:
        """``NAME.nir``, unless it is there."""
        path = folder / f"{self.name}.nir"
        if path.exists():
            return
        calibration = images(self.network, 64, split="train")
        method = KINDS[self.kind](timesteps=self.timesteps)
        network = tc.convert(model(self.network), method, example=calibration[:1], calibration=calibration)
        tc.save(tc.lower(network, tc.Int8()), path)


def model(network: str) -> nn.Module:
    """The ANN, its batch norms folded as for a deployment; the same at every call."""
    _, shipped = NETWORKS[network]
    torch.manual_seed(0)
    module = pretrained(network) if shipped else resolve(network, activation=nn.ReLU)
    return canonicalize(module.eval(), torch.zeros(1, *REGISTRY[network].input_shape))


def images(network: str, count: int, split: str = "test") -> Tensor:
    """Images float32 [count, C, H, W] of the network's data set, noise where it is not on this machine."""
    data, _ = NETWORKS[network]
    try:
        found = open_dataset(data, split=split).images(slice(count))
    except DataError:
        found = torch.rand(count, *REGISTRY[network].input_shape, generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(np.resize(found.numpy(), (count, *found.shape[1:])))

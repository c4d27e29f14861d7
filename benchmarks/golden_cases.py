"""The networks of the golden benchmark, with shipped or, on which speed hardly depends, with random weights."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import spikec as tc
from spikec.deployment import deploy_network
from spikec.errors import DataError
from spikec.frontend import canonicalize
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, SignedIF
from spikec.models import pretrained, resolve
from spikec.models.data import open_dataset
from spikec.models.data.dataset import Dataset
from spikec.models.zoo import REGISTRY

#: Data set by network, and whether it runs with the shipped weights.
NETWORKS = {
    "digits-cnn": ("digits", True),
    "fashion-vgg": ("fashion-mnist", True),
    "vgg11": ("cifar10", False),
    "resnet20": ("cifar10", False),
}
#: Ways to fire, by the neurons or by what else makes them: the method that converts to them.
KINDS = {
    IF.name: tc.QCFS,
    SignedIF.name: tc.ErrorCompensation,
    "static": lambda timesteps: tc.ErrorCompensation(timesteps=timesteps, offsets="static"),
    CalibratedIF.name: tc.OffsetSpikes,
    "layerwise": lambda timesteps: tc.QCFS(timesteps=timesteps, schedule="layerwise"),
    BitSerialIF.name: tc.ErrorFree,
    GradedIF.name: lambda timesteps: tc.Graded(levels=timesteps),
}


@dataclass(frozen=True)
class Sources:
    """Where data sets are: a folder for all (None: where the system has them), and others by the name of the data set
    that they stand for, such as ``folder:PATH`` for ``cifar10``."""

    root: Path | None = None
    instead: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def options(cls, parser: argparse.ArgumentParser) -> None:
        """Add ``--data-root`` and ``--data``."""
        parser.add_argument("--data-root", type=Path, help="where data sets are; noise for those that are missing")
        parser.add_argument("--data", nargs="*", default=[], metavar="NAME=SET", help="such as cifar10=folder:PATH")

    @classmethod
    def given(cls, args: argparse.Namespace) -> Sources:
        """What :meth:`options` read."""
        return cls(args.data_root, dict(pair.split("=", 1) for pair in args.data))


@dataclass(frozen=True)
class Case:
    """One deployment: a network at ``timesteps``, with neurons of a kind, a name of ``KINDS``."""

    network: str
    timesteps: int
    kind: str = IF.name

    @property
    def name(self) -> str:
        return f"{self.network}-{self.kind}-{self.timesteps}"

    def write(self, folder: Path, sources: Sources | None = None) -> None:
        """``NAME.nir``, unless it is there."""
        path = folder / f"{self.name}.nir"
        if path.exists():
            return
        calibration = images(self.network, 64, "train", sources)
        method = KINDS[self.kind](timesteps=self.timesteps)
        tc.save(deploy_network(model(self.network), method, calibration).nir, path)


def model(network: str) -> nn.Module:
    """The ANN, its batch norms folded as for a deployment; the same at every call."""
    _, shipped = NETWORKS[network]
    torch.manual_seed(0)
    module = pretrained(network) if shipped else resolve(network, activation=nn.ReLU)
    return canonicalize(module.eval(), torch.zeros(1, *REGISTRY[network].input_shape))


def images(network: str, count: int, split: str = "test", sources: Sources | None = None) -> Tensor:
    """Images float32 [count, C, H, W] of the network's data set, noise where it is not on this machine."""
    try:
        found = _data(network, split, sources).images(slice(count))
    except DataError:
        found = torch.rand(count, *REGISTRY[network].input_shape, generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(np.resize(found.numpy(), (count, *found.shape[1:])))


def on_this_machine(network: str, sources: Sources | None = None) -> bool:
    """Whether :func:`images` are those of the data set."""
    try:
        _data(network, "test", sources)
    except DataError:
        return False
    return True


def _data(network: str, split: str, sources: Sources | None) -> Dataset:
    data, _ = NETWORKS[network]
    where = sources or Sources()
    return open_dataset(where.instead.get(data, data), where.root, split)

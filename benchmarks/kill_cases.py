"""The commands that :mod:`benchmarks.kills` disturbs, and the files they read."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikec.cli import main as spikec


@dataclass(frozen=True)
class Case:
    """Words of a command that ends in the same files however often it is killed before. ``needs``: a package."""

    words: tuple[str, ...]
    needs: str | None = None

    def missing(self) -> str | None:
        """Why the case cannot run here."""
        if self.needs is None or importlib.util.find_spec(self.needs) is not None:
            return None
        return f"{self.needs} is not installed"


def _case(words: str, needs: str | None = None) -> Case:
    return Case(tuple(words.split()), needs)


CASES = {
    "sweep": _case("sweep grid.toml -o results --jobs 2 --threads 1"),
    "train": _case("train net.py:make --recipe recipe.toml --resume -o w.safetensors"),
    "run in Lava": _case("run net.nir --target lava --limit 6 --chunk 2 --resume kept -o trace.npz", "lava"),
    "advise": _case("advise digits-cnn --budget 1h --limit 20 --calibration 32 --threads 1 -o advice"),
    "export": _case("export digits-cnn --calibration 64 --measure 100 -o new.nir"),
    "report": _case("report net.nir --limit 100 -o report.html"),
    "run": _case("run net.nir --record spikes -o trace.npz"),
    "run in C": _case("run net.nir --target c --limit 300 -o trace.npz"),
    "c": _case("c net.nir -o code"),
    "netx": _case("netx net.nir --limit 100 -o net.hdf5"),
    "map": _case("map net.nir --target loihi2 --svg map.svg"),
}

_NETWORK = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
"""
_RECIPE = """
data = "npz:images.npz"
method = "qcfs"
levels = 4
threshold = 2.0
validation = 0.25
[fit]
epochs = 6
batch = 32
lr = 0.02
seed = 1
"""
_GRID = """
[grid]
model = "digits-cnn"
limit = 100
timesteps = [1, 2, 3, 4]
"""


def prepare(folder: Path, names: Iterable[str]) -> None:
    """Write the files that the commands of these names read."""
    folder.mkdir()
    (folder / "net.py").write_text(_NETWORK)
    (folder / "recipe.toml").write_text(_RECIPE)
    (folder / "grid.toml").write_text(_GRID)
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 10, 500)
    images = draw.integers(0, 100, (500, 1, 8, 8), dtype=np.uint8)
    images[np.arange(500), 0, labels % 8] += 100
    np.savez(folder / "images.npz", x=images, y=labels)
    deployed = any("net.nir" in CASES[name].words for name in names)
    if deployed and spikec(
        ["export", "digits-cnn", "--calibration", "32", "--measure", "0", "-o", str(folder / "net.nir")]
    ):
        raise SystemExit("the network for the benchmark could not be exported")

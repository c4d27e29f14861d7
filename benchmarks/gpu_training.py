"""The trainings of ``benchmarks.gpu``: each within its share of the time, resumed by the next run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import spikec as tc
from benchmarks.golden_cases import Sources
from spikec.conversion import Method
from spikec.deployment import deploy_network
from spikec.models import prepare
from spikec.models.data import Dataset, open_dataset
from spikec.models.recipes import Recipe
from spikec.training import FitConfig, evaluate, fit

#: By the method of training: levels, and the method of conversion at the T at which it is tested.
METHODS: dict[str, tuple[int, Method]] = {
    "relu": (4, tc.QCFS(timesteps=8)),
    "qcfs": (4, tc.QCFS(timesteps=4)),
    "residual-error": (4, tc.ResidualError(timesteps=4)),
    "error-free": (3, tc.ErrorFree(timesteps=2)),
}
_CALIBRATION = 256


@dataclass(frozen=True)
class Training:
    """A network, its data set, how it is trained, and how many test images the golden model sees (None: all)."""

    network: str
    data: str
    method: str
    epochs: int
    tested: int | None = None
    precision: str = "bfloat16"

    @property
    def name(self) -> str:
        return f"{self.network} on {self.data}, {self.method}, {self.epochs} epochs"

    @property
    def recipe(self) -> Recipe:
        levels, _ = METHODS[self.method]
        moved = {"flip": True, "shift": 4} if self.data == "cifar10" else {}
        config = FitConfig(epochs=self.epochs, schedule="one-cycle", precision=self.precision, **moved)  # type: ignore[arg-type]
        return Recipe(self.network, self.data, self.method, levels, threshold=1.0, validation=0.05, fit=config)  # type: ignore[arg-type]


def trainings(*, tiny: bool = False) -> tuple[Training, ...]:
    """The two networks with the four methods."""
    if tiny:
        return tuple(Training("digits-cnn", "digits", method, 1, 20, "float32") for method in METHODS)
    return tuple(Training(network, "cifar10", method, 4) for network in ("resnet18", "vgg16") for method in METHODS)


class OutOfTimeError(Exception):
    """The share of a training is used up; its checkpoint holds the epochs that are done."""


def trained(
    training: Training,
    device: str,
    get: Callable[[str, Callable[[], Any]], Any],
    seconds: float,
    folder: Path,
    sources: Sources,
) -> str:
    """What came of a training, in words; ``get`` keeps the figures."""
    where = sources.instead.get(training.data, training.data)
    try:
        train, test = (open_dataset(where, sources.root, split) for split in ("train", "test"))
        found = get(training.name, lambda: _figures(training, device, seconds, folder, train, test))
    except tc.DataError as error:
        return f"{training.name}: skipped, {error}"
    except OutOfTimeError:
        return f"{training.name}: not finished in its {seconds:.0f} s; the next run goes on"
    return (
        f"{training.name}: {found['seconds']:.0f} s, float {100 * found['float']:.2f} %, "
        f"{found['conversion']} {100 * found['golden']:.2f} % of {found['images']} images"
    )


def _figures(
    training: Training, device: str, seconds: float, folder: Path, train: Dataset, test: Dataset
) -> dict[str, Any]:
    started = time.monotonic()
    recipe, (_, conversion) = training.recipe, METHODS[training.method]
    part, validation = train.split(recipe.validation, recipe.fit.seed)
    network, _ = prepare(training.network, recipe, part)
    checkpoint = folder / f"{training.network}.{training.method}.checkpoint"
    with within(network, started + seconds):
        fit(
            network,
            part,
            validation,
            recipe.fit,
            checkpoint=checkpoint,
            resume=True,
            device=device,
            **recipe.hooks(network, validation, device),
        )
    network = network.cpu()
    shown = test.subset(slice(training.tested))
    _, accuracy = evaluate(network, shown)
    graph = deploy_network(network, conversion, train.images(slice(_CALIBRATION))).nir
    trace = tc.simulate(graph, shown.images(), counts=False, device=device)
    figures = {
        "seconds": time.monotonic() - started,
        "float": accuracy,
        "conversion": f"{type(conversion).__name__} at T = {conversion.timesteps}",
        "golden": trace.accuracy(shown.targets()),
        "images": len(shown),
    }
    checkpoint.unlink()
    return figures


@contextlib.contextmanager
def within(network: nn.Module, end: float) -> Iterator[None]:
    """Raise :class:`OutOfTimeError` in the first forward pass of ``network`` after ``end`` (``time.monotonic``)."""

    def check(_module: nn.Module, _inputs: tuple[torch.Tensor, ...]) -> None:
        if time.monotonic() > end:
            raise OutOfTimeError

    hook = network.register_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()

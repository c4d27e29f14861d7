"""Training recipes. Those of the zoo are TOML files in this folder; users can write their own."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

from torch import nn

from spikec.arguments import file_path
from spikec.errors import DataError, ToolchainError
from spikec.guarded import read_toml_file
from spikec.ir.types import TIMESTEPS_MAX
from spikec.models.loading import LEVELS_MOST
from spikec.training import BitCountPenalty, ClipFloorShift, FitConfig, FitResult, ResidualNoise
from spikec.training.activations import Order
from spikec.training.images import Images
from spikec.words import nearest

Method = Literal["qcfs", "relu", "residual-error", "error-free"]
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Raises :class:`DataError` for values that make no sense.

    ``model``: the zoo name it was written for (not checked). ``data``: a data set name. ``levels`` (L; 0: trained
    clipping, not quantised), ``threshold`` and ``order``: those of every :class:`spikec.training.ClipFloorShift`.
    ``validation``: the share of the training images held out to choose the best epoch. ``fit``: everything else.

    ``method``: ``qcfs``; ``relu``; ``residual-error``, which is QCFS with the spiking network's error over
    ``noise_timesteps`` steps as noise; or ``error-free``, which is QCFS with 2^T - 1 levels, and ``bit_decay`` times
    the number of 1-bits added to the loss.

    ``mean`` and ``deviation``, per channel: the normalisation with which weights for fine-tuning were trained. It is
    folded into the first layer, since the data here are pixels in [0, 1].
    """

    model: str = ""
    data: str = "digits"
    method: Method = "qcfs"
    levels: int = 4
    threshold: float = 8.0
    order: Order = "floor_clamp"
    noise_timesteps: int = 4
    bit_decay: float = 2e-9
    validation: float = 0.1
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise DataError(f"method is one of {', '.join(get_args(Method))}, not {self.method!r}")
        if self.method == "error-free" and (self.levels < 1 or self.levels & (self.levels + 1)):
            raise DataError(f"error-free conversion sends levels bit by bit: levels is 1, 3, 7, ..., not {self.levels}")
        if self.fit.through_spikes and self.method != "qcfs":
            raise DataError(f"through_spikes trains the neurons that the method qcfs prepares, not {self.method!r}")
        for name, low, high in (
            ("levels", 0, LEVELS_MOST),
            ("noise_timesteps", 1, TIMESTEPS_MAX),
            ("bit_decay", 0, math.inf),
        ):
            if not getattr(self, name) >= low:
                raise DataError(f"{name} must be at least {low}, it is {getattr(self, name)}")
            if getattr(self, name) > high:
                raise DataError(f"{name} must be at most {high}, it is {getattr(self, name)}")
        ClipFloorShift(self.levels or None, self.threshold, self.order)  # raises for values that no training could use
        numbers = all(isinstance(value, Real) for value in (*self.mean, *self.deviation))
        if not numbers or len(self.mean) != len(self.deviation) or not all(d > 0 for d in self.deviation):
            raise DataError("mean and deviation need one number per channel each, deviations positive")
        if not 0 < self.validation < 1:
            raise DataError(f"validation is a share between 0 and 1, not {self.validation}")

    @property
    def activation(self) -> Callable[[], nn.Module]:
        """Makes the module of one spiking layer."""
        if self.method == "relu":
            return nn.ReLU
        return lambda: ClipFloorShift(self.levels or None, self.threshold, self.order)

    def hooks(self, model: nn.Module, validation: Images, device: str = "cpu") -> dict[str, Any]:
        """Keyword arguments that the method adds to :func:`spikec.training.fit`."""
        if self.method == "residual-error":
            return {"after_epoch": ResidualNoise(validation, self.noise_timesteps, device)}
        if self.method == "error-free" and self.bit_decay:
            return {"penalty": BitCountPenalty(model, self.bit_decay)}
        return {}

    def record(self, result: FitResult, validation_images: int) -> dict[str, Any]:
        """What the header of a weights file says of a training with this recipe. Epochs count from 1."""
        return {
            "data": self.data,
            "method": self.method,
            "levels": self.levels,
            "seed": self.fit.seed,
            "epochs": self.fit.epochs,
            "best_epoch": result.best_epoch + 1,
            "validation_images": validation_images,
            "validation_accuracy": result.validation_accuracy,
            "validation_timesteps": self.fit.timesteps,
            "through_spikes": self.fit.through_spikes,
            "neuron": self.fit.neuron,
        }


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe. Raises :class:`DataError`, which names the file and a key that is unknown or of the wrong type."""
    path = file_path(path, "a recipe")
    table = read_toml_file(path, "the recipe")
    fit = table.pop("fit", {})
    if not isinstance(fit, dict):
        raise DataError(f"{path}: fit must be a table, [fit]")
    settings, chosen = _checked(path, Recipe, table, ""), _checked(path, FitConfig, fit, "fit.")
    try:
        return Recipe(fit=FitConfig(**chosen), **settings)
    except ToolchainError as error:
        raise DataError(f"{path}: {error}") from error


def default_recipe(model: str) -> Recipe:
    """The recipe of a zoo network, or general defaults for any other."""
    path = FOLDER / f"{model}.toml"
    return load_recipe(path) if os.path.isfile(path) else Recipe()


def _checked(path: Path, kind: type, table: dict[str, Any], prefix: str) -> dict[str, Any]:
    defaults = {f.name: getattr(kind(), f.name) for f in fields(kind)}
    table = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    for key, value in table.items():
        if key not in defaults:
            close = nearest(key, defaults)
            hint = f"did you mean {prefix}{close}?" if close else f"known: {', '.join(sorted(defaults))}"
            raise DataError(f"{path}: unknown key {prefix}{key}; {hint}")
        expected = type(defaults[key])
        allowed = (int, float) if expected is float else (expected,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and expected is not bool):
            raise DataError(f"{path}: {prefix}{key} must be of type {expected.__name__}, not {type(value).__name__}")
    return {k: float(v) if isinstance(defaults[k], float) else v for k, v in table.items()}

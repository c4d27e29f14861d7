"""The settings of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from spikec.arguments import real_number, switch, whole_number
from spikec.calls import named_fields
from spikec.errors import ConversionError
from spikec.ir.kinds import IF
from spikec.ir.types import TIMESTEPS_MAX
from spikec.training.spiking import trained_kind
from spikec.words import among

Optimizer = Literal["sgd", "adamw"]
RateSchedule = Literal["cosine", "one-cycle"]
ForwardType = Literal["float32", "bfloat16"]
_WORDS = {"optimizer": Optimizer, "schedule": RateSchedule, "precision": ForwardType}

#: One-cycle: share of the steps that warm up, and the first and last rate as fractions of the peak (Smith 2018).
_WARM_UP, _FIRST, _LAST = 0.3, 1 / 25, 1 / 250_000


@named_fields
@dataclass(frozen=True)
class FitConfig:
    """Hyper-parameters of :func:`spikec.training.fit`.

    ``lr`` is the peak learning rate; ``shift`` the largest translation in pixels (zero padding and random crop);
    ``flip`` mirrors left to right with probability one half; ``cutout`` is the side in pixels of one square set to
    zero (0: none); ``ema`` the decay per step of an exponential moving average of the weights, which is then what
    is validated and returned (0: none). Weight decay acts on every parameter, thresholds included, as published.

    With ``timesteps`` T > 0, validation, which chooses the best epoch, runs the network as a spiking network for T
    steps, with neurons of the kind ``neuron``, instead of the ANN. With ``through_spikes`` the spiking network is also
    what is trained: through all T steps, with surrogate gradients and batch norms that keep their statistics. It is
    meant for fine-tuning for few steps and costs T times as much.

    ``precision`` "bfloat16" computes the forward pass of the training steps under autocast; parameters and validation
    stay float32. It is about a third faster where the processor or GPU has instructions for it. ``compile`` runs the
    training steps through ``torch.compile`` (needs a C++ compiler; a minute to start, then up to twice as fast).
    """

    epochs: int = 20
    batch: int = 128
    optimizer: Optimizer = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: RateSchedule = "cosine"
    label_smoothing: float = 0.0
    flip: bool = False
    shift: int = 0
    cutout: int = 0
    ema: float = 0.0
    timesteps: int = 0
    neuron: str = IF.name
    through_spikes: bool = False
    precision: ForwardType = "float32"
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in {"epochs": 1, "batch": 1, "shift": 0, "cutout": 0}.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), low))
        object.__setattr__(self, "timesteps", whole_number("timesteps", self.timesteps, 0, TIMESTEPS_MAX))
        object.__setattr__(self, "seed", whole_number("seed", self.seed, 0, 2**64 - 1))  # what a generator takes
        for name in ("lr", "momentum", "weight_decay", "label_smoothing", "ema"):
            object.__setattr__(self, name, real_number(name, getattr(self, name)))
        for name in ("flip", "compile", "through_spikes"):
            object.__setattr__(self, name, switch(name, getattr(self, name)))
        if self.weight_decay < 0:
            raise ConversionError(f"weight_decay must not be negative, it is {self.weight_decay}")
        for name in ("momentum", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ConversionError(f"{name} must lie in [0, 1), it is {getattr(self, name)}")
        if self.lr <= 0:
            raise ConversionError(f"lr must be positive, it is {self.lr}")
        for name, kind in _WORDS.items():
            if not among(getattr(self, name), get_args(kind)):
                raise ConversionError(f"{name} is one of {', '.join(get_args(kind))}, not {getattr(self, name)!r}")
        trained_kind(self.neuron)
        if self.through_spikes and not self.timesteps:
            raise ConversionError("through_spikes trains for a number of steps: give timesteps")
        if self.through_spikes and self.compile:
            raise ConversionError("neurons keep a state from step to step: through_spikes cannot be compiled")

    @property
    def spiking_steps(self) -> int:
        """T if a spiking network is trained, 0 if the ANN is."""
        return self.timesteps if self.through_spikes else 0

    def learning_rate(self, step: int, steps: int) -> float:
        """Rate of optimiser step ``step`` (from 0) of ``steps`` in the whole run."""
        progress = step / max(1, steps - 1)
        if self.schedule == "cosine":
            return _cosine(self.lr, 0.0, progress)
        if progress < _WARM_UP:
            return _cosine(self.lr * _FIRST, self.lr, progress / _WARM_UP)
        return _cosine(self.lr, self.lr * _LAST, (progress - _WARM_UP) / (1 - _WARM_UP))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2

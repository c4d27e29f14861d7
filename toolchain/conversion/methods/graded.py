"""Graded spikes: the quantised network itself, one integer payload per neuron, in one step.

The baseline for every multi-step method; for chips whose spikes carry integers (Loihi 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.arguments import whole_number
from spikec.conversion.methods.base import GATHERS, Method, NeuronSpec, register
from spikec.errors import ConversionError
from spikec.ir.kinds import GradedIF
from spikec.ir.types import Schedule
from spikec.words import option

_DEFAULT_LEVELS = 15


@register
@dataclass(frozen=True)
class Graded(Method):
    """``k = clip(floor(m / unit), 0, L)`` with m = unit / 2 + z, unit = threshold / L: lossless by construction.

    ``levels`` L defaults to what the activation was trained with, or 15 for a plain ReLU network.

    >>> tc.convert(model, tc.Graded(), example=images).steps
    1
    """

    timesteps: int = 1
    schedule: Schedule = "layerwise"
    levels: int | None = None

    name: ClassVar[str] = "graded"
    source: ClassVar[str] = "the quantised network itself"
    schedules: ClassVar[tuple[Schedule, ...]] = GradedIF.schedules
    reason: ClassVar[str] = GATHERS
    training: ClassVar[str] = "qcfs"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timesteps != 1:
            given = option("timesteps", self.timesteps)
            raise ConversionError(f"{self.name} runs in one step; {given} has no meaning: leave it out")
        if self.levels is not None:
            object.__setattr__(self, "levels", whole_number("levels", self.levels, 1, 2**15 - 1))

    @classmethod
    def for_levels(cls, levels: int) -> Graded:
        return cls()  # one step; neuron() gets the levels of each activation

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(GradedIF(levels=self.levels or levels or _DEFAULT_LEVELS))

"""SRP, for comparison: masking by the residual membrane potential.

Hao et al., "Reducing ANN-SNN conversion error through residual membrane potential", AAAI 2023, as its published code
does it (``hzc1208/ANN2SNN_SRP``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.arguments import whole_number
from spikec.conversion.methods.base import Method, NeuronSpec, register
from spikec.ir.kinds import IF
from spikec.ir.types import Schedule


@register
@dataclass(frozen=True)
class SRP(Method):
    """``tau`` ordinary steps, then T steps in which neurons that ended the first phase at or below zero (0.001 of the
    threshold, as published) are silent.

    True latency is tau + T. The mask is one bit per neuron and image that no neuron kind of the deployment format
    holds, so the method is evaluated in float only and :func:`spikec.lower` refuses it.

    >>> tc.convert(model, tc.SRP(timesteps=4), example=images).warm_up > 0
    True
    """

    tau: int = 4

    name: ClassVar[str] = "srp"
    source: ClassVar[str] = "Hao et al., AAAI 2023"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined",)
    reason: ClassVar[str] = "neurons that receive everything before they fire leave no residual to mask by"
    training: ClassVar[str] = "qcfs"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tau", whole_number("tau", self.tau, 1, 2**15 - 1))

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(IF(), warm_up=self.tau)

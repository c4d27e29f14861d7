"""Offset-spike calibration.

Hao et al., "Bridging the gap between ANNs and SNNs by calibrating offset spikes", ICLR 2023, arXiv 2302.10685; the
procedure as its published code does it (``hzc1208/ANN2SNN_COS``): one pass, per neuron and per image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolchain.conversion.method import Method, NeuronSpec, register, whole_number
from toolchain.ir.integer import Schedule


@register
@dataclass(frozen=True)
class OffsetSpikes(Method):
    """Run ``rho`` steps, shift each neuron's initial membrane by what moves its count by one, replay.

    The shift is chosen per neuron and per image, on line: it costs rho further steps per layer, which every report
    states.
    """

    rho: int = 4

    name: ClassVar[str] = "offset-spikes"
    source: ClassVar[str] = "Hao et al., ICLR 2023, arXiv 2302.10685"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined",)

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("rho", self.rho, 1, 2**15 - 1)

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec("calibrated_if", rho=self.rho)

"""Error-free conversion: levels sent bit by bit.

Datta et al., "When SNN meets ANN", TMLR 2025. The rule is derived from the paper's public reviews and checked
numerically (identity P4 of ``docs/methods.md``); the released code does not simulate the spiking network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.arguments import whole_number
from spikec.conversion.methods.base import GATHERS, Method, NeuronSpec, register
from spikec.ir.kinds import BitSerialIF
from spikec.ir.types import Schedule


@register
@dataclass(frozen=True)
class ErrorFree(Method):
    """Each layer gathers all T bit planes, then emits its level in T bits, most significant first.

        U = sum 2^(T-k) W s(k) + b,  v = U + u/2,  s_k = [v >= u 2^(T-k)],  v -= s_k u 2^(T-k)

    with the unit u = threshold / (2^T - 1). Lossless where the network was trained with
    2^T - 1 levels. Latency: T steps per layer.

    >>> tc.lower(tc.convert(model, tc.ErrorFree(timesteps=3), example=images)).metadata["spikec"]["schedule"]
    'layerwise'
    """

    schedule: Schedule = "layerwise"

    name: ClassVar[str] = "error-free"
    source: ClassVar[str] = "Datta et al., TMLR 2025 (rule derived)"
    schedules: ClassVar[tuple[Schedule, ...]] = BitSerialIF.schedules
    reason: ClassVar[str] = GATHERS
    training: ClassVar[str] = "error-free"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("timesteps", self.timesteps, *BitSerialIF.timesteps)

    @classmethod
    def for_levels(cls, levels: int) -> ErrorFree:
        return cls(timesteps=levels.bit_length())

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(BitSerialIF())

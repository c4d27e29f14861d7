"""Kind ``cuba_lif``: the leaky current-based neuron that a Loihi has in silicon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import register
from spikec.ir.kinds.stored import stored
from spikec.ir.timing import Timing
from spikec.ir.types import MEMBRANE_MAX, TIMESTEPS_MAX, Int64, Schedule


@register
@dataclass(frozen=True)
class CubaLIF(Kind):
    """``u = toward0(u (4095 - du) / 4096) + 64 z``, wrapped once at +-2^23; ``m = toward0(v (4096 - dv) / 4096) + u +
    bias``, held within +-(2^23 - 1); ``s = [m > 64 theta]``; ``v = 0`` where it fired, else m.

    Source: the fixed-point model of ``LIF`` in Lava 0.10.0 (``lava/proc/lif/models.py``), to the bit. ``du`` = 4095 is
    a current without memory, ``dv`` = 0 a membrane without leak. ``bias`` is added to the membrane at every step, in
    its own units. ``subtract``: 1 for a reset that subtracts 64 theta in place of the one to 0; Lava's LIF has none.
    """

    name: ClassVar[str] = "cuba_lif"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined",)
    timesteps: ClassVar[tuple[int, int]] = (1, TIMESTEPS_MAX)
    alone: ClassVar[bool] = False
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = True
    constant_once: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    quantises: ClassVar[bool] = False
    inflation: ClassVar[int] = 2**18  # 64 z enters the current, and decays multiply by up to 4096
    requirement: ClassVar[str | None] = "kind=cuba_lif"

    du: Int64 | None = stored("du", netx="iDecay", title="du", per="neuron", low=0, high=4095, default=4095)
    dv: Int64 | None = stored("dv", netx="vDecay", title="dv", per="neuron", low=0, high=4096, default=0)
    bias: Int64 | None = stored(
        "bias_int", netx="bias", title="bias", per="neuron", low=-MEMBRANE_MAX, high=MEMBRANE_MAX, default=0
    )
    subtract: int = stored("subtract", netx="subtract", title="subtract", low=0, high=1, default=0)

    @property
    def emission(self) -> tuple[int, int]:
        return 0, 1

    @property
    def subtracts(self) -> bool:
        return bool(self.subtract)

    @property
    def rehearsal(self) -> int:
        return 0

    def place_value(self, step: int, timesteps: int) -> int:
        return 1

    def least(self, timesteps: int) -> int:
        return 0

    def lossless(self, timing: Timing, depth: int) -> str:
        return ""

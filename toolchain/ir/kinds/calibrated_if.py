"""Kind ``calibrated_if``: offset spikes, calibrated per neuron and image in a pass of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import register
from spikec.ir.kinds.stored import LARGEST, stored
from spikec.ir.timing import Timing
from spikec.ir.types import TIMESTEPS_MAX, Schedule


@register
@dataclass(frozen=True)
class CalibratedIF(Kind):
    """As ``if``, in two passes over the same input.

    Pass 1 runs ``rho`` steps from v_init and records n (spikes), v_rho, a (smallest m that fired), b (largest m that
    did not). Pass 2 starts from v_init - max(theta, a - theta + 1) where v_rho < 0 and n > 0, from
    v_init + max(theta, theta - b) where v_rho >= theta and n < rho, else from v_init.
    Hao et al., ICLR 2023, arXiv 2302.10685, as its published code does it.
    """

    name: ClassVar[str] = "calibrated_if"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined",)
    timesteps: ClassVar[tuple[int, int]] = (1, TIMESTEPS_MAX)
    alone: ClassVar[bool] = False
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = False
    constant_once: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    requirement: ClassVar[str | None] = "kind=calibrated_if"

    rho: int = stored("rho", netx="rho", title="rho", high=LARGEST)

    @property
    def emission(self) -> tuple[int, int]:
        return 0, 1

    @property
    def rehearsal(self) -> int:
        return self.rho

    def place_value(self, step: int, timesteps: int) -> int:
        return 1

    def least(self, timesteps: int) -> int:
        return 0

    def lossless(self, timing: Timing, depth: int) -> str:
        return ""

"""Kind ``if``: integrate and fire, at most one spike per step, soft reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import register
from spikec.ir.timing import Timing
from spikec.ir.types import TIMESTEPS_MAX, Schedule

LAYERWISE = "layer-synchronous neurons fire their level exactly"
SINGLE_STEP = "in a single step neurons fire their level"


@register
@dataclass(frozen=True)
class IF(Kind):
    """``m = v + z; s = [m >= theta]; v = m - s * theta``.

    Layerwise, all input comes first, then T steps fire and subtract. Bu et al., ICLR 2022, arXiv 2303.04347.
    """

    name: ClassVar[str] = "if"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined", "layerwise")
    timesteps: ClassVar[tuple[int, int]] = (1, TIMESTEPS_MAX)
    alone: ClassVar[bool] = False
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = True
    constant_once: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    requirement: ClassVar[str | None] = None

    @property
    def emission(self) -> tuple[int, int]:
        return 0, 1

    @property
    def rehearsal(self) -> int:
        return 0

    def place_value(self, step: int, timesteps: int) -> int:
        return 1

    def least(self, timesteps: int) -> int:
        return 0

    def lossless(self, timing: Timing, depth: int) -> str:
        if timing.schedule == "layerwise":
            return LAYERWISE
        return SINGLE_STEP if timing.timesteps == 1 and not timing.drain else ""

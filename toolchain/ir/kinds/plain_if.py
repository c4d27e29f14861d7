"""Kind ``if``: integrate and fire, soft reset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import register
from spikec.ir.kinds.stored import LARGEST, MAX_SPIKES, stored
from spikec.ir.timing import Timing
from spikec.ir.types import TIMESTEPS_MAX, Schedule

LAYERWISE = "layer-synchronous neurons fire their level exactly"
SINGLE_STEP = "in a single step neurons fire their level"


def spikes_per_step() -> Any:
    """The field for the largest number of spikes in a step, K: 1 unless it is given."""
    return stored(MAX_SPIKES, netx="maxSpikes", title=MAX_SPIKES, high=LARGEST, default=1, requirement=MAX_SPIKES)


@register
@dataclass(frozen=True)
class IF(Kind):
    """``m = v + z; k = clip(floor(m / theta), 0, K); v = m - k * theta``. With K = 1, ``k = [m >= theta]``.

    Layerwise, all input comes first, then T steps fire and subtract. Bu et al., ICLR 2022, arXiv 2303.04347.
    ``spikes``: K, the most spikes in a step, sent as one number, as group neurons (arXiv 2402.19061) and burst
    spikes (AdaFire, arXiv 2412.16219) do.
    """

    name: ClassVar[str] = "if"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined", "layerwise")
    timesteps: ClassVar[tuple[int, int]] = (1, TIMESTEPS_MAX)
    alone: ClassVar[bool] = False
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = True
    constant_once: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    spikes_first: ClassVar[bool] = True
    requirement: ClassVar[str | None] = None

    spikes: int = spikes_per_step()

    @property
    def emission(self) -> tuple[int, int]:
        return 0, self.spikes

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

    def single(self) -> IF:
        return replace(self, spikes=1)

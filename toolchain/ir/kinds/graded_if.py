"""Kind ``graded``: sends an integer payload in a single step. This is the quantised network itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import register
from spikec.ir.kinds.stored import LARGEST, stored
from spikec.ir.timing import Timing
from spikec.ir.types import Schedule


@register
@dataclass(frozen=True)
class GradedIF(Kind):
    """``m = v_init + z; k = clip(floor(m / theta), 0, levels)``, sent as a payload. T is 1."""

    name: ClassVar[str] = "graded"
    schedules: ClassVar[tuple[Schedule, ...]] = ("layerwise",)
    timesteps: ClassVar[tuple[int, int]] = (1, 1)
    alone: ClassVar[bool] = True
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = False
    constant_once: ClassVar[bool] = True
    one_number: ClassVar[bool] = True
    requirement: ClassVar[str | None] = "kind=graded"

    levels: int = stored("levels", netx="levels", title="levels", high=LARGEST)

    @property
    def emission(self) -> tuple[int, int]:
        return 0, self.levels

    @property
    def rehearsal(self) -> int:
        return 0

    def place_value(self, step: int, timesteps: int) -> int:
        return 1

    def least(self, timesteps: int) -> int:
        return 0

    def lossless(self, timing: Timing, depth: int) -> str:
        return "graded spikes are the quantised levels"

    def single(self) -> GradedIF:
        return replace(self, levels=1)

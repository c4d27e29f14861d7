"""A kind of another package: fires up to three times in a step. What ``docs/extending.md`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from spikec.analysis.charging import CHARGING
from spikec.analysis.intervals import Interval
from spikec.ir.graph import Population
from spikec.ir.kinds import Kind, Timing, register
from spikec.ir.types import TIMESTEPS_MAX, Schedule
from spikec.simulation.engines.neurons import FIRE, Currents, Parameters
from spikec.simulation.registers import Watch

MOST = 3


@register
@dataclass(frozen=True)
class BurstIF(Kind):
    """``m = v + z; k = clip(floor(m / theta), 0, 3); v = m - k * theta``."""

    name: ClassVar[str] = "burst_if"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined",)
    timesteps: ClassVar[tuple[int, int]] = (1, TIMESTEPS_MAX)
    alone: ClassVar[bool] = False
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = True
    constant_once: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    requirement: ClassVar[str | None] = "kind=burst_if"

    @property
    def emission(self) -> tuple[int, int]:
        return 0, MOST

    @property
    def rehearsal(self) -> int:
        return 0

    def place_value(self, step: int, timesteps: int) -> int:
        return 1

    def least(self, timesteps: int) -> int:
        return 0

    def lossless(self, timing: Timing, depth: int) -> str:
        return "in a single step neurons fire their level" if timing.timesteps == 1 else ""


@FIRE.register(BurstIF)
def fire(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    v = p.v_init.expand(images, *p.theta.shape).clone()
    emitted = v.new_empty((currents.steps, *v.shape))
    for k, terms in zip(emitted, currents, strict=True):
        for z in terms:
            v += z
        watch.see(v)
        k.copy_(torch.div(v, p.theta, rounding_mode="floor").clamp_(0, MOST))
        v.addcmul_(k, p.theta, value=-1)
    return emitted


@CHARGING.register(BurstIF)
def charge(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """The reset takes what fired: 0 to theta - 1 is left, what lies below 0 stays, what exceeds 4 thetas loses 3."""
    v, seen = start, start + currents[0]
    for current in currents:
        m = v + current
        seen = seen.union(m)
        high = np.maximum(np.minimum(m.high, node.theta - 1), m.high - MOST * node.theta)
        v = Interval(np.minimum(m.low, 0), high)
    return seen

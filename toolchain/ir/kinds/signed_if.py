"""Kind ``signed_if``: two thresholds and a memory of the spikes sent; negative spikes take back surplus ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from spikec.ir.integers import held_once
from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.plain_if import LAYERWISE, SINGLE_STEP, spikes_per_step
from spikec.ir.kinds.registering import register
from spikec.ir.kinds.stored import stored
from spikec.ir.timing import Timing
from spikec.ir.types import TIMESTEPS_MAX, Int64, Schedule


@register
@dataclass(frozen=True)
class SignedIF(Kind):
    """``m = v + z; s = +1 if m >= theta and c < T; -1 if m <= -theta_neg and c > 0; v = m - s * theta; c += s``.

    ``theta_neg``: negative threshold of every neuron, int64 of the neuron shape; None stands for 1 throughout.
    A reconstruction after Liu et al., ICML 2025, arXiv 2506.01968.

    ``spikes``: K, the most spikes in a step, sent as one number. K > 1 is our own extension:
    ``s = min(floor(m / theta), K, K * T - c) if m >= theta; -min(ceil(-m / theta), K, c) if m <= -theta_neg``.
    """

    name: ClassVar[str] = "signed_if"
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined", "layerwise")
    timesteps: ClassVar[tuple[int, int]] = (1, TIMESTEPS_MAX)
    alone: ClassVar[bool] = False
    drains: ClassVar[bool] = True
    extends: ClassVar[bool] = False
    constant_once: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    spikes_first: ClassVar[bool] = True
    requirement: ClassVar[str | None] = "signed_spikes"

    theta_neg: Int64 | None = stored(
        "v_threshold_neg_int", netx="thetaNeg", title="negative thresholds", per="neuron", default=1
    )
    spikes: int = spikes_per_step()

    @property
    def emission(self) -> tuple[int, int]:
        return -self.spikes, self.spikes

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
        if timing.timesteps == 1 and not timing.drain:
            return SINGLE_STEP
        one_unit = self.theta_neg is None or bool((self.theta_neg == 1).all())
        if one_unit and timing.drain >= timing.timesteps * depth:
            return "dual-threshold neurons with T drain steps per layer reach their level exactly"
        return ""

    def negative_thresholds(self, shape: tuple[int, ...]) -> Int64:
        """``theta_neg``, or ones of ``shape``."""
        return np.ones(shape, dtype=np.int64) if self.theta_neg is None else self.theta_neg

    def single(self) -> SignedIF:
        return replace(self, spikes=1)

    def lowered(self, theta: Int64, negative: float) -> SignedIF:
        return replace(self, theta_neg=held_once(np.maximum(np.rint(negative * theta), 1).astype(np.int64)))

"""Kind ``calibrated_if``: two passes over the same input (offset spikes; Hao et al., ICLR 2023, arXiv 2302.10685)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.population import Int64, Population, PopulationModel
from spikec.targets.lava.processes.recording import Membrane

#: Stands for "no such membrane"; never used where the rule applies.
_FAR = 2**61


class CalibratedIF(Population):
    """Kind ``calibrated_if``: ``rho`` steps decide the initial membrane, then the same input is run again."""


@implements(proc=CalibratedIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyCalibratedIF(PopulationModel):
    """Pass 1 while the input arrives, pass 2 ``rho - 1`` steps behind it, from a buffer of ``rho`` inputs."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._rho: int = proc_params.get("rho")
        self._inputs: list[Int64] = []
        self._trial = np.zeros_like(self._current)
        self._trial_membrane = Membrane(proc_params.get("abreast"))

    def receive(self, step: int, synaptic: Int64) -> None:
        z = self.driven(step, synaptic)
        self._inputs.append(z)
        if step >= self._rho:
            return
        if step == 0:
            self._trial_membrane.clear()
            self._trial = np.broadcast_to(self.v_init, z.shape).copy()
            self._fired = np.zeros_like(self._trial)
            self._lowest_fired = np.full_like(self._trial, _FAR)
            self._highest_silent = np.full_like(self._trial, -_FAR)
        m = self._trial + z
        self._trial_membrane.observe(m)
        fired = m >= self.theta
        self._lowest_fired = np.where(fired, np.minimum(m, self._lowest_fired), self._lowest_fired)
        self._highest_silent = np.where(fired, self._highest_silent, np.maximum(m, self._highest_silent))
        self._fired += fired
        self._trial = m - fired * self.theta
        if step == self._rho - 1:
            self._start = self.calibrated()

    def calibrated(self) -> Int64:
        """Initial membranes of pass 2, which give one spike less, or one more, where pass 1 was off by one."""
        too_many = (self._trial < 0) & (self._fired > 0)
        too_few = (self._trial >= self.theta) & (self._fired < self._rho)
        start = np.broadcast_to(self.v_init, self._trial.shape).copy()
        down = np.maximum(self.theta, self._lowest_fired - self.theta + 1)
        up = np.maximum(self.theta, self.theta - self._highest_silent)
        start[too_many] -= down[too_many]
        start[too_few] += up[too_few]
        return start

    def emit(self, step: int) -> npt.NDArray[np.int32]:
        if step == 0:
            self.v[...] = self._start
            self.membrane.merge(self._trial_membrane)
        m = self.v + self._inputs.pop(0)
        self.membrane.observe(m)
        spikes = (m >= self.theta).astype(np.int32)
        self.v = m - spikes * self.theta
        return spikes

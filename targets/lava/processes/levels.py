"""Populations that emit a whole number per window: kinds ``bit_serial`` (bit by bit) and ``graded`` (as payload)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.population import Int64, Population, PopulationModel


class BitSerialIF(Population):
    """Kind ``bit_serial``: the spike at step k of T weighs ``2**(T - 1 - k)``."""


class GradedIF(Population):
    """Kind ``graded``: one step, emits the level as payload."""


@implements(proc=BitSerialIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyBitSerialIF(PopulationModel):
    """Shifts its input in, most significant bit first, then emits the quotient's bits, most significant first."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._sum = np.zeros_like(self._current)

    def receive(self, step: int, synaptic: Int64) -> None:
        self._sum = 2 * self._sum + synaptic if step else synaptic
        if step == self.timesteps - 1:
            self._sum = self._sum + self._current

    def emit(self, step: int) -> npt.NDArray[np.int32]:
        if step == 0:
            self.v = self._sum + self.v_init
        self.membrane.observe(self.v)
        level = self.theta * 2 ** (self.timesteps - 1 - step)
        spikes: npt.NDArray[np.int32] = (self.v >= level).astype(np.int32)
        self.v = self.v - spikes * level
        return spikes


@implements(proc=GradedIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyGradedIF(PopulationModel):
    """``k = clip(floor((v_init + z) / theta), 0, levels)``."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._levels: int = proc_params.get("levels")

    def receive(self, step: int, synaptic: Int64) -> None:
        self.v = self.v_init + self.driven(step, synaptic)

    def emit(self, step: int) -> npt.NDArray[np.int32]:
        self.membrane.observe(self.v)
        levels: npt.NDArray[np.int32] = np.clip(self.v // self.theta, 0, self._levels).astype(np.int32)
        return levels

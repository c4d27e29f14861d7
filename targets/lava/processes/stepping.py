"""Populations that emit one step at a time: kinds ``if`` and ``signed_if``, both schedules."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.population import Int64, Population, PopulationModel


class SoftResetIF(Population):
    """Kind ``if``: up to ``spikes`` in a step, reset by subtraction; ``layerwise`` integrates the window first."""


class SignedIF(Population):
    """Kind ``signed_if``: as ``if``, and negative at or below ``-theta_neg`` while the net count is positive."""

    def __init__(self, *, theta_neg: Int64, **settings: Any) -> None:
        super().__init__(**settings)
        self.theta_neg = Var(shape=theta_neg.shape, init=theta_neg)


class SteppingModel(PopulationModel):
    """``m = v + z``, fire, subtract. With the schedule ``layerwise``, z is the sum over the window, added at once."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._most: int = proc_params.get("spikes")
        self._layerwise = proc_params.get("schedule") == "layerwise"
        self._z = np.zeros_like(self._current)

    def receive(self, step: int, synaptic: Int64) -> None:
        z = self.driven(step, synaptic)
        self._z = self._z + z if self._layerwise and step else z

    def emit(self, step: int) -> npt.NDArray[np.int32]:
        if step == 0:
            self.v[...] = self.v_init
        m = self.v if self._layerwise and step else self.v + self._z
        self.membrane.observe(m)
        spikes = self.fire(step, m)
        self.v = m - spikes * self.theta
        return spikes

    def fire(self, step: int, m: Int64) -> npt.NDArray[np.int32]:
        """Spikes of a step from the membrane before reset."""
        if self._most == 1:
            return (m >= self.theta).astype(np.int32)
        return np.clip(m // self.theta, 0, self._most).astype(np.int32)


@implements(proc=SoftResetIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySoftResetIF(SteppingModel):
    """``s = clip(floor(m / theta), 0, K)``."""


@implements(proc=SignedIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySignedIF(SteppingModel):
    """``s = min(floor(m / theta), K, K T - c) if m >= theta; -min(ceil(-m / theta), K, c) if m <= -theta_neg``, with
    ``c`` the net count so far."""

    theta_neg: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._net = np.zeros(self._current.shape, np.int32)

    def fire(self, step: int, m: Int64) -> npt.NDArray[np.int32]:
        if step == 0:
            self._net[...] = 0
        if self._most == 1:
            positive = (m >= self.theta) & (self._net < self.timesteps)
            negative = (m <= -self.theta_neg) & (self._net > 0)
            spikes = positive.astype(np.int32) - negative
        else:
            spikes = self._several(m).astype(np.int32)
        self._net += spikes
        return spikes

    def _several(self, m: Int64) -> Int64:
        whole = m // self.theta  # rounded down: -ceil(-m / theta)
        up = np.minimum(np.minimum(whole, self._most), self._most * self.timesteps - self._net)
        down = np.minimum(np.minimum(-whole, self._most), self._net)
        return np.where(m >= self.theta, up, np.where(m <= -self.theta_neg, -down, 0))

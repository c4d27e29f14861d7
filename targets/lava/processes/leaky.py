"""Currents and membranes that decay, as in a Loihi: kind ``cuba_lif``, and the readout that leaks.

``u = toward0(u (4095 - du) / 4096) + 64 z``, wrapped once at 24 bits; ``m = toward0(v (4096 - dv) / 4096) + u + bias``,
held within 24 bits: the fixed-point model of ``LIF`` in Lava 0.10.0, with constants per neuron, in wider integers.
"""

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
from spikec.targets.lava.processes.readout import Integrator, ReadoutModel

#: Decays count in 1 / 4096; weights and thresholds in 64. Currents wrap beyond 2**23, membranes stay below it.
_UNITY, _UNIT, _EDGE = 4096, 64, 2**23


class CubaLIF(Population):
    """Kind ``cuba_lif``: fires above ``64 theta``; back to 0, or with ``subtract`` by 64 theta."""

    def __init__(self, *, du: Int64, dv: Int64, bias: Int64, **settings: Any) -> None:
        super().__init__(**settings)
        _add_leak(self, du, dv, bias)


class LeakyIntegrator(Integrator):
    """The readout whose current and membrane decay; it never fires."""

    def __init__(self, *, du: Int64, dv: Int64, bias: Int64, **settings: Any) -> None:
        super().__init__(**settings)
        _add_leak(self, du, dv, bias)


def _add_leak(process: Any, du: Int64, dv: Int64, bias: Int64) -> None:
    process.u = Var(shape=du.shape, init=np.zeros_like(du))
    process.du, process.dv = Var(shape=du.shape, init=du), Var(shape=dv.shape, init=dv)
    process.bias = Var(shape=bias.shape, init=bias)


class Leaking:
    """State and constants of what decays, for a model."""

    u: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)
    du: Int64 = LavaPyType(np.ndarray, np.int64, precision=12)
    dv: Int64 = LavaPyType(np.ndarray, np.int64, precision=12)
    bias: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)

    def charge(self, v: Int64, z: Int64) -> Int64:
        """The membranes after the input ``z`` of a step, from the membranes ``v``; updates ``u``."""
        u = _decayed(self.u, _UNITY - 1 - self.du) + _UNIT * z
        u = np.where(u > _EDGE, u - 2 * _EDGE, np.where(u <= -_EDGE, u + 2 * _EDGE, u))
        self.u = u
        m: Int64 = np.clip(_decayed(v, _UNITY - self.dv) + u + self.bias, 1 - _EDGE, _EDGE - 1)
        return m


def _decayed(x: Int64, kept: Int64) -> Int64:
    """x * kept / 4096, rounded towards zero. The product has fewer than 53 bits, so the quotient is exact."""
    rest: Int64 = np.trunc(x * kept / _UNITY).astype(x.dtype)
    return rest


@implements(proc=CubaLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyCubaLIF(Leaking, PopulationModel):
    """``s = [m > 64 theta]``; ``v = 0`` where it fired, or ``m - 64 theta``."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._subtract = bool(proc_params.get("subtract"))
        self._z = np.zeros_like(self._current)

    def receive(self, step: int, synaptic: Int64) -> None:
        self._z = self.driven(step, synaptic)

    def emit(self, step: int) -> npt.NDArray[np.int32]:
        if step == 0:
            self.u = np.zeros_like(self.u)
            self.v = np.broadcast_to(self.v_init, self._z.shape)
        m = self.charge(self.v, self._z)
        self.membrane.observe(m)
        spikes = (m > _UNIT * self.theta).astype(np.int32)
        self.v = m - spikes * (_UNIT * self.theta if self._subtract else m)
        return spikes


@implements(proc=LeakyIntegrator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLeakyIntegrator(Leaking, ReadoutModel):
    """Its membrane after every step, decoded."""

    def charged(self, step: int, z: Int64) -> Int64:
        if step == 0:
            self.u = np.zeros_like(self.u)
        return self.charge(self.v if step else self.v_init, z)

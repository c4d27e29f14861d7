"""Leak of currents and membranes: the constants of Loihi's leaky neuron, and its form in NIR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.ir.kinds.cuba_lif import CubaLIF
from spikec.ir.kinds.reading import full
from spikec.ir.types import Int64, Shape

#: What one unit of du and dv is a fraction of.
UNITY = 4096
#: What arrives is multiplied by this before it enters the current; thresholds are in these units too.
UNIT = 64
#: The current wraps beyond this magnitude (24 bits).
CURRENT_MAX = 2**23
#: Largest threshold of Loihi's neuron in units of 64: 17 bits.
THETA_MAX = 2**17 - 1
#: The bias of Loihi's neuron: a mantissa of 13 bits with sign, times up to two to this power.
BIAS_MANTISSA, BIAS_EXPONENT = 4095, 7
#: Stands for an endless time constant in NIR: a decay of 1 - 2^-40 is 1 in float32.
_ENDLESS = 2.0**40


@dataclass(frozen=True)
class Leak:
    """Decay of the current (``du``) and of the membrane (``dv``) in 1 / 4096, and ``bias`` of the membrane, int64 of
    the neuron shape: the constants of :class:`spikec.ir.kinds.cuba_lif.CubaLIF`, also of a readout that leaks."""

    du: Int64
    dv: Int64
    bias: Int64

    @classmethod
    def of(cls, kind: CubaLIF, shape: Shape) -> Leak:
        """The constants of every neuron of a population of ``shape``."""
        values = {}
        for name in ("du", "dv", "bias"):
            value = getattr(kind, name)
            values[name] = full(kind.stored_fields()[name].default if value is None else value, shape)
        return cls(**values)

    @property
    def kept(self) -> tuple[Int64, Int64]:
        """How many 4096ths of the current and of the membrane are left after a step."""
        return UNITY - 1 - self.du, UNITY - self.dv

    def nir_fields(self) -> dict[str, npt.NDArray[np.float32]]:
        """Fields of ``nir.CubaLIF`` and ``nir.CubaLI`` that mean the same with a step of 1 and forward Euler:
        tau_syn = 4096 / (du + 1), tau_mem = r = 4096 / dv, w_in = 64 tau_syn, v_leak = bias tau_mem."""
        tau_syn = UNITY / (self.du + 1.0)
        tau_mem = np.where(self.dv == 0, _ENDLESS, UNITY / np.maximum(self.dv, 1))
        found = {
            "tau_syn": tau_syn,
            "tau_mem": tau_mem,
            "r": tau_mem,
            "w_in": UNIT * tau_syn,
            "v_leak": self.bias * tau_mem,
        }
        return {name: np.asarray(value, np.float32) for name, value in found.items()}

    def metadata(self) -> dict[str, Any]:
        """The integers, under the keys of :class:`CubaLIF`."""
        fields = CubaLIF.stored_fields()
        return {fields[name].key: np.atleast_1d(getattr(self, name)).astype(np.int32) for name in ("du", "dv", "bias")}

    @classmethod
    def read(cls, metadata: dict[str, Any], shape: Shape) -> Leak:
        """From the metadata of a node with neurons of ``shape``."""
        fields = {name: about for name, about in CubaLIF.stored_fields().items() if about.per == "neuron"}
        return cls(**{name: full(metadata.get(about.key, about.default), shape) for name, about in fields.items()})

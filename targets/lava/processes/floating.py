"""Floating-point models of every process, for ``Loihi2SimCfg(select_tag="floating_pt")``.

The arithmetic is that of the fixed-point models, in float64: equal on integers, where no sum exceeds 2**53.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from spikec.targets.lava.processes.calibrated import PyCalibratedIF
from spikec.targets.lava.processes.delayed import PyDelayed
from spikec.targets.lava.processes.leaky import PyCubaLIF, PyLeakyIntegrator
from spikec.targets.lava.processes.levels import PyBitSerialIF, PyGradedIF
from spikec.targets.lava.processes.maxima import PyMaximum, PyMaxPool
from spikec.targets.lava.processes.readout import PyIntegrator
from spikec.targets.lava.processes.source import PyFrameSource, PyImageSource
from spikec.targets.lava.processes.stepping import PySignedIF, PySoftResetIF
from spikec.targets.lava.processes.wiring import PyRelay, PySumPool

Float64 = npt.NDArray[np.float64]


class Floating:
    """``tags`` replaces those of the fixed-point model; Lava's decorator would add to them."""

    tags: ClassVar[list[str]] = ["floating_pt"]
    number: ClassVar[Any] = np.float64
    message: ClassVar[Any] = np.float64


class FloatingNeuron(Floating):
    """Ports and state of populations."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: Any = LavaPyType(np.ndarray, float)
    v_init: Any = LavaPyType(np.ndarray, float)
    theta: Any = LavaPyType(np.ndarray, float)


class FloatingLeak(Floating):
    """State of what decays."""

    u: Any = LavaPyType(np.ndarray, float)
    du: Any = LavaPyType(np.ndarray, float)
    dv: Any = LavaPyType(np.ndarray, float)
    bias: Any = LavaPyType(np.ndarray, float)


class FloatingWire(Floating):
    """Ports of what has no state of its own."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


class PySoftResetIFFloat(FloatingNeuron, PySoftResetIF):
    """Kind ``if``."""


class PySignedIFFloat(FloatingNeuron, PySignedIF):
    """Kind ``signed_if``."""

    theta_neg: Any = LavaPyType(np.ndarray, float)


class PyCalibratedIFFloat(FloatingNeuron, PyCalibratedIF):
    """Kind ``calibrated_if``."""


class PyBitSerialIFFloat(FloatingNeuron, PyBitSerialIF):
    """Kind ``bit_serial``."""


class PyGradedIFFloat(FloatingNeuron, PyGradedIF):
    """Kind ``graded``."""


class PyMaximumFloat(FloatingNeuron, PyMaximum):
    """Kind ``max_pool``."""


class PyCubaLIFFloat(FloatingLeak, FloatingNeuron, PyCubaLIF):
    """Kind ``cuba_lif``."""


class PyIntegratorFloat(Floating, PyIntegrator):
    """The readout."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: Any = LavaPyType(np.ndarray, float)
    v_init: Any = LavaPyType(np.ndarray, float)


class PyLeakyIntegratorFloat(FloatingLeak, Floating, PyLeakyIntegrator):
    """The readout that leaks."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: Any = LavaPyType(np.ndarray, float)
    v_init: Any = LavaPyType(np.ndarray, float)


class PyImageSourceFloat(Floating, PyImageSource):
    """Integer images as floats."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


class PyFrameSourceFloat(Floating, PyFrameSource):
    """Integer frames as floats."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


class PySumPoolFloat(FloatingWire, PySumPool):
    """Sums of a window."""


class PyMaxPoolFloat(FloatingWire, PyMaxPool):
    """Maxima of a window."""


class PyRelayFloat(FloatingWire, PyRelay):
    """Delays a branch."""


class PyDelayedFloat(FloatingWire, PyDelayed):
    """Delayed within a window."""

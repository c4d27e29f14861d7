"""Connections that are not synapses: sum pools, and relays that align branches in time."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.arithmetic import sum_pool
from spikec.targets.lava.processes.lanes import with_lanes


class SumPool(AbstractProcess):  # type: ignore[misc]
    """Sums ``kernel`` windows of a (W, H, C) input; one step of delay, as the synapses have."""

    def __init__(
        self,
        *,
        name: str,
        input_shape: tuple[int, int, int],
        output_shape: tuple[int, int, int],
        kernel: tuple[int, int],
        stride: tuple[int, int],
        abreast: int = 1,
    ) -> None:
        shape = with_lanes(output_shape, abreast)
        super().__init__(name=name, kernel=kernel, stride=stride, output_shape=shape)
        self.s_in, self.a_out = InPort(shape=with_lanes(input_shape, abreast)), OutPort(shape=shape)


@implements(proc=SumPool, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySumPool(PyLoihiProcessModel):  # type: ignore[misc]
    """Sends the sums of the step before."""

    message: ClassVar[Any] = np.int32

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._kernel, self._stride = proc_params.get("kernel"), proc_params.get("stride")
        self._sums = np.zeros(proc_params.get("output_shape"), self.message)

    def run_spk(self) -> None:
        """One Lava step."""
        self.a_out.send(self._sums)
        self._sums = sum_pool(self.s_in.recv(), self._kernel, self._stride)


class Relay(AbstractProcess):  # type: ignore[misc]
    """Passes its input on, ``delay`` >= 0 steps later."""

    def __init__(self, *, name: str, shape: tuple[int, ...], delay: int, abreast: int = 1) -> None:
        shape = with_lanes(shape, abreast)
        super().__init__(name=name, shape=shape, delay=delay)
        self.s_in, self.a_out = InPort(shape=shape), OutPort(shape=shape)


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRelay(PyLoihiProcessModel):  # type: ignore[misc]
    """A ring of ``delay`` messages."""

    message: ClassVar[Any] = np.int32

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._delay: int = proc_params.get("delay")
        shape = proc_params.get("shape")
        self._waiting: list[npt.NDArray[Any]] = [np.zeros(shape, self.message) for _ in range(self._delay)]

    def run_spk(self) -> None:
        """One Lava step. On a cycle, whoever delays must send before it waits for what it receives."""
        if not self._delay:
            self.a_out.send(self.s_in.recv())
            return
        self.a_out.send(self._waiting.pop(0))
        self._waiting.append(self.s_in.recv())

"""The integrator before the output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.lanes import from_lanes, of_window, put_in_lanes, with_lanes
from spikec.targets.lava.processes.recording import Heartbeat, Membrane
from spikec.targets.lava.processes.window import Window

Int64 = npt.NDArray[np.int64]


class Integrator(AbstractProcess):  # type: ignore[misc]
    """Sums its input over the first ``count_steps`` steps of a window, from ``v_init``.

    With ``radix`` 2 (after ``bit_serial`` layers) it doubles the sum before each step and takes the constant current
    once, at the last. ``decode``: what is put out is the ``membrane``, or the ``sum`` or ``maximum`` of those so far.
    ``s_out`` carries the membrane after every step, for whoever listens.
    """

    def __init__(self, *, name: str, v_init: Int64, abreast: int = 1, **settings: Any) -> None:
        super().__init__(name=name, abreast=abreast, **settings)
        shape = with_lanes(v_init.shape, abreast)
        self.a_in, self.s_out = InPort(shape=shape), OutPort(shape=shape)
        self.v = Var(shape=shape, init=np.broadcast_to(v_init, shape))
        self.v_init = Var(shape=v_init.shape, init=v_init)


class ReadoutModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Writes the output after every step (``curve``) and per image the range of the membranes."""

    number: ClassVar[Any] = np.int64
    message: ClassVar[Any] = np.int32

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)
    v_init: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        job, index = Path(get("job")), get("index")
        self._window = Window.of(get)
        self._count_steps: int = get("count_steps")
        self._input_steps = range(get("first_step"), get("input_steps"))
        self._decode = _DECODES[get("decode")]
        self._pipelined = get("schedule") == "pipelined"
        self._currents = np.load(job / f"{index}.current.npy", mmap_mode="r")
        self._curve = np.load(job / f"{index}.curve.npy", mmap_mode="r+")
        self._ranges = np.load(job / f"{index}.membrane.npy", mmap_mode="r+")
        self._current = np.zeros(with_lanes(self._currents.shape[1:], get("abreast")), self.number)
        self._membrane = Membrane(get("abreast"))
        self._beat = Heartbeat(str(job), index)

    def run_spk(self) -> None:
        """One Lava step."""
        synaptic = self.a_in.recv().astype(self.number)
        at = self._window.at(self.time_step)
        if at and at[1] < self._count_steps:
            self.integrate(*at, synaptic)
        self.s_out.send(self.v.astype(self.message))
        self._beat(self.time_step)

    def integrate(self, window: int, step: int, synaptic: Int64) -> None:
        """Add the input of a logical step, and record."""
        rows = self._window.rows(window)
        if step == 0:
            put_in_lanes(of_window(self._currents, rows), self._current)
        z = synaptic + self._current if step in self._input_steps else synaptic
        self.v = self.charged(step, z)
        if step == 0:
            self._membrane.clear()
            self._output = self.v
        else:
            self._output = self._decode(self._output, self.v)
        last = step == self._count_steps - 1
        if self._pipelined or last:  # layerwise, partial sums are no membranes of the model
            self._membrane.observe(self.v)
        curve = self._curve[rows, step]
        curve[...] = from_lanes(self._output, curve)
        if last:
            self._membrane.write(self._ranges[rows])

    def charged(self, step: int, z: Int64) -> Int64:
        """The membranes after the input ``z`` of a logical step."""
        raise NotImplementedError


#: The output so far from that of the step before and the membranes.
_DECODES: dict[str, Callable[[Int64, Int64], Int64]] = {
    "membrane": lambda _, v: v,
    "sum": np.add,
    "maximum": np.maximum,
}


@implements(proc=Integrator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyIntegrator(ReadoutModel):
    """``v += z``."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._radix: int = proc_params.get("radix")
        self._sum = np.zeros_like(self._current)

    def charged(self, step: int, z: Int64) -> Int64:
        self._sum = self._radix * self._sum + z if step else z
        return self.v_init + self._sum

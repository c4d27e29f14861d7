"""What every spiking population shares: ports, windows, the constant current, recording.

A population receives the synaptic input of its window, and ``emit_delay`` Lava steps later begins to emit. Update
rules: ``docs/semantics.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from spikec.targets.lava.processes.lanes import of_window, put_in_lanes, with_lanes
from spikec.targets.lava.processes.recording import Emissions, Heartbeat, Membrane
from spikec.targets.lava.processes.window import Window

Int64 = npt.NDArray[np.int64]


class Population(AbstractProcess):  # type: ignore[misc]
    """Neurons with ports ``a_in`` (synaptic input) and ``s_out`` (emissions), and Vars ``v``, ``theta``, ``v_init``.

    ``settings`` (ints and strings) reach the model as process parameters: ``job``, ``index``, ``images``, ``steps``,
    ``stride``, ``pace``, ``offset``, ``abreast``, ``emit_delay``, ``timesteps``, ``input_steps``, ``count_steps`` and
    what a kind adds.
    """

    def __init__(self, *, name: str, theta: Int64, v_init: Int64, abreast: int = 1, **settings: Any) -> None:
        super().__init__(name=name, abreast=abreast, **settings)
        shape = with_lanes(theta.shape, abreast)
        self.a_in, self.s_out = InPort(shape=shape), OutPort(shape=shape)
        self.v = Var(shape=shape, init=np.broadcast_to(v_init, shape))
        self.v_init = Var(shape=theta.shape, init=v_init)
        self.theta = Var(shape=theta.shape, init=theta)


class PopulationModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Keeps the windows, adds the constant current, records; subclasses say what is integrated and emitted.

    ``number`` is the type of membranes, ``message`` that of what is sent.
    """

    number: ClassVar[Any] = np.int64
    message: ClassVar[Any] = np.int32

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)
    v_init: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)
    theta: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        job, index = get("job"), get("index")
        self.label: str = get("name")
        self.timesteps: int = get("timesteps")
        self.input_steps: int = get("input_steps")
        self._receiving = Window.of(get)
        self._emitting = Window.of(get, get("emit_delay"))
        self._currents = np.load(Path(job) / f"{index}.current.npy", mmap_mode="r")
        self._current = np.zeros(with_lanes(self._currents.shape[1:], get("abreast")), self.number)
        self._emissions = Emissions(job, index, get("count_steps"), get("abreast"))
        self.membrane = Membrane(get("abreast"))
        self._beat = Heartbeat(job, index)

    def run_spk(self) -> None:
        """One Lava step: receive, fire, send."""
        synaptic = self.a_in.recv()
        receiving = self._receiving.at(self.time_step)
        if receiving:
            window, step = receiving
            if step == 0:
                put_in_lanes(of_window(self._currents, self._receiving.rows(window)), self._current)
            self.receive(step, synaptic.astype(self.number))
        emitting = self._emitting.at(self.time_step)
        if emitting:
            window, step = emitting
            rows = self._emitting.rows(window)
            if step == 0:
                self.membrane.clear()
            emitted = self.emit(step)
            self._emissions.add(rows, step, emitted)
            if step == self._emitting.steps - 1:
                self._emissions.finish(rows, self.membrane)
        else:
            emitted = np.zeros(self.v.shape, np.int32)
        self.s_out.send(emitted.astype(self.message, copy=False))
        self._beat(self.time_step)

    def driven(self, step: int, synaptic: Int64) -> Int64:
        """The input ``z`` of a step: synapses, and the constant current while it is switched on."""
        return synaptic + self._current if step < self.input_steps else synaptic

    def receive(self, step: int, synaptic: Int64) -> None:
        """Take in the synaptic input of a logical step."""
        raise NotImplementedError

    def emit(self, step: int) -> npt.NDArray[np.int32]:
        """What the neurons emit at a logical step; updates ``v``."""
        raise NotImplementedError

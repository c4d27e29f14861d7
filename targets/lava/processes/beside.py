"""What a stock neuron lacks, as processes beside it: a constant current per image, and a record of its spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.lanes import of_window, put_in_lanes, with_lanes
from spikec.targets.lava.processes.recording import Emissions, Heartbeat, Membrane
from spikec.targets.lava.processes.window import Window


class CurrentSource(AbstractProcess):  # type: ignore[misc]
    """Sends the constant current of an image at every step of its window, else zeros."""

    def __init__(self, *, name: str, shape: tuple[int, ...], abreast: int = 1, **settings: Any) -> None:
        shape = with_lanes(shape, abreast)
        super().__init__(name=name, shape=shape, abreast=abreast, **settings)
        self.s_out = OutPort(shape=shape)


@implements(proc=CurrentSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyCurrentSource(PyLoihiProcessModel):  # type: ignore[misc]
    """Reads the currents from the job folder."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        self._window = Window.of(get)
        self._currents = np.load(Path(get("job")) / f"{get('index')}.current.npy", mmap_mode="r")
        self._silence = np.zeros(get("shape"), np.int32)
        self._current = np.zeros_like(self._silence)
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step."""
        at = self._window.at(self.time_step)
        if at and at[1] == 0:
            put_in_lanes(of_window(self._currents, self._window.rows(at[0])), self._current)
        self.s_out.send(self._current if at else self._silence)
        self._beat(self.time_step)


class SpikeRecorder(AbstractProcess):  # type: ignore[misc]
    """Keeps counts, events and, when asked for, the raster of the spikes it receives."""

    def __init__(self, *, name: str, shape: tuple[int, ...], abreast: int = 1, **settings: Any) -> None:
        shape = with_lanes(shape, abreast)
        super().__init__(name=name, shape=shape, abreast=abreast, **settings)
        self.a_in = InPort(shape=shape)


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorder(PyLoihiProcessModel):  # type: ignore[misc]
    """Writes into the job folder; membranes of stock neurons are not seen."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        self._window = Window.of(get)
        self._emissions = Emissions(get("job"), get("index"), get("count_steps"), get("abreast"))
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step."""
        spikes = self.a_in.recv()
        at = self._window.at(self.time_step)
        if at:
            rows, step = self._window.rows(at[0]), at[1]
            self._emissions.add(rows, step, spikes)
            if step == self._window.steps - 1:
                self._emissions.finish(rows, Membrane(self._window.abreast))
        self._beat(self.time_step)

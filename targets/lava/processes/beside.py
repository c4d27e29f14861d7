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

from spikec.targets.lava.processes.recording import Emissions, Heartbeat, Membrane
from spikec.targets.lava.processes.window import Window


class CurrentSource(AbstractProcess):  # type: ignore[misc]
    """Sends the constant current of an image at every step of its window, else zeros."""

    def __init__(self, *, name: str, shape: tuple[int, ...], **settings: Any) -> None:
        super().__init__(name=name, shape=shape, **settings)
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
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step."""
        at = self._window.at(self.time_step)
        current = self._currents[at[0] % len(self._currents)].astype(np.int32) if at else self._silence
        self.s_out.send(current)
        self._beat(self.time_step)


class SpikeRecorder(AbstractProcess):  # type: ignore[misc]
    """Keeps counts, events and, when asked for, the raster of the spikes it receives."""

    def __init__(self, *, name: str, shape: tuple[int, ...], **settings: Any) -> None:
        super().__init__(name=name, shape=shape, **settings)
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
        self._emissions = Emissions(get("job"), get("index"), get("count_steps"))
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step."""
        spikes = self.a_in.recv()
        at = self._window.at(self.time_step)
        if at:
            image, step = at
            self._emissions.add(image, step, spikes)
            if step == self._window.steps - 1:
                self._emissions.finish(image, Membrane())
        self._beat(self.time_step)

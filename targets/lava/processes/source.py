"""Where the image enters as graded spikes (input coding ``graded``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.recording import Heartbeat
from spikec.targets.lava.processes.window import Window


class ImageSource(AbstractProcess):  # type: ignore[misc]
    """Sends the integer image of a window at its logical steps ``first_step <= step < input_steps``, else zeros.

    ``bit_serial`` networks read the image once, at the last tick, whose weight is 1.
    """

    def __init__(self, *, name: str, shape: tuple[int, ...], **settings: Any) -> None:
        super().__init__(name=name, shape=shape, **settings)
        self.s_out = OutPort(shape=shape)


@implements(proc=ImageSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyImageSource(PyLoihiProcessModel):  # type: ignore[misc]
    """Reads the images from the job folder."""

    message: ClassVar[Any] = np.int32

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        self._window = Window(0, get("steps"), get("images"), get("stride"))
        self._steps = range(get("first_step"), get("input_steps"))
        self._images = np.load(Path(get("job")) / f"{get('index')}.images.npy", mmap_mode="r")
        self._silence = np.zeros(get("shape"), self.message)
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step."""
        at = self._window.at(self.time_step)
        shown = at is not None and at[1] in self._steps
        self.s_out.send(self._images[at[0]].astype(self.message) if at and shown else self._silence)
        self._beat(self.time_step)

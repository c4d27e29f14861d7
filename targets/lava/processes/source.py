"""Where images, or the frames of sequences, enter as graded spikes (input coding ``graded``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.lanes import put_in_lanes, with_lanes
from spikec.targets.lava.processes.recording import Heartbeat
from spikec.targets.lava.processes.window import Window


class ImageSource(AbstractProcess):  # type: ignore[misc]
    """Sends the integer image of a window at its logical steps ``first_step <= step < input_steps``, else zeros.

    ``bit_serial`` networks read the image once, at the last tick, whose weight is 1.
    """

    def __init__(self, *, name: str, shape: tuple[int, ...], abreast: int = 1, **settings: Any) -> None:
        shape = with_lanes(shape, abreast)
        super().__init__(name=name, shape=shape, abreast=abreast, **settings)
        self.s_out = OutPort(shape=shape)


class FrameSource(AbstractProcess):  # type: ignore[misc]
    """Sends frame t of the sequence of a window at its logical step t, else zeros."""

    def __init__(self, *, name: str, shape: tuple[int, ...], abreast: int = 1, **settings: Any) -> None:
        shape = with_lanes(shape, abreast)
        super().__init__(name=name, shape=shape, abreast=abreast, **settings)
        self.s_out = OutPort(shape=shape)


class SourceModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Reads what it sends from the job folder; subclasses say what that is."""

    message: ClassVar[Any] = np.int32

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        self._window = Window.of(get)
        self.images = np.load(Path(get("job")) / f"{get('index')}.images.npy", mmap_mode="r")
        self._silence = np.zeros(get("shape"), self.message)
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step."""
        at = self._window.at(self.time_step)
        shown = None if at is None else self.shown(self._window.rows(at[0]), at[1])
        sent = self._silence
        if shown is not None:
            sent = np.zeros_like(self._silence)
            put_in_lanes(shown, sent)
        self.s_out.send(sent)
        self._beat(self.time_step)

    def shown(self, rows: slice, step: int) -> npt.NDArray[np.int16] | None:
        """What is sent of the images ``rows`` at a logical step of their window; None for nothing."""
        raise NotImplementedError


@implements(proc=ImageSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyImageSource(SourceModel):
    """The images of a window."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._steps = range(proc_params.get("first_step"), proc_params.get("input_steps"))

    def shown(self, rows: slice, step: int) -> npt.NDArray[np.int16] | None:
        return self.images[rows] if step in self._steps else None


@implements(proc=FrameSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFrameSource(SourceModel):
    """One frame per step."""

    def shown(self, rows: slice, step: int) -> npt.NDArray[np.int16] | None:
        return self.images[rows, step] if step < self.images.shape[1] else None

"""What was sent some steps before, on its way into the network."""

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
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.processes.lanes import with_lanes
from spikec.targets.lava.processes.recording import Heartbeat
from spikec.targets.lava.processes.window import Window


class Delayed(AbstractProcess):  # type: ignore[misc]
    """Passes on what it listens to sends within a window, at once, or as many logical steps later as ``more`` has for
    each place; except at the last ``late`` steps: what would leave then must not reach the next window."""

    def __init__(
        self, *, name: str, shape: tuple[int, ...], more: npt.NDArray[np.int64], abreast: int = 1, **settings: Any
    ) -> None:
        shape = with_lanes(shape, abreast)
        super().__init__(name=name, shape=shape, abreast=abreast, **settings)
        self.s_in, self.a_out = InPort(shape=shape), OutPort(shape=shape)
        self.more = Var(shape=more.shape, init=more)


@implements(proc=Delayed, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDelayed(PyLoihiProcessModel):  # type: ignore[misc]
    """A gate that may hold things back; Lava's own neurons also fire outside windows, and that stays behind it."""

    message: ClassVar[Any] = np.int32

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    more: npt.NDArray[np.int64] = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        self._window, self._late = Window.of(get), get("late")
        self._silence = np.zeros(get("shape"), self.message)
        self._held: list[npt.NDArray[Any]] = []  # what was emitted in this window, the latest first
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step."""
        emitted = self.s_in.recv()
        at = self._window.at(self.time_step)
        self.a_out.send(self._silence if at is None else self._passed(at[1], emitted))
        self._beat(self.time_step)

    def _passed(self, step: int, emitted: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What leaves at a step of a window, in which ``emitted`` arrives."""
        self._held = [emitted.astype(self.message), *(self._held[: int(self.more.max())] if step else [])]
        if step >= self._window.steps - self._late:
            return self._silence
        found = self._silence
        for late, sent in enumerate(self._held):
            found = np.where(self.more == late, sent, found)
        return found

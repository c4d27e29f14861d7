"""Max pools: the process that follows what each source neuron has sent, and the neurons that send what it gains."""

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

from spikec.targets.lava.arithmetic import max_pool
from spikec.targets.lava.processes.lanes import with_lanes
from spikec.targets.lava.processes.population import Int64, Population, PopulationModel
from spikec.targets.lava.processes.recording import Heartbeat
from spikec.targets.lava.processes.window import Window


class MaxPool(AbstractProcess):  # type: ignore[misc]
    """What the largest sum of each window gains in a step, one step later, as the synapses send.

    ``columns``, ``rows``: places of the windows of a (W, H, C) input along an axis, [windows, taps]; negative ones do
    not exist. ``radix``: how much more an emission is worth than one of the next step.
    """

    def __init__(
        self,
        *,
        name: str,
        input_shape: tuple[int, int, int],
        output_shape: tuple[int, int, int],
        columns: Int64,
        rows: Int64,
        abreast: int = 1,
        **settings: Any,
    ) -> None:
        shapes = {"input_shape": with_lanes(input_shape, abreast), "output_shape": with_lanes(output_shape, abreast)}
        super().__init__(name=name, abreast=abreast, **shapes, **settings)
        self.s_in, self.a_out = InPort(shape=shapes["input_shape"]), OutPort(shape=shapes["output_shape"])
        self.columns, self.rows = Var(shape=columns.shape, init=columns), Var(shape=rows.shape, init=rows)


@implements(proc=MaxPool, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMaxPool(PyLoihiProcessModel):  # type: ignore[misc]
    """Adds up what arrives in a window of steps, compares, subtracts what it has sent."""

    message: ClassVar[Any] = np.int32

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    columns: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)
    rows: Int64 = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        get = proc_params.get
        self._radix: int = get("radix")
        self._window = Window.of(get)
        self._sums = np.zeros(get("input_shape"), np.int64)
        self._sent = np.zeros(get("output_shape"), np.int64)
        self._gained = np.zeros(get("output_shape"), self.message)
        self._beat = Heartbeat(get("job"), get("index"))

    def run_spk(self) -> None:
        """One Lava step: send what was gained the step before, then compute the next."""
        self.a_out.send(self._gained)
        arrived = self.s_in.recv().astype(np.int64)
        at = self._window.at(self.time_step)
        if at is None:
            self._gained = np.zeros_like(self._gained)
        else:
            if at[1] == 0:
                self._sums[...] = 0
                self._sent[...] = 0
            self._sums = self._radix * self._sums + arrived
            largest = max_pool(self._sums, self.columns, self.rows)
            self._gained = (largest - self._radix * self._sent).astype(self.message)
            self._sent = largest
        self._beat(self.time_step)


class Maximum(Population):
    """Kind ``max_pool``: sends what its max pool gains."""


@implements(proc=Maximum, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMaximum(PopulationModel):
    """``s = z``. Its membrane is what it sends; with the schedule ``layerwise``, the number that it has sent."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._radix: int = proc_params.get("radix")
        self._layerwise = proc_params.get("schedule") == "layerwise"
        self._gained = np.zeros_like(self._current)

    def receive(self, step: int, synaptic: Int64) -> None:
        self._gained = synaptic

    def emit(self, step: int) -> npt.NDArray[np.int32]:
        if not self._layerwise:
            self.membrane.observe(self._gained)
        else:
            self.v = self._gained if step == 0 else self._radix * self.v + self._gained
            if step == self.timesteps - 1:
                self.membrane.observe(self.v)
        return self._gained.astype(np.int32)

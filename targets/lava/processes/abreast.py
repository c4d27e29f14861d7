"""Lava's ``Conv`` and ``Dense`` for images side by side: the same processes, with one axis more on their ports."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense

from spikec.targets.lava.processes.synapses import ConvFast, DenseFast


class ConvAbreast(Conv):  # type: ignore[misc]
    """``Conv`` with ports [abreast, W, H, C]."""

    def __init__(self, *, abreast: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.s_in = InPort(shape=(abreast, *self.input_shape))
        self.a_out = OutPort(shape=(abreast, *self.output_shape))
        self.a_buf = Var(shape=(abreast, *self.output_shape), init=0)


class DenseAbreast(Dense):  # type: ignore[misc]
    """``Dense`` with ports [abreast, neurons]."""

    def __init__(self, *, abreast: int, weights: Any, **settings: Any) -> None:
        super().__init__(weights=weights, **settings)
        out, into = weights.shape
        self.s_in, self.a_out = InPort(shape=(abreast, into)), OutPort(shape=(abreast, out))
        self.a_buff = Var(shape=(abreast, out), init=0)


@implements(proc=ConvAbreast, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyConvAbreast(ConvFast):
    """One product of matrices for each image."""

    def sums(self, spikes: Any) -> Any:
        return np.stack([super(PyConvAbreast, self).sums(one) for one in spikes])


@implements(proc=DenseAbreast, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDenseAbreast(DenseFast):
    """One product of matrices for all images."""

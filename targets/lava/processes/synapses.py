"""Fast models for Lava's own ``Conv`` and ``Dense`` Processes: the same integers, from BLAS.

Stock ``Conv`` calls ``scipy.signal.convolve2d`` once per pair of channels. These models keep the delay of one step,
the rule for ``num_message_bits`` and the wrap at 24 bits, and multiply matrices of floats, which is exact while every
partial sum stays below 2**24 (float32) or 2**53 (float64).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv import utils
from lava.proc.conv.models import AbstractPyConvModel
from lava.proc.conv.process import Conv
from lava.proc.dense.models import AbstractPyDenseModelBitAcc
from lava.proc.dense.process import Dense
from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

from spikec.targets.lava.arithmetic import Kernel, exact_dtype

Int32 = npt.NDArray[np.int32]


class ConvFast(AbstractPyConvModel):  # type: ignore[misc]
    """``PyConvModelFixed`` with one matrix product per step."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_buf: Int32 = LavaPyType(np.ndarray, np.int32, precision=24)
    weight: Int32 = LavaPyType(np.ndarray, np.int32, precision=8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._kernel: Kernel | None = None

    def run_spk(self) -> None:
        """One Lava step: send the sums of the step before, then compute the next."""
        self.a_out.send(self.a_buf)
        spikes = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            spikes = spikes.astype(bool).astype(np.int32)
        if self._kernel is None:
            w, h = (tuple(int(n) for n in pair) for pair in zip(self.stride, self.padding, self.dilation, strict=True))
            self._kernel = Kernel(
                self.weight[:, ::-1, ::-1],  # Lava convolves, Kernel correlates
                stride=(w[0], h[0]),
                padding=(w[1], h[1]),
                dilation=(w[2], h[2]),
                groups=int(self.groups[0]),
            )
        self.a_buf = self.sums(spikes) if spikes.any() else np.zeros_like(self.a_buf)

    def sums(self, spikes: Int32) -> Int32:
        """The sums of a step, wrapped at 24 bits."""
        assert self._kernel is not None
        found: Int32 = utils.signed_clamp(self._kernel(spikes).astype(np.int32), bits=24)
        return found


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyConvFast(ConvFast):
    """The model of ``Conv`` itself."""


class DenseFast(AbstractPyDenseModelBitAcc):  # type: ignore[misc]
    """``PyDenseModelBitAcc`` with a float matrix product; ``spikes`` are [inputs] or [images, inputs]."""

    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)
    a_buff: Int32 = LavaPyType(np.ndarray, np.int32, precision=16)
    weights: Int32 = LavaPyType(np.ndarray, np.int32, precision=8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._matrices: dict[type, Any] = {}
        self._norm = 0

    def run_spk(self) -> None:
        """One Lava step: send the sums of the step before, then compute the next."""
        if not self._norm:
            get = self.proc_params.get
            sign_mode = get("sign_mode") or determine_sign_mode(self.weights)
            clipped = clip_weights(self.weights, sign_mode, num_bits=8)
            self.weights = truncate_weights(clipped, sign_mode, get("num_weight_bits", 8))
            self._norm = max(1, int(np.abs(self.weights).sum(axis=1, dtype=np.int64).max()))
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            spikes = spikes.astype(bool).astype(np.int32)
        dtype = exact_dtype(self._norm * int(np.abs(spikes).max()))
        if dtype not in self._matrices:
            self._matrices[dtype] = self.weights.astype(dtype)
        sums = (spikes.astype(dtype) @ self._matrices[dtype].T).astype(np.int32)
        shift = self.weight_exp
        self.a_buff = np.left_shift(sums, shift) if shift > 0 else np.right_shift(sums, -shift)


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDenseFast(DenseFast):
    """The model of ``Dense`` itself."""

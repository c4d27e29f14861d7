"""The integer graph: what every consumer of a deployment file computes with.

A ``nir.NIRGraph`` of the profile ``spikec.nir/1`` is the file format and the public value; :func:`toolchain.ir.decode`
verifies one and returns the :class:`IntegerGraph` below, whose arrays are int64 and whose nodes are in topological
order. Simulators, targets, counters and rules read this and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Int64 = npt.NDArray[np.int64]
NeuronKind = Literal["if", "signed_if", "calibrated_if", "bit_serial", "graded"]
Schedule = Literal["pipelined", "layerwise"]

#: Membranes and accumulators of the generic target: 24-bit two's complement.
MEMBRANE_MAX = 2**23 - 1


@dataclass(frozen=True)
class InputNode:
    """The image: ``integer = clip(round_half_even(real / scale), range of dtype)``, applied at every step."""

    name: str
    shape: Shape
    dtype: Literal["int8", "uint8"]
    scale: float
    sources: tuple[str, ...] = ()

    @property
    def output_shape(self) -> Shape:
        return self.shape

    @property
    def low(self) -> int:
        return -128 if self.dtype == "int8" else 0

    @property
    def high(self) -> int:
        return 127 if self.dtype == "int8" else 255


@dataclass(frozen=True)
class Convolution:
    """``z[o, y, x] = bias[o] + sum weight[o, i, u, v] * a[g(o) + i, y*sh - ph + u*dh, x*sw - pw + v*dw]``.

    ``weight`` is [O, I / groups, kH, kW] (cross-correlation, as torch), already multiplied by ``2**weight_exp``.
    ``margin`` (top, bottom, left, right) counts kernel rows and columns that are zero by construction (a rectangular
    kernel stored in a square one); they hold no synapses.
    """

    name: str
    sources: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    weight: Int64
    bias: Int64
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int = 1
    margin: tuple[int, int, int, int] = (0, 0, 0, 0)
    weight_exp: int = 0


@dataclass(frozen=True)
class Affine:
    """``z = weight @ a + bias`` with ``weight`` [O, I], columns in C, H, W order after a flatten."""

    name: str
    sources: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    weight: Int64
    bias: Int64
    weight_exp: int = 0


@dataclass(frozen=True)
class SumPool:
    """``z[c, y, x] = sum of a[c, y*sh + u, x*sw + v]``, kernel == stride, no padding; partial windows are dropped."""

    name: str
    sources: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) to (C*H*W,), no arithmetic."""

    name: str
    sources: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True)
class Population:
    """A layer of spiking neurons; update rules in ``docs/semantics.md``. Arrays have the neuron shape."""

    name: str
    sources: tuple[str, ...]
    shape: Shape
    kind: NeuronKind
    theta: Int64
    v_init: Int64
    theta_neg: Int64 | None = None  # signed_if: fires -1 when m <= -theta_neg
    levels: int | None = None  # graded: largest payload
    rho: int | None = None  # calibrated_if: steps of pass 1
    scale: npt.NDArray[np.float64] | None = None  # real value of one emitted unit, [1] or [C]

    @property
    def output_shape(self) -> Shape:
        return self.shape


@dataclass(frozen=True)
class Readout:
    """The integrator before the output: ``v += z``; real logit = v * scale."""

    name: str
    sources: tuple[str, ...]
    shape: Shape
    v_init: Int64
    scale: float

    @property
    def output_shape(self) -> Shape:
        return self.shape


Synapse = Convolution | Affine
Linear = Convolution | Affine | SumPool | Flatten
Node = InputNode | Convolution | Affine | SumPool | Flatten | Population | Readout


@dataclass(frozen=True)
class IntegerGraph:
    """A verified deployment. ``nodes`` is in topological order and contains input and readout; the input of a node
    is the sum of the outputs of its ``sources``."""

    nodes: dict[str, Node]
    timesteps: int
    schedule: Schedule
    drain: int = 0
    content_sha256: str = ""
    source_sha256: str = ""
    producer: str = ""
    info: dict[str, str] = field(default_factory=dict)

    @property
    def input(self) -> InputNode:
        return next(n for n in self.nodes.values() if isinstance(n, InputNode))

    @property
    def readout(self) -> Readout:
        return next(n for n in self.nodes.values() if isinstance(n, Readout))

    @property
    def populations(self) -> tuple[Population, ...]:
        return tuple(n for n in self.nodes.values() if isinstance(n, Population))

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        return tuple(n for n in self.nodes.values() if isinstance(n, Convolution | Affine))

    @property
    def emission_steps(self) -> int:
        """Steps every population emits: T + drain, or max(T, rho) where a calibrated population needs more."""
        rho = max((p.rho or 0 for p in self.populations), default=0)
        return max(self.timesteps + self.drain, rho)

    def consumers(self, name: str) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes.values() if name in n.sources)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

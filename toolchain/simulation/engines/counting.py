"""How spike counts of each kind follow from quotients of its accumulated input; the derivation is in
``counts_by_step``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from spikec.errors import MissingImplementation
from spikec.implementations import Implementations
from spikec.ir.graph import Population
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, Kind, Maximum, SignedIF, Timing
from spikec.ir.operations import Flatten, MaxPool, Operation, SumPool
from spikec.ir.types import Int64


@dataclass(frozen=True)
class Counting:
    """How a kind counts. ``top``: largest accumulated count, payload or number. ``shifts``: what is added to the
    accumulated input for the quotient q and, where r differs from q, for r. ``takes_back``: counts may fall.
    ``beside_restarts``: counts follow in the same way in a network where other layers start over. ``passes``: the
    quotient is the count that arrives. ``even``: under the same input at every step, from a start of at least zero and
    below the threshold, the count after t steps is clip(q, 0, K t), and no start moves."""

    top: Callable[[Kind, Timing], int]
    shifts: Callable[[Population], Sequence[Int64]]
    takes_back: bool = False
    beside_restarts: bool = False
    passes: bool = False
    even: bool = False


def _slow(kind: str) -> MissingImplementation:
    return MissingImplementation(f"{kind} neurons have no quotient that counts their spikes: they run step by step")


#: Kinds without an entry take the general path, which is always right.
COUNTING: Implementations[Counting] = Implementations(
    "spike counts from quotients", "spikec.simulation.engines.counting.COUNTING", Kind, otherwise=_slow
)


def _none(node: Population) -> list[Int64]:
    return [np.zeros_like(node.theta)]


def _below_zero(node: Population) -> list[Int64]:
    assert isinstance(node.neuron, SignedIF)
    negative = node.neuron.theta_neg
    return _none(node) + ([] if negative is None or (negative == 1).all() else [negative - 1])


def _in_driven_steps(kind: Kind, timing: Timing) -> int:
    """The largest count of all driven steps, including those beyond T that a rehearsal needs."""
    return kind.emission[1] * max(timing.timesteps, timing.driven_steps)


def _in_timesteps(kind: Kind, timing: Timing) -> int:
    """The largest number of T steps; a signed count does not exceed it in the drain."""
    return kind.reach(timing.timesteps)


COUNTING.register(IF, CalibratedIF)(Counting(_in_driven_steps, _none, beside_restarts=True, even=True))
COUNTING.register(SignedIF)(Counting(_in_timesteps, _below_zero, takes_back=True, even=True))
COUNTING.register(BitSerialIF, GradedIF)(Counting(_in_timesteps, _none))


def _of_source(kind: Kind, timing: Timing) -> int:
    assert isinstance(kind, Maximum)
    return COUNTING(kind.of).top(kind.of, timing)


#: Their count is the largest of the counts they read, whichever way that goes.
COUNTING.register(Maximum)(Counting(_of_source, _none, takes_back=True, beside_restarts=True, passes=True))

OnCounts = Callable[[Operation, Tensor], Tensor]

#: Operations on counts u8 [N, *shape] that stay in u8; others compute in float32.
ON_COUNTS: Implementations[OnCounts] = Implementations(
    "form for 8-bit counts",
    "spikec.simulation.engines.counting.ON_COUNTS",
    Operation,
    otherwise=lambda name: MissingImplementation(f"{name} computes in float32"),
)


@ON_COUNTS.register(Flatten)
def _flattened(node: Operation, x: Tensor) -> Tensor:
    return x.reshape(len(x), -1)


@ON_COUNTS.register(SumPool)
def _pooled(node: Operation, x: Tensor) -> Tensor:
    """Window sums of u8 [N, C, H, W] in channels-last memory, rows first: long contiguous runs."""
    assert isinstance(node, SumPool)
    (kh, kw), (_, height, width) = node.kernel, node.output_shape
    pixels = x.permute(0, 2, 3, 1)
    rows = reduce(torch.add, (pixels[:, i : height * kh : kh] for i in range(kh)))
    return reduce(torch.add, (rows[:, :, i : width * kw : kw] for i in range(kw))).permute(0, 3, 1, 2)


@ON_COUNTS.register(MaxPool)
def _largest(node: Operation, x: Tensor) -> Tensor:
    """Window maxima of u8 [N, C, H, W] in channels-last memory, rows first: long contiguous runs."""
    assert isinstance(node, MaxPool)
    return node.largest(x.permute(0, 2, 3, 1), 1, 2).permute(0, 3, 1, 2)

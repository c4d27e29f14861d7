"""How far the membranes of a kind can go while it fires step by step, by interval arithmetic.

``CHARGING`` serves the pipelined schedule, step by step, ``EMPTYING`` the layerwise one, in which everything arrives
before the first emission.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spikec.analysis.intervals import Interval
from spikec.errors import GraphError
from spikec.implementations import Implementations
from spikec.ir.graph import Population
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, Kind, SignedIF, Timing
from spikec.ir.types import Int64

#: Range of all membranes before reset, from where they start and the current of every step.
Charge = Callable[[Population, Interval, Sequence[Interval], Timing], Interval]

CHARGING: Implementations[Charge] = Implementations(
    "range of its membranes step by step", "spikec.analysis.charging.CHARGING", Kind
)
#: Range of all membranes before reset, from that of what a neuron has gathered, zero included.
Empty = Callable[[Population, Interval], Interval]

EMPTYING: Implementations[Empty] = Implementations(
    "range of its membranes while it emits what it has gathered", "spikec.analysis.charging.EMPTYING", Kind
)
EMPTYING.refuse(lambda kind: GraphError(f"{kind} neurons do not run layerwise"), CalibratedIF)
CHARGING.refuse(
    lambda kind: GraphError(f"{kind} neurons have no membranes step by step: they run layerwise"), BitSerialIF, GradedIF
)


@EMPTYING.register(IF, SignedIF, BitSerialIF, GradedIF)
def emptied(node: Population, gathered: Interval) -> Interval:
    """Neurons fire themselves down towards zero and not beyond; none of these takes a spike back layerwise."""
    return gathered


@CHARGING.register(IF)
def charged(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """``m = v + z``; a neuron that did not fire is below theta."""
    theta = node.theta
    v, seen = start, start + currents[0]
    for current in currents:
        m = v + current
        seen = seen.union(m)
        v = _after(m, theta, silent=m.low < theta, silent_high=np.minimum(m.high, theta - 1))
    return seen


@CHARGING.register(SignedIF)
def charged_signed(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """As ``if`` up to T; while it drains, a neuron that has no spikes left stays silent above theta."""
    assert isinstance(node.neuron, SignedIF)
    theta, negative = node.theta, node.neuron.negative_thresholds(node.shape)
    v, seen = start, start + currents[0]
    for step, current in enumerate(currents):
        m = v + current
        seen = seen.union(m)
        if step >= timing.timesteps:
            v = _after(m, theta, silent=np.ones_like(m.high >= theta), silent_high=m.high)
        else:
            v = _after(m, theta, silent=m.low < theta, silent_high=np.minimum(m.high, theta - 1))
        taken_back = np.maximum(v.high, np.minimum(m.high, -negative) + theta)
        v = Interval(v.low, np.where(m.low <= -negative, taken_back, v.high).astype(np.int64))
    return seen


@CHARGING.register(CalibratedIF)
def charged_twice(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """Both passes: the second starts where the largest shift of the first one may put it."""
    first = charged(node, start, currents[: node.neuron.rehearsal], timing)
    down = np.maximum(node.theta, first.high - node.theta + 1)
    up = np.maximum(node.theta, node.theta - np.minimum(first.low, node.theta - 1))
    second = charged(node, Interval(start.low - down, start.high + up), currents, timing)
    return first.union(second)


def _after(m: Interval, theta: Int64, *, silent: np.ndarray, silent_high: Int64) -> Interval:  # type: ignore[type-arg]
    """Membranes after the reset. ``silent``: neurons that may not have fired, with membranes up to ``silent_high``."""
    fired = m.high >= theta
    low = np.where(silent, m.low, m.low - theta)
    high = np.where(silent, silent_high, m.high - theta)
    low = np.where(fired, np.minimum(low, np.maximum(m.low, theta) - theta), low)
    high = np.where(fired, np.maximum(high, m.high - theta), high)
    return Interval(low.astype(np.int64), high.astype(np.int64))

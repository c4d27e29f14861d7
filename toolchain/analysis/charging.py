"""Ranges of the membranes of each kind while it fires, by interval arithmetic.

``CHARGING`` is for the pipelined schedule, step by step. ``EMPTYING`` is for the layerwise one, in which everything
arrives before the first emission.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from spikec.analysis.intervals import Interval
from spikec.analysis.leaking import leaked_and_fired
from spikec.errors import GraphError
from spikec.implementations import Implementations
from spikec.ir.graph import Population
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, Kind, Maximum, SignedIF, Timing
from spikec.ir.types import Int64

#: Range of all membranes before reset, from their start values and the current of every step. Neuron by neuron: of
#: neurons that are the same in all this it gets one, so shapes may be smaller than those of the layer.
Charge = Callable[[Population, Interval, Sequence[Interval], Timing], Interval]

CHARGING: Implementations[Charge] = Implementations(
    "range of its membranes step by step", "spikec.analysis.charging.CHARGING", Kind
)
#: Range of all membranes before reset, from the range of what a neuron has gathered (zero included).
Empty = Callable[[Population, Interval], Interval]

EMPTYING: Implementations[Empty] = Implementations(
    "range of its membranes while it emits what it has gathered", "spikec.analysis.charging.EMPTYING", Kind
)
EMPTYING.refuse(lambda kind: GraphError(f"{kind} neurons do not run layerwise"), CalibratedIF, CubaLIF)
CHARGING.refuse(
    lambda kind: GraphError(f"{kind} neurons have no membranes step by step: they run layerwise"), BitSerialIF, GradedIF
)


@EMPTYING.register(IF, SignedIF, BitSerialIF, GradedIF, Maximum)
def emptied(node: Population, gathered: Interval) -> Interval:
    """Firing takes a membrane down towards zero and not beyond, and none of these kinds takes a spike back in the
    layerwise schedule: no membrane leaves the range of what was gathered."""
    return gathered


@CHARGING.register(Maximum)
def passed_on(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """What arrives leaves in the same step."""
    return reduce(Interval.union, currents)


@CHARGING.register(CubaLIF)
def charged_and_leaked(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """Leak, fire, reset."""
    return leaked_and_fired(node, start, currents)


@CHARGING.register(IF)
def charged(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """``m = v + z``, then a reset by as many thresholds as m holds, up to the most that the kind can emit."""
    most = node.neuron.emission[1]
    v, seen = start, start + currents[0]
    for current in currents:
        m = v + current
        seen = seen.union(m)
        v = _reset(m, node.theta, most)
    return seen


@CHARGING.register(SignedIF)
def charged_signed(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """As ``if`` up to step T: after t steps c <= K t, so every step may still emit K spikes. During the drain, a neuron
    that has no spikes left stays silent above theta. At or below its negative threshold a neuron may take spikes back,
    or have none to take."""
    assert isinstance(node.neuron, SignedIF)
    most = node.neuron.emission[1]
    theta, negative = node.theta, node.neuron.negative_thresholds(node.shape)
    v, seen = start, start + currents[0]
    for step, current in enumerate(currents):
        m = v + current
        seen = seen.union(m)
        v = _reset(m, theta, most)
        if step >= timing.timesteps:
            v = Interval(v.low, m.high)
        taken_back = np.maximum(v.high, _taken_back(m.low, np.minimum(m.high, -negative), theta, most))
        v = Interval(v.low, np.where(m.low <= -negative, taken_back, v.high))
    return seen


@CHARGING.register(CalibratedIF)
def charged_twice(node: Population, start: Interval, currents: Sequence[Interval], timing: Timing) -> Interval:
    """Both passes: the second starts where the largest shift of the first one may put it."""
    first = charged(node, start, currents[: node.neuron.rehearsal], timing)
    down = np.maximum(node.theta, first.high - node.theta + 1)
    up = np.maximum(node.theta, node.theta - np.minimum(first.low, node.theta - 1))
    second = charged(node, Interval(start.low - down, start.high + up), currents, timing)
    return first.union(second)


def _reset(m: Interval, theta: Int64, most: int) -> Interval:
    """Range of m - clip(floor(m / theta), 0, ``most``) * theta: a sawtooth, theta wide, between two straight lines. No
    product exceeds m, so none wraps."""
    lowest, highest = (np.clip(end // theta, 0, most) for end in (m.low, m.high))  # the teeth of both ends
    several = lowest < highest  # then the top of a tooth and the foot of the next lie between them
    low = np.where(several, np.minimum(m.low, 0), m.low - lowest * theta)
    high = m.high - highest * theta
    reach = m.reach + int(theta.max())
    return Interval(low, np.where(several, np.maximum(high, theta - 1), high), reach)


def _taken_back(low: Int64, high: Int64, theta: Int64, most: int) -> Int64:
    """Highest m + min(ceil(-m / theta), ``most``) * theta of all m between ``low`` and ``high`` < 0: the same sawtooth
    below zero."""
    tooth = np.minimum(-(high // theta), most)
    whole = (tooth < most) & (low < -tooth * theta)  # the top of the tooth before lies between them
    return np.where(whole, theta - 1, high + tooth * theta)

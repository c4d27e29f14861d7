"""Ranges of currents and membranes that leak."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from spikec.analysis.intervals import Interval, constant
from spikec.ir.graph import Population
from spikec.ir.integers import times
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import CURRENT_MAX, UNIT, UNITY, Leak
from spikec.ir.types import MEMBRANE_MAX, Int64


def current(leak: Leak, arriving: Interval) -> Interval:
    """Range of the current, where ``arriving`` is that of the input of one step. A geometric series bounds it: each
    step keeps at most (4095 - du) / 4096 of what there was. Before it wraps, so it may be wider than the register."""
    z = arriving.with_zero.scaled(UNIT)
    return Interval(-_sum(-z.low, leak.du + 1), _sum(z.high, leak.du + 1))


def wraps(leak: Leak, arriving: Interval) -> bool:
    """Whether the current of some neuron may leave its 24 bits."""
    return current(leak, arriving).magnitude > CURRENT_MAX


def leaked(leak: Leak, start: Interval, currents: Sequence[Interval]) -> Interval:
    """Range of the membranes of neurons that never reset, from their start and from what arrives in each step."""
    u = current(leak, reduce(Interval.union, currents))
    if u.magnitude > CURRENT_MAX:  # it wraps: anything may come out
        everything = np.full(leak.du.shape, CURRENT_MAX, np.int64)
        u = Interval(-everything, everything)
    step = u + constant(leak.bias)
    steps = len(currents)
    high = _gathered(np.maximum(start.high, 0), np.maximum(step.high, 0), leak.dv, steps)
    low = -_gathered(np.maximum(-start.low, 0), np.maximum(-step.low, 0), leak.dv, steps)
    return Interval(np.maximum(low, -MEMBRANE_MAX), np.minimum(high, MEMBRANE_MAX))


def leaked_and_fired(node: Population, start: Interval, currents: Sequence[Interval]) -> Interval:
    """The same for neurons that fire above 64 theta: what stays below is at most that when the next step arrives."""
    assert isinstance(node.neuron, CubaLIF)
    leak = Leak.of(node.neuron, node.shape)
    free = leaked(leak, start, currents)
    if node.neuron.subtract:
        return free
    u = current(leak, reduce(Interval.union, currents))
    if u.magnitude > CURRENT_MAX:
        return free
    rest = np.maximum(np.maximum(start.high, times(node.theta, UNIT)), 0)
    high = times(rest, UNITY - leak.dv) // UNITY + np.maximum(u.high + leak.bias, 0)
    return Interval(free.low, np.minimum(free.high, high))


def _sum(step: Int64, lost: Int64) -> Int64:
    """Upper bound of step * 4096 / lost: the limit of a sum that loses lost / 4096 of itself in each step."""
    total: Int64 = -(times(-step, UNITY) // lost)
    return total


def _gathered(start: Int64, step: Int64, lost: Int64, steps: int) -> Int64:
    """Upper bound of ``start`` and ``steps`` times ``step`` in a membrane that loses lost / 4096 in each step."""
    plain = np.minimum(start + times(step, steps), 2 * MEMBRANE_MAX)
    limit = np.where(lost > 0, start + _sum(step, np.maximum(lost, 1)), plain)
    return np.minimum(plain, limit)

"""Compares the worst-case sums inside Lava's processes with the integers that hold them there.

``Conv`` wraps silently at 24 bits, ``Dense`` and the ports at 32. The bounds here are for single steps, and without
bias, because in Lava the neuron adds the bias, in 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import spikec.ir as ig
from spikec.errors import MissingImplementation, RangeError
from spikec.implementations import Implementations
from spikec.ir.integers import magnitude

Array = npt.NDArray[Any]
Interval = tuple[Array, Array]  # lowest and highest value per channel (first axis of the node's shape)

_CONV, _INT32 = 2**23 - 1, 2**31 - 1
_SAID = "use smaller weights or fewer inputs per neuron"

#: From the lowest and highest input of an operation in one step to its lowest and highest output, int64 per channel.
#: Raises ``RangeError`` if the Lava process cannot hold the sums.
LAVA_LIMITS: Implementations[Callable[[Any, Array, Array], Interval]] = Implementations(
    "bound of one step's sums", "spikec.targets.lava.integer_limits.LAVA_LIMITS", of=ig.Operation
)


def check_ranges(graph: ig.IntegerGraph, *, image_is_sent: bool) -> None:
    """Raise ``RangeError`` for the first node whose sums can leave Lava's integers.

    ``image_is_sent``: the image enters as graded spikes, not as a current computed on the host.
    """
    sent: dict[str, Interval] = {}
    emitted = {p.name: p.neuron.emission for p in graph.populations}
    for node in graph:
        low, high = _sum([sent[s] for s in node.sources], node)
        if not isinstance(node, ig.InputNode):
            _check(node, low, high, _INT32, "the input of this node")
        if isinstance(node, ig.Synapse) and magnitude(node.narrow_weight) > _INT32:
            raise RangeError(f"{node.name}: a weight of {magnitude(node.narrow_weight)}, Lava's hold {_INT32}; {_SAID}")
        match node:
            case ig.InputNode():
                bounds = (min(node.low, 0), node.high) if image_is_sent else (0, 0)
                sent[node.name] = _filled(node, *bounds)
            case ig.Population():
                lowest, highest = emitted[node.name]
                sent[node.name] = _filled(node, min(lowest, 0), highest)
            case ig.Delayed():
                sender = graph.nodes[node.of]
                lowest, highest = (sender.low, sender.high) if isinstance(sender, ig.InputNode) else emitted[node.of]
                sent[node.name] = _filled(node, min(lowest, 0), highest)
            case ig.Operation():
                sent[node.name] = LAVA_LIMITS(node)(node, low, high)
            case ig.Readout():
                sent[node.name] = low, high
            case _:
                raise MissingImplementation(f"{type(node).__name__} has no bound of one step's sums in Lava")


@LAVA_LIMITS.register(ig.Convolution)
def _convolution(node: ig.Convolution, low: Array, high: Array) -> Interval:
    out, channels = node.weight_shape[:2]
    signs = (np.maximum(node.weight, 0), np.minimum(node.weight, 0))
    positive, negative = (sign.sum(axis=(2, 3)).reshape(node.groups, out // node.groups, channels) for sign in signs)
    low, high = low.reshape(node.groups, channels, 1), high.reshape(node.groups, channels, 1)
    return _weighted(node, positive, negative, low, high, _CONV, "the 24-bit accumulator of Lava's Conv")


@LAVA_LIMITS.register(ig.Affine)
def _affine(node: ig.Affine, low: Array, high: Array) -> Interval:
    positive, negative = np.maximum(node.weight, 0), np.minimum(node.weight, 0)
    return _weighted(node, positive, negative, low, high, _INT32 // 2, "the accumulator of Lava's Dense")


def _weighted(
    node: ig.Synapse, positive: Array, negative: Array, low: Array, high: Array, limit: int, what: str
) -> Interval:
    """Sums over inputs from ``low`` <= 0 to ``high`` >= 0, in float64: all terms of a sum have one sign, so that it is
    exact below 2^53, and beyond that it is too large to pass."""
    positive, negative, low, high = (x.astype(np.float64) for x in (positive, negative, low, high))
    low, high = (positive @ low + negative @ high).reshape(-1), (positive @ high + negative @ low).reshape(-1)
    _check(node, low, high, limit, what)
    return low.astype(np.int64), high.astype(np.int64)


@LAVA_LIMITS.register(ig.SumPool)
def _sum_pool(node: ig.SumPool, low: Array, high: Array) -> Interval:
    low, high = low * node.window, high * node.window  # less than 2^62: what arrives has been checked
    _check(node, low, high, _INT32, "the port behind it")
    return low, high


@LAVA_LIMITS.register(ig.MaxPool)
def _max_pool(node: ig.MaxPool, low: Array, high: Array) -> Interval:
    """In one step the largest sum gains no more than the emission that gains most, and no less than the least."""
    return low, high


@LAVA_LIMITS.register(ig.Flatten)
def _flatten(node: ig.Flatten, low: Array, high: Array) -> Interval:
    repeat = int(np.prod(node.input_shape[1:]))
    return np.repeat(low, repeat), np.repeat(high, repeat)


@LAVA_LIMITS.register(ig.Unflatten)
def _unflatten(node: ig.Unflatten, low: Array, high: Array) -> Interval:
    channels = node.output_shape[0]
    return low.reshape(channels, -1).min(axis=1), high.reshape(channels, -1).max(axis=1)


def _sum(intervals: list[Interval], node: ig.Node) -> Interval:
    channels = getattr(node, "input_shape", node.output_shape)[0]
    zero = np.zeros(channels, np.int64)
    return sum((low for low, _ in intervals), zero), sum((high for _, high in intervals), zero)


def _filled(node: ig.Node, low: int, high: int) -> Interval:
    channels = node.output_shape[0]
    return np.full(channels, low, np.int64), np.full(channels, high, np.int64)


def _check(node: ig.Node, low: Array, high: Array, limit: int, what: str) -> None:
    worst = max(-int(low.min()), int(high.max()))
    if worst > limit:
        raise RangeError(f"{node.name}: sums can reach {worst} in one step, {what} holds {limit}; {_SAID}")

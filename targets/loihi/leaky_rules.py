"""Rules about neurons that leak, which are the chip's own: the numbers its registers take."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikec.analysis.intervals import Interval
from spikec.analysis.leaking import current
from spikec.analysis.violations import Violation
from spikec.ir.graph import Node, Population, leak_of
from spikec.ir.integers import magnitude
from spikec.ir.leak import CURRENT_MAX
from spikec.ir.operations import Operation, Synapse
from spikec.ir.types import Int64
from spikec.targets.loihi.facts import Facts, severity


def leaky_neurons(facts: Facts) -> Iterator[Violation]:
    """Threshold, decay and bias of leaky neurons, and biases of the weights before them."""
    for layer in facts.layers:
        leak = leak_of(layer)
        if leak is None:
            continue
        limits = facts.limits
        if isinstance(layer, Population):
            largest, limit = int(layer.theta.max()), limits["leaky_threshold"]
            if largest > limit.value:
                yield Violation("threshold", layer.name, largest, limit.value, severity(limit), "use larger weights")
        largest, limit = int(leak.dv.max()), limits["leaky_decay"]
        if largest > limit.value:
            hint = (
                "the membrane forgets all in one step, which a decay of 12 bits cannot say; 4095 keeps 1 / 4096 of it"
            )
            yield Violation("decay", layer.name, largest, limit.value, severity(limit), hint)
        unfit = int((~_held(leak.bias, limits["leaky_bias"].value, limits["leaky_bias_exponent"].value)).sum())
        if unfit:
            limit = limits["leaky_bias"]
            hint = f"{unfit} biases are no mantissa of 13 bits times a power of two up to 2^7; round them"
            largest = magnitude(leak.bias)
            yield Violation("bias precision", layer.name, largest, limit.value, severity(limit), hint)
        if (leak.du < 4095).any() and any(node.bias.any() for node in _before(facts, layer)):
            hint = "a bias into a current that lasts takes a neuron that fires at every step; or train without it"
            yield Violation("bias of the current", layer.name, "constant input", "none", "warning", hint)


def synaptic_current(facts: Facts) -> Iterator[Violation]:
    """Worst case of the synaptic current, which wraps beyond 24 bits."""
    for layer in facts.layers:
        leak, bound = leak_of(layer), facts.ranges.accumulators[layer.name]
        if leak is None:
            continue
        reached = current(leak, Interval(bound.lowest, bound.highest)).magnitude
        if reached > CURRENT_MAX:
            hint = "worst case over all inputs; it wraps then. Fewer weight bits, or smaller inputs, make it smaller"
            yield Violation("synaptic current", layer.name, reached, CURRENT_MAX, "warning", hint)


def _held(bias: Int64, mantissa: int, exponent: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which biases are a mantissa of at most ``mantissa`` times 2 ** e, e up to ``exponent``."""
    found = np.zeros(bias.shape, np.bool_)
    for shift in range(exponent + 1):
        found |= (bias % 2**shift == 0) & (np.abs(bias) >> shift <= mantissa)
    return found


def _before(facts: Facts, layer: Node) -> list[Synapse]:
    """The synapses that lead into a layer through operations alone."""
    found = []
    for name in layer.sources:
        node = facts.net.nodes[name]
        if isinstance(node, Synapse):
            found.append(node)
        if isinstance(node, Operation):
            found += _before(facts, node)
    return found

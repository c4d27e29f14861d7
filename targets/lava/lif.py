"""Which populations run as Lava's own ``LIFReset``: the leaky neuron that a Loihi has.

One du, dv and threshold for all neurons of a process, one bias for each. A window begins with current and membrane 0.
"""

from __future__ import annotations

import numpy as np

import spikec.ir as ig
from spikec.analysis.ranges import bounds
from spikec.ir.integers import magnitude
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import BIAS_EXPONENT, BIAS_MANTISSA, CURRENT_MAX, THETA_MAX, UNIT, UNITY, Leak
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.operations import Part
from spikec.targets.lava.paths import LIF_RESET

#: Lava computes in 32 bits.
SUM_MAX = 2**31 - 1


def unfit(graph: ig.IntegerGraph, *, pace: int) -> dict[str, str]:
    """Populations of leaky neurons that ``LIFReset`` cannot replace, each with the first reason. ``pace``: Lava steps
    of a logical step."""
    leaky = {node.name: _own_reason(node, pace) for node in graph.populations if isinstance(node.neuron, CubaLIF)}
    if not leaky:
        return {}
    arriving = bounds(graph).accumulators
    for name, reason in leaky.items():
        if not reason:
            worst = max(-arriving[name].low, arriving[name].high)
            node = graph.nodes[name]
            assert isinstance(node, ig.Population)
            leaky[name] = _sums_reason(node, worst)
    return {name: reason for name, reason in leaky.items() if reason}


def _own_reason(node: ig.Population, pace: int) -> str:
    assert isinstance(node.neuron, CubaLIF)
    leak = Leak.of(node.neuron, node.shape)
    if pace > 1:
        return f"a step takes {pace} Lava steps, since a cycle passes as many synapses, and Lava's LIF leaks at each"
    if node.neuron.subtract:
        return "its reset subtracts the threshold"
    for what, values in (("du", leak.du), ("dv", leak.dv), ("threshold", node.theta)):
        if np.ptp(values):
            return f"its neurons differ in {what}"
    if int(node.theta.flat[0]) > THETA_MAX:
        return f"its threshold {int(node.theta.flat[0])} exceeds {THETA_MAX}"
    if node.v_init.any():
        return "its initial membranes are not 0"
    mantissa, exponent = bias_parts(leak.bias)
    wrong = (mantissa << exponent) != leak.bias
    return f"its bias {int(leak.bias[wrong][0])} is no mantissa of 13 bits with an exponent" if wrong.any() else ""


def _sums_reason(node: ig.Population, arriving: int) -> str:
    """``arriving``: largest magnitude of the input of a step. A current wraps once in a step. So it stays within 2^23,
    or, where a step can bring more than that takes off (2^24), within the limit of what remains and decays."""
    assert isinstance(node.neuron, CubaLIF)
    leak = Leak.of(node.neuron, node.shape)
    beyond = max(0, UNIT * arriving - 2 * CURRENT_MAX)
    current = max(CURRENT_MAX, -(-beyond * UNITY // (int(leak.du.flat[0]) + 1)))
    worst = current + max(UNIT * arriving, CURRENT_MAX + magnitude(leak.bias))
    return f"its sums can reach {worst}, Lava's LIF computes in 32 bits" if worst > SUM_MAX else ""


def part(node: ig.Population, arrival: int, steps: int) -> Part:
    """The process of a population that fits, for windows of ``steps`` Lava steps, the first after ``arrival`` steps."""
    assert isinstance(node.neuron, CubaLIF)
    leak = Leak.of(node.neuron, node.shape)
    mantissa, exponent = bias_parts(leak.bias)
    uniform = {"du": leak.du, "dv": leak.dv, "vth": node.theta}
    settings = {
        **{name: int(values.flat[0]) for name, values in uniform.items()},
        "shape": node.shape[::-1],
        "reset_interval": steps,
        "reset_offset": (arrival + 1) % steps,  # Lava counts from 1
    }
    return Part(LIF_RESET, settings, {"bias_mant": lava_layout(mantissa), "bias_exp": lava_layout(exponent)})


def bias_parts(bias: ig.Int64) -> tuple[ig.Int64, ig.Int64]:
    """Mantissa and exponent of each bias, with the smallest exponent that serves; they multiply to another number where
    none does."""
    exponent = np.full_like(bias, BIAS_EXPONENT)
    for e in reversed(range(BIAS_EXPONENT)):
        mantissa = bias >> e
        fits = (mantissa << e == bias) & (mantissa >= ~BIAS_MANTISSA) & (mantissa <= BIAS_MANTISSA)
        exponent[fits] = e
    return np.clip(bias >> exponent, ~BIAS_MANTISSA, BIAS_MANTISSA), exponent

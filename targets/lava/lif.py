"""Which populations run as Lava's own ``LIFReset``: the leaky neuron that a Loihi has.

One du, dv and threshold for all neurons of a process, one bias for each. A window begins with current and membrane 0.
"""

from __future__ import annotations

import numpy as np

import spikec.ir as ig
from spikec.analysis.ranges import bounds
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import Leak
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.operations import Part
from spikec.targets.lava.paths import LIF_RESET

#: A bias is a mantissa of 13 bits with sign, shifted by an exponent.
MANTISSA_LOW, MANTISSA_HIGH, EXPONENT_MAX = -4096, 4095, 7
#: 17 bits.
THETA_MAX = 2**17 - 1
#: Up to here one wrap brings a current back into its 24 bits, whatever it was, and 32 bits hold all sums on the way.
INPUT_MAX = 2**18


def unfit(graph: ig.IntegerGraph, *, pace: int) -> dict[str, str]:
    """Populations of leaky neurons that ``LIFReset`` cannot replace, each with the first reason. ``pace``: Lava steps
    of a logical step."""
    leaky = {node.name: _own_reason(node, pace) for node in graph.populations if isinstance(node.neuron, CubaLIF)}
    if not leaky:
        return {}
    arriving = bounds(graph).accumulators
    for name, reason in leaky.items():
        worst = max(-arriving[name].low, arriving[name].high)
        if not reason and worst > INPUT_MAX:
            leaky[name] = f"its input can reach {worst} in a step, Lava's LIF holds {INPUT_MAX}"
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
    exponent = np.full_like(bias, EXPONENT_MAX)
    for e in reversed(range(EXPONENT_MAX)):
        mantissa = bias >> e
        fits = (mantissa << e == bias) & (mantissa >= MANTISSA_LOW) & (mantissa <= MANTISSA_HIGH)
        exponent[fits] = e
    return np.clip(bias >> exponent, MANTISSA_LOW, MANTISSA_HIGH), exponent

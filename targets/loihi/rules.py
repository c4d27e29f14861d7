"""What keeps a graph off a chip: one function per rule, all violations at once, as data.

Limits come from ``limits_<chip>.toml``, number formats from ``format_<chip>.toml``. Breaking a limit whose value was
read in a source is an error; where the value is recalled or assumed, or where a worst-case bound is compared with it,
the violation is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from targets.loihi.boxes import paths, whole
from targets.loihi.facts import Facts, Rule, Violation, recalled, severity
from targets.loihi.limits import load_limits
from targets.loihi.needs import Demand
from targets.loihi.placement import Placement, place
from targets.loihi.resources import (
    chips,
    cores,
    fan_in,
    fan_out,
    synapses,
    synaptic_memory,
    threshold_configurations,
)
from toolchain.errors import DoesNotFit
from toolchain.ir import as_integer
from toolchain.ir.integer import Int64, IntegerGraph
from toolchain.quantization.formats import round_bias
from toolchain.quantization.ranges import Bound, bounds

if TYPE_CHECKING:
    import nir


def check(
    graph: nir.NIRGraph | IntegerGraph, target: str = "loihi2", *, placement: Placement | None = None
) -> list[Violation]:
    """All violations of ``graph`` on one chip, ``loihi1`` or ``loihi2``, errors first; empty when nothing is wrong.

    ``placement``: that of ``place(graph, target)`` where it is at hand.
    """
    net, limits = as_integer(graph), load_limits(target)
    try:
        placed: Placement | str = placement or place(net, target)
    except DoesNotFit as error:
        placed = str(error)
    facts = Facts(net, limits, bounds(net), Demand(net, limits), placed)
    found = [violation for rule in RULES for violation in rule(facts)]
    return sorted(found, key=lambda v: v.severity != "error")


def neuron_kind(facts: Facts) -> Iterator[Violation]:
    """Emissions the chip's spikes cannot carry."""
    kinds = facts.limits.kinds
    for layer in facts.net.populations:
        if layer.kind not in kinds:
            hint = "use a method with binary spikes (QCFS, OffsetSpikes), or a chip with graded spikes (loihi2)"
            yield Violation("neuron kind", layer.name, layer.kind, ", ".join(kinds), "error", hint)


def graded_payload(facts: Facts) -> Iterator[Violation]:
    """Payloads of graded spikes."""
    if "payload_bits" not in facts.limits:
        return
    limit = facts.limits["payload_bits"]
    for layer in facts.net.populations:
        bits = (layer.levels or 1).bit_length() if layer.kind == "graded" else 0
        if bits > limit.value:
            hint = "fewer levels" + recalled(limit)
            yield Violation("graded payload", layer.name, bits, limit.value, severity(limit), hint)


def soft_reset(facts: Facts) -> Iterator[Violation]:
    """Reset by subtraction on neurons that reset to zero."""
    if not facts.limits.soft_reset and facts.net.populations:
        hint = "it takes a second compartment per neuron, which the placement counts; loihi2 has programmable neurons"
        yield Violation("reset", "", "subtract the threshold", "to zero", "warning", hint)


def weights(facts: Facts) -> Iterator[Violation]:
    """Weight mantissas and their exponent."""
    form = facts.limits.form
    for node in facts.net.synapses:
        bits = _signed_bits(node.weight >> node.weight_exp)
        if bits > form.weight_bits:
            yield Violation("weight bits", node.name, bits, form.weight_bits, "error", "lower with tc.Int8")
        if node.weight_exp > form.weight_exponent_max:
            hint = f"lower with format={form.name!r}"
            yield Violation("weight exponent", node.name, node.weight_exp, form.weight_exponent_max, "error", hint)


def bias(facts: Facts) -> Iterator[Violation]:
    """Biases as mantissa and exponent: too large, or not exactly representable."""
    form = facts.limits.form
    limit = form.bias_max << form.bias_exponent_max
    for node in facts.net.synapses:
        largest = int(np.abs(node.bias).max(initial=0))
        hint = f"lower with format={form.name!r}, which keeps to the chip's numbers or names what cannot"
        if largest > limit:
            yield Violation("bias", node.name, largest, limit, "error", hint)
        elif (round_bias(node.bias, form) != node.bias).any():
            yield Violation("bias precision", node.name, largest, form.bias_max, "error", hint)


def threshold(facts: Facts) -> Iterator[Violation]:
    """Largest threshold; ``bit_serial`` neurons start from its multiple."""
    form = facts.limits.form
    for layer in facts.net.populations:
        shift = facts.net.timesteps - 1 if layer.kind == "bit_serial" else 0
        highest = int(layer.theta.max()) << shift
        if highest > form.threshold_max:
            hint = f"lower with format={form.name!r}, which keeps to the chip's numbers or names what cannot"
            yield Violation("threshold", layer.name, highest, form.threshold_max, "error", hint)


def step_input(facts: Facts) -> Iterator[Violation]:
    """Worst case of the synaptic input of one step."""
    form = facts.limits.form
    for layer in facts.layers:
        reached = _magnitude(facts.ranges.accumulators[layer.name])
        if reached > form.accumulator_max:
            hint = "worst case over all images; fewer weight bits make it smaller"
            yield Violation("input of one step", layer.name, reached, form.accumulator_max, "warning", hint)


def membrane(facts: Facts) -> Iterator[Violation]:
    """Worst case of the membrane: the proof fails, though no image need reach it."""
    limit = facts.limits.form.membrane_max
    for layer in facts.layers:
        reached = _magnitude(facts.ranges.membranes[layer.name])
        if reached > limit:
            hint = "worst case over all images; the membrane range of a trace tells what the data reach"
            yield Violation("membrane", layer.name, reached, limit, "warning", hint)


def delay(facts: Facts) -> Iterator[Violation]:
    """Branches of different depth: the shorter one has to wait, in steps of synaptic delay."""
    net, limit = facts.net, facts.limits["delay"]
    depth = {net.input.name: 0}
    for layer in facts.layers:
        origins = {path.origin for path in paths(net, layer, whole(layer.shape))}
        depth[layer.name] = 1 + max((depth[origin] for origin in origins), default=0)
        spiking = [depth[origin] for origin in origins if origin != net.input.name]
        window = net.emission_steps if net.schedule == "layerwise" else 1
        waits = (max(spiking) - min(spiking)) * window if spiking else 0
        if waits > limit.value:
            hint = "fewer steps, a shorter branch, or the pipelined schedule"
            yield Violation("delay", layer.name, waits, limit.value, severity(limit), hint)


def _magnitude(bound: Bound) -> int:
    return max(bound.high, -bound.low)


def _signed_bits(values: Int64) -> int:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return 1 + max((~low).bit_length(), high.bit_length())


RULES: tuple[Rule, ...] = (
    neuron_kind,
    graded_payload,
    soft_reset,
    weights,
    bias,
    threshold,
    threshold_configurations,
    step_input,
    membrane,
    delay,
    fan_in,
    fan_out,
    synaptic_memory,
    cores,
    chips,
    synapses,
)

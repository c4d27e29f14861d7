"""What keeps a graph off a chip: one function per rule, all violations at once, as data.

Limits come from ``limits_<chip>.toml``, number formats from ``format_<chip>.toml``. Breaking a limit whose value was
read in a source is an error; where the value is recalled or assumed, or where a worst-case bound is compared with it,
the violation is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spikec.analysis.formats import NumberFormat, round_bias
from spikec.analysis.ranges import Bound, bounds
from spikec.analysis.violations import Violation
from spikec.analysis.widths import signed_bits
from spikec.errors import DoesNotFit
from spikec.ir import as_integer
from spikec.ir.graph import IntegerGraph, Population, leak_of
from spikec.ir.integers import magnitude
from spikec.ir.kinds import kinds
from spikec.ir.operations import MaxPool
from spikec.ir.pools import memoryless
from spikec.ir.walks import depths, fires, origins
from spikec.targets.chips import Placement
from spikec.targets.loihi.facts import Facts, Rule, recalled, severity
from spikec.targets.loihi.leaky_rules import leaky_neurons, synaptic_current
from spikec.targets.loihi.limits import load_limits
from spikec.targets.loihi.needs import Demand
from spikec.targets.loihi.placement import place
from spikec.targets.loihi.resources import (
    chips,
    cores,
    fan_in,
    fan_out,
    synapses,
    synaptic_memory,
    threshold_configurations,
)
from spikec.words import average_pools, either, option

if TYPE_CHECKING:
    import nir


def check(
    graph: nir.NIRGraph | IntegerGraph, target: str = "loihi2", *, placement: Placement | None = None
) -> list[Violation]:
    """All violations of ``graph`` on one chip, ``loihi1`` or ``loihi2``, errors first; empty if there are none.

    ``placement``: what ``place(graph, target)`` returned, if known.
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
    carried = [name for name, kind in kinds().items() if facts.limits.carries(kind.widest())]
    for layer in facts.net.populations:
        if fires(layer) and not facts.limits.carries(layer.neuron):  # a max pool sends what those before it send
            binary = either("tc.QCFS, tc.OffsetSpikes", "--method qcfs or offset-spikes")
            hint = f"use a method with binary spikes ({binary}), or a chip with graded spikes (loihi2)"
            actual = layer.neuron.name
            if actual in carried:  # with other fields than these
                low, high = layer.neuron.emission
                actual = f"{actual} that emits {low} to {high} in a step"
                one = either("spikes=1", "--option spikes=1")
                hint = f"one spike per step ({one}), or a chip with graded spikes (loihi2)"
            yield Violation("neuron kind", layer.name, actual, ", ".join(carried), "error", hint)


def graded_payload(facts: Facts) -> Iterator[Violation]:
    """Payloads of graded spikes."""
    if "payload_bits" not in facts.limits:
        return
    limit = facts.limits["payload_bits"]
    for layer in facts.net.populations:
        bits = layer.neuron.payload_bits
        if fires(layer) and bits > limit.value:
            hint = "fewer levels" + recalled(limit)
            yield Violation("graded payload", layer.name, bits, limit.value, severity(limit), hint)


def soft_reset(facts: Facts) -> Iterator[Violation]:
    """Reset by subtraction on neurons that reset to zero."""
    if not facts.limits.soft_reset and any(layer.neuron.subtracts for layer in facts.net.populations):
        hint = "it takes a second compartment per neuron, which the placement counts; loihi2 has programmable neurons"
        yield Violation("reset", "", "subtract the threshold", "to zero", "warning", hint)


def max_pools(facts: Facts) -> Iterator[Violation]:
    """Max pools that have to remember what each neuron of a window has sent. Those that are the OR of spikes need no
    memory: a plain neuron with threshold 1 does it."""
    for layer in facts.net.populations:
        window = facts.net.nodes[layer.sources[0]]
        if not isinstance(window, MaxPool) or memoryless(facts.net, layer):
            continue
        kept = window.most_in_a_window
        layerwise = option("schedule", "layerwise")
        other = f"with {layerwise} and one spike per step it is the OR of spikes; or use {average_pools()}"
        if facts.limits.programmable:
            hint = f"it takes a neuron program that keeps a sum for each of its {kept} sources (not verified); {other}"
            yield Violation("max pool", layer.name, f"{kept} sums per neuron", "1 sum", "warning", hint)
        else:
            yield Violation("max pool", layer.name, f"{kept} sums per neuron", "1 sum", "error", other)


def weights(facts: Facts) -> Iterator[Violation]:
    """Weight mantissas and their exponent."""
    form = facts.limits.form
    narrower = either("lower with tc.Int8", f"export with --bits {form.weight_bits}")
    for node in facts.net.synapses:
        bits = signed_bits(int(node.narrow_mantissas.min(initial=0)), int(node.narrow_mantissas.max(initial=0)))
        if bits > form.weight_bits:
            yield Violation("weight bits", node.name, bits, form.weight_bits, "error", narrower)
        if node.weight_exp > form.weight_exponent_max:
            hint = _format(form)
            yield Violation("weight exponent", node.name, node.weight_exp, form.weight_exponent_max, "error", hint)


def bias(facts: Facts) -> Iterator[Violation]:
    """Biases as mantissa and exponent: too large, or not exactly representable."""
    form = facts.limits.form
    limit = form.bias_max << form.bias_exponent_max
    for node in facts.net.synapses:
        largest = magnitude(node.bias)
        hint = f"{_format(form)}, which keeps to the chip's numbers or lists what does not fit"
        if largest > limit:
            yield Violation("bias", node.name, largest, limit, "error", hint)
        elif (round_bias(node.bias, form) != node.bias).any():
            yield Violation("bias precision", node.name, largest, form.bias_max, "error", hint)


def threshold(facts: Facts) -> Iterator[Violation]:
    """Largest threshold, times the largest number that an emission stands for."""
    form = facts.limits.form
    for layer in facts.net.populations:
        steps = facts.net.timesteps
        highest = int(layer.theta.max()) * max(layer.neuron.place_value(step, steps) for step in range(steps))
        if highest > form.threshold_max:
            hint = f"{_format(form)}, which keeps to the chip's numbers or lists what does not fit"
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
    """Worst case of the membrane. A violation means that the proof fails, not that some image reaches it."""
    limit = facts.limits.form.membrane_max
    for layer in facts.layers:
        reached = _magnitude(facts.ranges.membranes[layer.name])
        if leak_of(layer) is None and reached > limit:  # leaky neurons are the chip's own: their membranes saturate
            hint = "worst case over all images; the membrane range of a trace tells what the data reach"
            yield Violation("membrane", layer.name, reached, limit, "warning", hint)


def delay(facts: Facts) -> Iterator[Violation]:
    """Branches of different depth: the shorter one has to wait, in steps of synaptic delay."""
    net, limit = facts.net, facts.limits["delay"]
    depth = depths(net)
    for layer in facts.layers:
        before = [net.nodes[origin] for origin in origins(net, layer.name)]
        spiking = [depth[node.name] for node in before if isinstance(node, Population)]  # feedback waits a step anyway
        window = net.emission_steps if net.schedule == "layerwise" else 1
        waits = (max(spiking) - min(spiking)) * window if spiking else 0
        if waits > limit.value:
            hint = "fewer steps, a shorter branch, or the pipelined schedule"
            yield Violation("delay", layer.name, waits, limit.value, severity(limit), hint)


def _format(form: NumberFormat) -> str:
    """How to keep to the numbers of the chip."""
    return f"{either('lower', 'export')} with {option('format', form.name)}"


def _magnitude(bound: Bound) -> int:
    return max(bound.high, -bound.low)


RULES: tuple[Rule, ...] = (
    neuron_kind,
    graded_payload,
    soft_reset,
    max_pools,
    weights,
    bias,
    threshold,
    threshold_configurations,
    step_input,
    membrane,
    leaky_neurons,
    synaptic_current,
    delay,
    fan_in,
    fan_out,
    synaptic_memory,
    cores,
    chips,
    synapses,
)

"""What keeps a graph off a chip: one function per rule, all violations at once, as data.

Limits come from ``limits_<chip>.toml``, number formats from ``format_<chip>.toml``. Breaking a limit whose value was
read in a source is an error; where the value is recalled or assumed, or where a worst-case bound is compared with it,
the violation is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from targets.loihi.boxes import paths, volume, whole
from targets.loihi.limits import Limit, Limits, load_limits
from targets.loihi.placement import place
from toolchain.energy.fanout import structure
from toolchain.errors import DoesNotFit
from toolchain.ir import as_integer
from toolchain.ir.integer import Int64, IntegerGraph, Population, Readout
from toolchain.quantization.formats import round_bias
from toolchain.quantization.ranges import Bound, Ranges, bounds

if TYPE_CHECKING:
    import nir

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Violation:
    """``layer`` exceeds a limit: ``actual`` against ``limit`` in the words of ``rule``; ``hint`` says what to do.
    ``layer`` is empty where the whole network is meant."""

    rule: str
    layer: str
    actual: float | str
    limit: float | str
    severity: Severity
    hint: str

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        return f"{self.severity}: {where}{self.rule} {self.actual}, limit {self.limit}. {self.hint}"


@dataclass(frozen=True)
class Facts:
    """What the rules look at: a graph, the chip's limits, and the graph's proven ranges."""

    net: IntegerGraph
    limits: Limits
    ranges: Ranges


def check(graph: nir.NIRGraph | IntegerGraph, target: str = "loihi2") -> list[Violation]:
    """All violations of ``graph`` on one chip, ``loihi1`` or ``loihi2``, errors first; empty when nothing is wrong."""
    net = as_integer(graph)
    facts = Facts(net, load_limits(target), bounds(net))
    found = [violation for rule in RULES for violation in rule(facts)]
    return sorted(found, key=lambda v: v.severity != "error")


def _severity(limit: Limit) -> Severity:
    return "error" if limit.verified else "warning"


def neuron_kind(facts: Facts) -> Iterator[Violation]:
    """Emissions the chip's spikes cannot carry."""
    kinds = facts.limits.kinds
    for layer in facts.net.populations:
        if layer.kind not in kinds:
            hint = "use a method with binary spikes (QCFS, OffsetSpikes), or a chip with graded spikes (loihi2)"
            yield Violation("neuron kind", layer.name, layer.kind, ", ".join(kinds), "error", hint)


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


def threshold_configurations(facts: Facts) -> Iterator[Violation]:
    """Different thresholds in one layer, where a core holds a few configurations only."""
    if "thresholds_per_core" not in facts.limits:
        return
    limit = facts.limits["thresholds_per_core"]
    for layer in facts.net.populations:
        values = len(np.unique(layer.theta))
        if values > limit.value:
            hint = 'lower with tc.Int8(per="layer"): one threshold per layer'
            yield Violation("thresholds per core", layer.name, values, limit.value, _severity(limit), hint)


def step_input(facts: Facts) -> Iterator[Violation]:
    """Worst case of the synaptic input of one step."""
    form = facts.limits.form
    for layer in _layers(facts.net):
        reached = _magnitude(facts.ranges.accumulators[layer.name])
        if reached > form.accumulator_max:
            hint = "worst case over all images; fewer weight bits make it smaller"
            yield Violation("input of one step", layer.name, reached, form.accumulator_max, "warning", hint)


def membrane(facts: Facts) -> Iterator[Violation]:
    """Worst case of the membrane: the proof fails, though no image need reach it."""
    limit = facts.limits.form.membrane_max
    for layer in _layers(facts.net):
        reached = _magnitude(facts.ranges.membranes[layer.name])
        if reached > limit:
            hint = "worst case over all images; the membrane range of a trace tells what the data reach"
            yield Violation("membrane", layer.name, reached, limit, "warning", hint)


def delay(facts: Facts) -> Iterator[Violation]:
    """Branches of different depth: the shorter one has to wait, in steps of synaptic delay."""
    net, limit = facts.net, facts.limits["delay"]
    depth = {net.input.name: 0}
    for layer in _layers(net):
        origins = {path.origin for path in paths(net, layer, whole(layer.shape))}
        depth[layer.name] = 1 + max((depth[origin] for origin in origins), default=0)
        spiking = [depth[origin] for origin in origins if origin != net.input.name]
        window = net.emission_steps if net.schedule == "layerwise" else 1
        waits = (max(spiking) - min(spiking)) * window if spiking else 0
        if waits > limit.value:
            hint = "fewer steps, a shorter branch, or the pipelined schedule"
            yield Violation("delay", layer.name, waits, limit.value, _severity(limit), hint)


def fan_in(facts: Facts) -> Iterator[Violation]:
    """Neurons one neuron listens to: each takes an input axon of its core."""
    net = facts.net
    if "axons_in_per_core" not in facts.limits:
        return
    limit = facts.limits["axons_in_per_core"]
    for layer in _layers(net):
        middle = tuple((n // 2, n // 2 + 1) for n in layer.shape)
        listens = sum(volume(path.box) for path in paths(net, layer, middle) if path.origin != net.input.name)
        if listens > limit.value:
            hint = "pool more or use fewer channels before this layer"
            yield Violation("fan-in", layer.name, listens, limit.value, _severity(limit), hint)


def cores(facts: Facts) -> Iterator[Violation]:
    """Cores of the placement on one chip, or a layer no split can place."""
    limit = facts.limits["cores_per_chip"]
    try:
        placement = place(facts.net, facts.limits.name)
    except DoesNotFit as error:
        yield Violation("placement", "", "impossible", limit.value, "error", str(error))
        return
    if len(placement.cores) > limit.value:
        hint = f"it takes {placement.chips} chips; at least {placement.lower_bound} cores however it is split"
        yield Violation("cores", "", len(placement.cores), limit.value, _severity(limit), hint)


def synapses(facts: Facts) -> Iterator[Violation]:
    """Stored weights of the whole chip."""
    if "synapses_per_chip" not in facts.limits:
        return
    limit = facts.limits["synapses_per_chip"]
    stored = sum(int(structure(node).sum()) for node in facts.net.synapses)
    if stored > limit.value:
        yield Violation("synapses", "", stored, limit.value, _severity(limit), "use a smaller network or several chips")


def _layers(net: IntegerGraph) -> list[Population | Readout]:
    return [node for node in net if isinstance(node, Population | Readout)]


def _magnitude(bound: Bound) -> int:
    return max(bound.high, -bound.low)


def _signed_bits(values: Int64) -> int:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return 1 + max((~low).bit_length(), high.bit_length())


Rule = Callable[[Facts], Iterator[Violation]]

RULES: tuple[Rule, ...] = (
    neuron_kind,
    soft_reset,
    weights,
    bias,
    threshold,
    threshold_configurations,
    step_input,
    membrane,
    delay,
    fan_in,
    cores,
    synapses,
)

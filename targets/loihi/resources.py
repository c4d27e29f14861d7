"""Rules about what cores and chips hold: neurons, synapses, axons, thresholds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from targets.loihi.bounds import cores_reached
from targets.loihi.facts import Facts, Violation, recalled, severity
from targets.loihi.needs import AXONS_IN, SYNAPSES, Layer
from targets.loihi.placement import cores_needed
from toolchain.energy.fanout import structure
from toolchain.errors import DoesNotFit

_MOST_CHIPS = 4  # beyond, what narrower weights save is not computed


def threshold_configurations(facts: Facts) -> Iterator[Violation]:
    """Different thresholds of one layer on one core, which holds a few configurations only."""
    if "thresholds_per_core" not in facts.limits:
        return
    limit = facts.limits["thresholds_per_core"]
    for layer in facts.net.populations:
        if isinstance(facts.placement, str):
            values = len(np.unique(layer.theta))
        else:
            boxes = [part.box for core in facts.placement.cores for part in core.slices if part.layer == layer.name]
            values = max(len(np.unique(layer.theta[tuple(slice(*axis) for axis in box)])) for box in boxes)
        if values > limit.value:
            hint = 'per-layer thresholds: lower with tc.Int8(per="layer")' + recalled(limit)
            yield Violation("thresholds per core", layer.name, values, limit.value, severity(limit), hint)


def fan_in(facts: Facts) -> Iterator[Violation]:
    """Synapse lists one neuron needs: each takes an input axon of its core."""
    if "axons_in_per_core" not in facts.limits:
        return
    limit = facts.limits["axons_in_per_core"]
    for layer in facts.layers:
        listens = _one_neuron(facts, layer)[AXONS_IN]
        if listens > limit.value:
            hint = "pool more or use fewer channels before this layer, or split it into groups" + recalled(limit)
            yield Violation("fan-in", layer.name, listens, limit.value, severity(limit), hint)


def fan_out(facts: Facts) -> Iterator[Violation]:
    """Cores one neuron must send to at least, each an output axon of its core."""
    if "axons_out_per_core" not in facts.limits:
        return
    limit = facts.limits["axons_out_per_core"]
    for layer in facts.net.populations:
        reached = int(cores_reached(facts.demand, layer).max())
        if reached > limit.value:
            hint = "split the layer it feeds into groups, or fewer weight bits" + recalled(limit)
            yield Violation("fan-out", layer.name, reached, limit.value, severity(limit), hint)


def synaptic_memory(facts: Facts) -> Iterator[Violation]:
    """Weights of one neuron, which lie on its core."""
    limit = facts.limits["synapse_bits_per_core"]
    for layer in facts.layers:
        bits = _one_neuron(facts, layer)[SYNAPSES]
        if bits > limit.value:
            hint = "a smaller kernel, fewer inputs or fewer weight bits" + recalled(limit)
            yield Violation("synaptic memory", layer.name, bits, limit.value, severity(limit), hint)


def cores(facts: Facts) -> Iterator[Violation]:
    """Cores of the placement on one chip, or a layer no split can place."""
    limit = facts.limits["cores_per_chip"]
    placement = facts.placement
    if isinstance(placement, str):
        yield Violation("placement", "", "impossible", limit.value, "error", placement)
    elif len(placement.cores) > limit.value:
        bound = f"at least {placement.lower_bound} cores however it is split"
        hint = f"split it over {placement.chips} chips; {bound}{_narrower(facts, len(placement.cores))}"
        yield Violation("cores", "", len(placement.cores), limit.value, severity(limit), hint)


def chips(facts: Facts) -> Iterator[Violation]:
    """Chips of the largest system that was built."""
    limit = facts.limits["chips_per_system"]
    if not isinstance(facts.placement, str) and facts.placement.chips > limit.value:
        hint = "use a smaller network" + recalled(limit)
        yield Violation("chips", "", facts.placement.chips, limit.value, severity(limit), hint)


def synapses(facts: Facts) -> Iterator[Violation]:
    """Stored weights of the whole chip."""
    if "synapses_per_chip" not in facts.limits:
        return
    limit = facts.limits["synapses_per_chip"]
    stored = sum(int(structure(node).sum()) for node in facts.net.synapses)
    if stored > limit.value:
        yield Violation("synapses", "", stored, limit.value, severity(limit), "use a smaller network or several chips")


def _one_neuron(facts: Facts, layer: Layer) -> dict[str, int]:
    """What a neuron in the middle of the layer needs alone."""
    middle = tuple((n // 2, n // 2 + 1) for n in layer.shape)
    return facts.demand.usage([facts.demand.part(layer, middle, np.zeros(layer.shape, dtype=np.int64))])


def _narrower(facts: Facts, now: int) -> str:
    """Cores that fewer weight bits would save: the widest that save any, placed anew; nothing for networks that need
    many chips anyway."""
    if now > _MOST_CHIPS * facts.limits["cores_per_chip"].value:
        return ""
    used = max(facts.demand.widths.values())
    for bits in sorted((w for w in facts.limits.weight_widths if w < used), reverse=True):
        try:
            saved = now - cores_needed(facts.net, facts.limits, most_bits=bits)
        except DoesNotFit:
            return ""
        if saved > 0:
            return f"; {bits}-bit weights save {saved} cores"
    return "; fewer weight bits save none"

"""Rules about what cores and chips hold: neurons, synapses, axons, thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from spikec.analysis.violations import Violation
from spikec.errors import DoesNotFit
from spikec.targets.loihi.axons import Reach
from spikec.targets.loihi.bounds import cores_reached
from spikec.targets.loihi.facts import Facts, recalled, severity
from spikec.targets.loihi.needs import AXONS_IN, SYNAPSES
from spikec.targets.loihi.placement import cores_needed
from spikec.words import either

_MOST_CHIPS = 4  # beyond, what narrower weights save is not computed


def threshold_configurations(facts: Facts) -> Iterator[Violation]:
    """More different thresholds of one layer on one core than it has configurations for."""
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
            per_layer = either("lower with tc.Int8(per='layer')", "export with --per layer")
            hint = f"per-layer thresholds: {per_layer}{recalled(limit)}"
            yield Violation("thresholds per core", layer.name, values, limit.value, severity(limit), hint)


def fan_in(facts: Facts) -> Iterator[Violation]:
    """Input axons one neuron needs, on its core: synapse lists, or places of its inputs."""
    hint = "pool more before this layer or make its kernel smaller; fewer channels help where each takes its own axons"
    return _beyond(facts, "fan-in", "axons_in_per_core", _alone(facts, AXONS_IN), hint)


def fan_out(facts: Facts) -> Iterator[Violation]:
    """Cores that one neuron must at least send to. Each takes an output axon of the neuron's core."""
    reached = ((layer.name, int(cores_reached(facts.demand, layer).max())) for layer in facts.net.populations)
    hint = "split the layer it feeds into groups, or fewer weight bits"
    return _beyond(facts, "fan-out", "axons_out_per_core", reached, hint)


def synaptic_memory(facts: Facts) -> Iterator[Violation]:
    """Memory for the weights of one neuron, which are stored on its core."""
    hint = "a smaller kernel, fewer inputs or fewer weight bits"
    return _beyond(facts, "synaptic memory", "synapse_bits_per_core", _alone(facts, SYNAPSES), hint)


def cores(facts: Facts) -> Iterator[Violation]:
    """A placement with more cores than one chip has, or no placement because a layer cannot be split to fit."""
    limit = facts.limits["cores_per_chip"]
    placement = facts.placement
    if isinstance(placement, str):
        yield Violation("placement", "", "impossible", limit.value, "error", placement)
    elif len(placement.cores) > limit.value:
        bound = f"at least {placement.lower_bound} cores however it is split"
        hint = f"split it over {placement.chips} chips; {bound}{_narrower(facts, len(placement.cores))}"
        yield Violation("cores", "", len(placement.cores), limit.value, severity(limit), hint)


def chips(facts: Facts) -> Iterator[Violation]:
    """More chips than the largest system that was built has."""
    limit = facts.limits["chips_per_system"]
    if not isinstance(facts.placement, str) and facts.placement.chips > limit.value:
        hint = "use a smaller network" + recalled(limit)
        yield Violation("chips", "", facts.placement.chips, limit.value, severity(limit), hint)


def synapses(facts: Facts) -> Iterator[Violation]:
    """Stored weights of the whole chip."""
    if "synapses_per_chip" not in facts.limits:
        return
    limit = facts.limits["synapses_per_chip"]
    stored = sum(int(node.structure().sum()) for node in facts.net.synapses)
    if stored > limit.value:
        yield Violation("synapses", "", stored, limit.value, severity(limit), "use a smaller network or several chips")


def _alone(facts: Facts, resource: str) -> Iterator[tuple[str, int]]:
    """Each layer with what a single neuron in its middle needs."""
    for layer in facts.layers:
        middle = tuple((n // 2, n // 2 + 1) for n in layer.shape)
        part = facts.demand.part(layer, middle, Reach.nowhere(layer.shape))
        yield layer.name, facts.demand.alone(part)[resource]


def _beyond(facts: Facts, rule: str, key: str, needed: Iterable[tuple[str, int]], hint: str) -> Iterator[Violation]:
    """Layers that need more than the limit called ``key``; none if that limit is not published."""
    if key not in facts.limits:
        return
    limit = facts.limits[key]
    for layer, actual in needed:
        if actual > limit.value:
            yield Violation(rule, layer, actual, limit.value, severity(limit), hint + recalled(limit))


def _narrower(facts: Facts, now: int) -> str:
    """Text for a hint: the widest of the narrower weights that save cores, and how many they save.

    Each width is placed anew. Empty for networks that need many chips anyway.
    """
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

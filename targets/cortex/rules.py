"""Everything that keeps a network off a microcontroller, at once."""

from __future__ import annotations

from spikec.analysis.formats import NumberFormat, misfits
from spikec.analysis.ranges import bounds
from spikec.analysis.violations import Violation
from spikec.errors import ToolchainError
from spikec.ir.graph import IntegerGraph
from spikec.targets.chips import Placement
from spikec.targets.cortex.limits import Limits
from spikec.targets.cortex.needs import Needs, least_flash, needs_of
from spikec.words import option


def _smaller(memory: str) -> str:
    """What makes a network need less of a memory."""
    if memory == "flash":
        return f"use fewer channels, or weights of 4 or 2 bits ({option('bits', 4)}), which are stored packed"
    return (
        f"use the layerwise schedule ({option('schedule', 'layerwise')}), in which layers take turns in the same "
        "memory, fewer neurons, or weights of fewer bits, whose sums need narrower types"
    )


def check(net: IntegerGraph, limits: Limits, form: NumberFormat, placement: Placement | None = None) -> list[Violation]:
    """All violations, errors first."""
    found = _memory(net, limits, placement) + _numbers(net, form)
    return sorted(found, key=lambda violation: violation.severity)


def _memory(net: IntegerGraph, limits: Limits, placement: Placement | None) -> list[Violation]:
    """What the C code takes of flash and RAM."""
    least = least_flash(net)
    if least > limits["flash"]:
        hint = f"these are the weights alone, packed; {_smaller('flash')}"
        return [Violation("flash in bytes", "", f"at least {least}", limits["flash"], "error", hint)]
    if placement is not None:
        usage = placement.cores[0].usage
        needs = Needs(usage["flash"][0], usage["ram"][0])
    else:
        try:
            needs = needs_of(net)
        except ToolchainError as refusal:
            hint = "the code for a microcontroller is this C"
            return [Violation("form in C", "", str(refusal), "none", "error", hint)]
    rooms = (("flash", needs.flash, "instructions and the application"), ("ram", needs.ram, "stack and application"))
    return [one for key, used, others in rooms for one in _room(key, used, limits, others)]


def _room(key: str, used: int, limits: Limits, others: str) -> list[Violation]:
    limit, kept = limits[key], limits[f"{key}_kept"]
    rule = f"{'flash' if key == 'flash' else 'RAM'} in bytes"
    if used > limit:
        return [Violation(rule, "", used, limit, "error", _smaller(key))]
    if used > limit - kept:
        hint = f"this leaves less than {kept} bytes for {others}, which may be too little; {_smaller(key)}"
        return [Violation(rule, "", used, limit, "warning", hint)]
    return []


def _numbers(net: IntegerGraph, form: NumberFormat) -> list[Violation]:
    """Numbers beyond 32 bits: the code holds them in 64, which takes several instructions for each."""
    try:
        lines = misfits(net, form, bounds(net))
    except ToolchainError as refusal:
        return [Violation("sums", "", str(refusal), "62 bits", "error", "use smaller weights, or fewer steps")]
    hint = "it is computed with 64 bits, exactly but slower"
    return [_as_violation(line, hint) for line in lines]


def _as_violation(line: str, hint: str) -> Violation:
    """A misfit ``layer: what actual, limit limit``."""
    layer, _, said = line.partition(": ")
    said, _, limit = said.rpartition(", limit ")
    rule, _, actual = said.rpartition(" ")
    return Violation(rule, layer, actual, limit, "warning", hint)

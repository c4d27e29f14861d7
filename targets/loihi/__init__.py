"""Loihi 1 and Loihi 2: limits, rules, placement and energy constants. Nothing here runs on the chip."""

from targets.loihi.facts import Violation
from targets.loihi.limits import Limit, Limits, chip_names, load_limits
from targets.loihi.mesh import Hops
from targets.loihi.needs import Slice
from targets.loihi.placement import Core, Placement, place, placed
from targets.loihi.rules import check

__all__ = [
    "Core",
    "Hops",
    "Limit",
    "Limits",
    "Placement",
    "Slice",
    "Violation",
    "check",
    "chip_names",
    "load_limits",
    "place",
    "placed",
]

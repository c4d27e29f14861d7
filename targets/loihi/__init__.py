"""Loihi 1 and Loihi 2: limits, rules, placement and energy constants. Nothing here runs on the chip."""

from spikec.targets.cores import Core, Hops, Slice
from spikec.targets.loihi.chip import Loihi1, Loihi2
from spikec.targets.loihi.limits import Limits, load_limits
from spikec.targets.loihi.placement import Placement, place
from spikec.targets.loihi.rules import check

__all__ = [
    "Core",
    "Hops",
    "Limits",
    "Loihi1",
    "Loihi2",
    "Placement",
    "Slice",
    "check",
    "load_limits",
    "place",
]

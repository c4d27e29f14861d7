"""Loihi 1 and Loihi 2: limits, rules, placement and energy constants. Nothing here runs on the chip."""

from targets.loihi.limits import Limit, Limits, chip_names, load_limits
from targets.loihi.placement import Core, Placement, Slice, place
from targets.loihi.rules import Violation, check

__all__ = ["Core", "Limit", "Limits", "Placement", "Slice", "Violation", "check", "chip_names", "load_limits", "place"]

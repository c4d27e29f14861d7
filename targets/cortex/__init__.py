"""Microcontrollers with an ARM Cortex-M4 for the generated C: what their memories hold. Nothing here runs on one."""

from spikec.targets.cortex.chip import CortexM4
from spikec.targets.cortex.placement import Placement

__all__ = ["CortexM4", "Placement"]

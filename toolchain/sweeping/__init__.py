"""Computes many configurations, and can be resumed: ``tc.sweep(grid, out)``."""

from spikec.deployment.configuration import Configuration
from spikec.sweeping.grid import Plan, Run, read_grid
from spikec.sweeping.run import Sweep, look, sweep

__all__ = ["Configuration", "Plan", "Run", "Sweep", "look", "read_grid", "sweep"]

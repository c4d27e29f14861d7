"""Many configurations, resumable: ``toolchain.sweep(grid, out)``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from toolchain.sweep.configuration import Configuration
from toolchain.sweep.grid import Plan, read_grid
from toolchain.sweep.resolve import Run
from toolchain.sweep.run import Sweep, look, sweep

__all__ = ["Configuration", "Plan", "Run", "Sweep", "look", "read_grid", "sweep"]


class _CallableModule(ModuleType):
    """``toolchain.sweep`` names this package and the verb; importing the package must not take the verb away."""

    def __call__(self, *args: Any, **options: Any) -> Sweep:
        return sweep(*args, **options)


sys.modules[__name__].__class__ = _CallableModule

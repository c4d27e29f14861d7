"""A budget of wall-clock time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from spikec.errors import ToolchainError

_UNITS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


@dataclass
class Budget:
    """``seconds`` from now on."""

    seconds: float
    start: float = field(default_factory=lambda: time.monotonic())

    @property
    def spent(self) -> float:
        return time.monotonic() - self.start

    def left(self, share: float = 1.0) -> float:
        """Seconds until ``share`` of the budget is spent; negative after that."""
        return share * self.seconds - self.spent


def seconds_of(budget: str | float) -> float:
    """Seconds in "5min", "90s", "1h" or a plain number. Raises ``ToolchainError`` for anything else."""
    if isinstance(budget, int | float) and not isinstance(budget, bool) and 0 < budget < float("inf"):
        return float(budget)
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([a-z]*)", str(budget).strip().lower())
    if found is None or found[2] not in _UNITS or not float(found[1]) > 0:
        raise ToolchainError(f"budget: {str(budget)!r} is not a time; write for example 90s, 5min or 1h")
    return float(found[1]) * _UNITS[found[2]]

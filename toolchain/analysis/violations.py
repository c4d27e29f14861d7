"""What a check of a chip finds, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Violation:
    """``layer`` exceeds a limit. ``rule`` names the quantity, ``actual`` is its value, and ``hint`` says what to do.
    ``layer`` is empty where the whole network is meant."""

    rule: str
    layer: str
    actual: float | str
    limit: float | str
    severity: Severity
    hint: str

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        return f"{self.severity}: {where}{self.rule} {self.actual}, limit {self.limit}. {self.hint}"

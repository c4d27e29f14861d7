"""A share of what was counted, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.evidence.intervals import wilson


@dataclass(frozen=True)
class Proportion:
    """``count`` of ``total`` with its 95 % Wilson interval."""

    count: int
    total: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, count: int, total: int) -> Proportion:
        """Raises ``DataError`` where ``count`` of ``total`` is no share."""
        low, high = wilson(count, total)
        return cls(count, total, count / total, low, high)

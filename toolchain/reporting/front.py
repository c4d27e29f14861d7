"""Which of several measured deployments no other beats in everything."""

from __future__ import annotations

from collections.abc import Sequence


def front(costs: Sequence[tuple[float, ...]]) -> list[bool]:
    """For each tuple of costs, whether no other is at most as large everywhere and smaller somewhere."""
    return [
        not any(other != cost and all(a <= b for a, b in zip(other, cost, strict=True)) for other in costs)
        for cost in costs
    ]

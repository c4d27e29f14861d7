"""What is tried, a line per deployment. Nothing here needs training.

A line holds fields of :class:`spikec.deployment.Configuration`. A new option of ``spikec export`` is tried by adding a
line. The order is that of expected value, so that a short budget still gives an answer for each purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, Any]


def _line(method: str, timesteps: int, fields: Fields | None = None, **options: Any) -> Fields:
    """``fields``: further fields of the configuration. ``options``: fields of the method."""
    return {"method": method, "timesteps": timesteps, "options": options, **(fields or {})}


_LAYERWISE = {"schedule": "layerwise"}

PORTFOLIO: tuple[Fields, ...] = (
    _line("error-free", 6),
    _line("graded", 1, levels=31),
    _line("error-compensation", 4, offsets="static", spikes=7),
    _line("error-compensation", 8, offsets="static"),
    _line("error-free", 5),
    _line("graded", 1, levels=15),
    _line("error-compensation", 2, offsets="static", spikes=7),
    _line("qcfs", 8, _LAYERWISE),
    _line("error-free", 8),
    _line("error-free", 4),
    _line("graded", 1, levels=63),
    _line("error-compensation", 16, offsets="static"),
    _line("error-compensation", 4, offsets="static"),
    _line("qcfs", 16, _LAYERWISE),
    _line("qcfs", 4, _LAYERWISE),
    _line("graded", 1, levels=255),
)

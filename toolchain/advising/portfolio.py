"""What is tried, a line per deployment. Nothing here needs training.

A line holds fields of :class:`spikec.deployment.Configuration`. A new option of ``spikec export`` is tried by adding a
line. The order is that of expected value, so that a short budget still gives an answer for each purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spikec.conversion.calibration.choice import calibration_of

Fields = Mapping[str, Any]


def _line(method: str, timesteps: int, fields: Fields | None = None, **options: Any) -> Fields:
    """``fields``: further fields of the configuration. ``options``: fields of the method."""
    return {"method": method, "timesteps": timesteps, "options": options, **(fields or {})}


_FULL = {"calibrate": "full"}
_LAYERWISE = {"schedule": "layerwise"} | _FULL

PORTFOLIO: tuple[Fields, ...] = (
    _line("error-free", 5, _FULL),
    _line("graded", 1, _FULL, levels=15),
    _line("error-compensation", 8, _FULL, offsets="static"),
    _line("error-compensation", 4, _FULL, offsets="static", spikes=7),
    _line("error-free", 4, _FULL),
    _line("graded", 1, _FULL, levels=31),
    _line("error-compensation", 2, _FULL, offsets="static", spikes=7),
    _line("qcfs", 8, _LAYERWISE),
    _line("error-free", 6, _FULL),
    _line("error-compensation", 16, _FULL, offsets="static"),
    _line("error-free", 8, _FULL),
    _line("graded", 1, _FULL, levels=63),
    _line("error-compensation", 4, _FULL, offsets="static"),
    _line("qcfs", 16, _LAYERWISE),
    # The trained weights as they are, should fitting them again not suit a network.
    _line("error-free", 6),
    _line("graded", 1, levels=63),
    _line("error-compensation", 16, offsets="static"),
    _line("graded", 1, levels=255),
)


def one_threshold_per_layer(line: Fields) -> Fields:
    """The line for a chip whose neurons of a layer share one threshold."""
    if line.get("calibrate") is None:
        return line
    return {**line, "calibrate": str(replace(calibration_of(line["calibrate"]), per="layer"))}

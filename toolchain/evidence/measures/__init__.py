"""Measures of quality: what outputs are worth against targets, with intervals. ``--metric`` names them.

A measure is one class with its numbers per input and the value of their sums (:class:`Measure`), and a line in
:data:`MEASURES`.
"""

from __future__ import annotations

from spikec.evidence.measures.base import Measure, Quality, Whole
from spikec.evidence.measures.choosing import (
    MEASURES,
    Metric,
    Wanted,
    default_measures,
    measure_of,
    measures_of,
    wanted_of,
)
from spikec.evidence.measures.classes import TopK
from spikec.evidence.measures.function import UserFunction
from spikec.evidence.measures.numbers import Correlation, MeanAbsoluteError, RootMeanSquareError
from spikec.evidence.measures.overlap import MeanIoU

__all__ = [
    "MEASURES",
    "Correlation",
    "MeanAbsoluteError",
    "MeanIoU",
    "Measure",
    "Metric",
    "Quality",
    "RootMeanSquareError",
    "TopK",
    "UserFunction",
    "Wanted",
    "Whole",
    "default_measures",
    "measure_of",
    "measures_of",
    "wanted_of",
]

"""Finds what a figure draws in a trace, or says what is missing and how to get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.simulation.trace import Trace
from spikec.words import did_you_mean


def trace_of(value: Any) -> Trace:
    """``value`` if it is a trace. Raises ``DataError`` for anything else."""
    if not isinstance(value, Trace):
        raise DataError(f"expected a trace of tc.simulate or program.run, got {type(value).__name__}")
    return value


def recorded(trace: Trace, what: str, layer: str) -> npt.NDArray[Any]:
    """``trace.spikes[layer]`` or ``trace.membranes[layer]``, [N, T, neurons]. Raises ``DataError`` where ``what`` was
    not recorded, and for a layer that is not there."""
    held: Mapping[str, npt.NDArray[Any]] = getattr(trace_of(trace), what)
    if not held:
        raise DataError(f"the trace holds no {what}: run tc.simulate(graph, images, record={what!r})")
    if layer not in held:
        raise DataError(f"there is no layer {layer!r}: {did_you_mean(layer, held, 'layers: {}')}")
    found = held[layer]
    return found.reshape(*found.shape[:2], -1)


def image_of(trace: Trace, image: int) -> int:
    """``image`` if the trace has it. Raises ``DataError``."""
    if not -trace.images <= image < trace.images:
        raise DataError(f"there is no image {image}: the trace has {trace.images}, counted from 0")
    return int(image)


def spread(number: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of ``number`` neurons, evenly from all of them."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).astype(np.int64))

"""Rules of the profile about neurons that leak: CubaLIF nodes, and CubaLI nodes before the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from spikec.errors import GraphError
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import UNIT, Leak
from spikec.ir.limits import LIMITS
from spikec.ir.metadata import float_of, int_of, metadata_of, shown, text_of
from spikec.ir.profile.rules_nodes import kind_fields, scale, state
from spikec.ir.types import Shape

_THETA = LIMITS["CubaLIF"]["v_threshold_int"]


def leaky(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Kind, thresholds and reset of neurons that leak; their floats are those that follow from their integers."""
    for name, node in graph.nodes.items():
        if isinstance(node, nir.CubaLIF):
            yield from _population(name, node)
        elif isinstance(node, nir.CubaLI):
            yield from _readout(name, node)


def _population(name: str, node: nir.CubaLIF) -> Iterator[tuple[str, str]]:
    metadata, shape = metadata_of(node), np.shape(node.v_threshold)
    if text_of(metadata, "kind") != CubaLIF.name:
        yield name, f"kind is {shown(text_of(metadata, 'kind'))}, a CubaLIF node must be of kind {CubaLIF.name!r}"
        return
    reset = "subtract" if int_of(metadata, "subtract", 0) else "zero"
    for key, expected in (("reset", reset), ("spike_cmp", "gt")):
        if text_of(metadata, key, expected) != expected:
            yield name, f"{key} is {shown(text_of(metadata, key))}, it must be {expected!r}"
    if (np.asarray(node.v_reset) != 0).any():
        yield name, "v_reset must be 0"
    threshold = np.asarray(node.v_threshold)
    if threshold.dtype.kind not in "iuf" or not np.isfinite(threshold).all() or (threshold % UNIT != 0).any():
        yield name, f"thresholds must be whole multiples of {UNIT}"
    elif not _THETA.holds(threshold // UNIT):
        yield name, f"thresholds must be between {UNIT * _THETA.low} and {UNIT * _THETA.high}"
    elif "v_threshold_int" in metadata:
        stored = np.asarray(metadata["v_threshold_int"]).astype(np.float64)
        if stored.size not in (1, threshold.size) or (UNIT * stored.reshape(-1) != threshold.reshape(-1)).any():
            yield name, f"v_threshold differs from {UNIT} times v_threshold_int: the node was edited"
    yield from scale(name, metadata, shape)
    yield from kind_fields(name, shape, metadata, CubaLIF)
    yield from state(name, shape, metadata, "v_init_int")
    yield from _floats(name, node, shape, metadata)


def _readout(name: str, node: nir.CubaLI) -> Iterator[tuple[str, str]]:
    metadata, shape = metadata_of(node), np.shape(node.r)
    if text_of(metadata, "kind") != "leaky":
        yield name, f"kind is {shown(text_of(metadata, 'kind'))}, a CubaLI node must be 'leaky'"
        return
    if float_of(metadata, "scale") <= 0:
        yield name, "scale must be positive"
    yield from kind_fields(name, shape, metadata, CubaLIF)
    yield from state(name, shape, metadata, "v_init_int")
    yield from _floats(name, node, shape, metadata)


def _floats(
    name: str, node: nir.CubaLIF | nir.CubaLI, shape: Shape, metadata: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """The time constants of NIR are those of du, dv and bias."""
    try:
        expected = Leak.read(metadata, shape).nir_fields()
    except (GraphError, TypeError, ValueError):
        return  # other rules report these
    for field, values in expected.items():
        own = np.asarray(getattr(node, field))
        if own.shape != values.shape or not np.array_equal(own.astype(np.float64), values.astype(np.float64)):
            yield name, f"{field} does not follow from du, dv and bias_int: the node was edited"

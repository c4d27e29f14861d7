"""Rules of the profile about single nodes: exact integers, neurons, convolutions, input and output.

A rule yields (node, message) per violation, as in ``rules_graph``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from spikec.ir.coding import ENCODINGS, INPUT_TYPES
from spikec.ir.graph import DECODES
from spikec.ir.kinds import MAX_SPIKES, CubaLIF, Kind, Maximum, kinds
from spikec.ir.limits import FLOAT32_EXACT, LIMITS
from spikec.ir.metadata import INPUT, TYPE_CHECK_OFF, float_of, int_of, list_of, metadata_of, shown, text_of
from spikec.ir.operations import Synapse, operation_of
from spikec.ir.operations.fields import whole_numbers
from spikec.ir.operations.weights import row_blocks
from spikec.ir.types import Shape

#: Numbers of an array that are looked at together.
_PIECE = 2**16


def _arrays(node: nir.NIRNode) -> Iterator[tuple[str, Any]]:
    operation = operation_of(node)
    if isinstance(node, nir.CubaLIF | nir.CubaLI):
        return  # time constants are fractions; rules_leaky checks them
    for field in ("r", "v_threshold", "v_reset", "threshold") if operation is None else operation.exact:
        if hasattr(node, field):
            yield field, np.asarray(getattr(node, field))


def exact_integers(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Every number is an integer that float32 holds exactly."""
    for name, node in graph.nodes.items():
        for field, array in _arrays(node):
            if array.dtype.kind not in "iuf":
                yield name, f"{field} holds {array.dtype}, not numbers"
            elif not array.size:
                continue
            elif (ends := _whole(array)) is None:
                yield name, f"{field} holds values that are not integers"
            elif (largest := max(ends[1], -ends[0])) > FLOAT32_EXACT:
                yield name, f"{field} reaches {largest}, beyond the exact range of float32 (2^24)"


def redundant(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """The integers of the metadata, where given, equal the floats of the nodes."""
    for name, node in graph.nodes.items():
        metadata = metadata_of(node)
        operation = operation_of(node)
        if operation is not None and issubclass(operation, Synapse):
            exponent = int_of(metadata, "weight_exp", 0)
            limit = LIMITS["Conv2d"]["weight_exp"]
            if not limit.holds(exponent):
                yield name, f"weight_exp is {exponent}, it must be {limit}"
                continue
            if "weight_int" not in metadata and (off := _off_grid(node.weight, exponent)):
                yield name, f"{off} of {np.size(node.weight)} weights are no multiples of 2^{exponent} (weight_exp)"
            yield from _equal(name, "weight", node.weight, metadata, "weight_int", np.int8, 2**exponent)
            yield from _equal(name, "bias", node.bias, metadata, "bias_int", np.int32, 1)
        elif isinstance(node, nir.IF):
            yield from _equal(name, "v_threshold", node.v_threshold, metadata, "v_threshold_int", np.int32, 1)


def _blocks(array: Any) -> Iterator[Any]:
    """An array in pieces, so that what is computed of it takes little memory and stays in the cache."""
    if array.ndim == 0 or array.size <= _PIECE:
        yield array
        return
    for rows in row_blocks(array.shape, _PIECE):
        yield array[rows]


def _whole(array: Any) -> tuple[int, int] | None:
    """The lowest and the highest number of an array, or 0 where that lies beyond; None where some is not whole."""
    low, high = 0, 0
    for block in _blocks(array):
        found = block
        if array.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                narrow = block.astype(np.int8)
            if (narrow.astype(block.dtype) == block).all():
                found = narrow  # so are weights
            elif not (np.isfinite(block).all() and (block == np.rint(block)).all()):
                return None
        low, high = min(low, int(found.min())), max(high, int(found.max()))
    return low, high


def _off_grid(weight: Any, exponent: int) -> int:
    """Weights that are no multiples of 2^exponent; 0 for what are no whole numbers, which another rule reports."""
    values = np.asarray(weight)
    if not exponent or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return 0
    return sum(int(np.count_nonzero(np.fmod(block, 2**exponent))) for block in _blocks(values))


def _equal(
    name: str,
    field: str,
    value: Any,
    metadata: dict[str, Any],
    key: str,
    dtype: type[np.integer[Any]],
    factor: int,
) -> Iterator[tuple[str, str]]:
    if key not in metadata:
        return
    stored = np.asarray(metadata[key])
    if not _holds(stored, dtype):
        yield name, f"metadata {key!r} must hold integers of {np.dtype(dtype)}, it is {stored.dtype}"
        return
    held = np.asarray(value)
    try:
        narrow = np.broadcast_to(stored, held.shape)
    except ValueError:
        yield name, f"metadata {key!r} has shape {stored.shape}, which does not fit {field} {held.shape}"
        return
    pairs = zip(_blocks(narrow), _blocks(held), strict=True)
    exact = np.float32 if stored.dtype.itemsize == 1 and held.dtype == np.float32 else np.float64  # times 2^16 at most
    differing = sum(int(np.count_nonzero(ours.astype(exact) * exact(factor) != theirs)) for ours, theirs in pairs)
    if differing:
        yield name, f"{field} differs from {key} in {differing} of {held.size} values: the node was edited"


def _holds(values: Any, dtype: type[np.integer[Any]]) -> bool:
    """Whether an array, of whatever integer type, holds values of ``dtype`` only."""
    if values.dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return not values.size or (int(values.min()) >= limits.min and int(values.max()) <= limits.max)


def neurons(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """IF nodes: kind, threshold, v_init, reset, comparison; r = 1 and v_reset = 0."""
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.IF | nir.I):
            continue
        metadata = metadata_of(node)
        if not (np.asarray(node.r) == 1).all():
            yield name, "r must be 1"
        kind = text_of(metadata, "kind")
        if isinstance(node, nir.I):
            if kind != "integrator":
                yield name, f"kind is {shown(kind)}, an I node must be an 'integrator'"
            if float_of(metadata, "scale") <= 0:
                yield name, "scale must be positive"
            yield from state(name, np.shape(node.r), metadata, "v_init_int")
            continue
        if kind == CubaLIF.name:
            yield name, f"kind is {kind!r}, which a CubaLIF node holds, not an IF node"
        if not (np.asarray(node.v_reset) == 0).all():
            yield name, "v_reset must be 0 (soft reset is stated in the metadata)"
        if kind not in kinds():
            yield name, f"neuron kind {shown(kind)} is none of {', '.join(kinds())}"
        for key, expected in (("reset", "subtract"), ("spike_cmp", "ge")):
            if text_of(metadata, key, expected) != expected:
                yield name, f"{key} is {shown(text_of(metadata, key))}, the profile knows {expected!r} only"
        fields = kinds()[kind].stored_fields().values() if kind in kinds() else ()
        if int_of(metadata, MAX_SPIKES, 1) != 1 and all(about.key != MAX_SPIKES for about in fields):
            yield name, f"{MAX_SPIKES} must be 1"
        if (np.asarray(node.v_threshold) < 1).any():
            yield name, "thresholds must be at least 1"
        yield from state(name, np.shape(node.r), metadata, "v_init_int")
        yield from scale(name, metadata, np.shape(node.r))
        if kind in kinds():
            yield from kind_fields(name, np.shape(node.r), metadata, kinds()[kind])


def maxima(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Threshold nodes are the neurons behind a max pool: kind, threshold 1, scale."""
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.Threshold):
            continue
        kind = text_of(metadata_of(node), "kind")
        if kind != Maximum.name:
            yield name, f"kind is {shown(kind)}, a Threshold node must be of kind {Maximum.name!r}"
        if (np.asarray(node.threshold) != 1).any():
            yield name, "the threshold behind a max pool must be 1"
        yield from scale(name, metadata_of(node), np.shape(node.threshold))


def scale(name: str, metadata: dict[str, Any], shape: Shape) -> Iterator[tuple[str, str]]:
    """The scale of a population of ``shape``, where it has one."""
    if "scale" in metadata:
        values = np.asarray(metadata["scale"])
        legal = values.dtype.kind == "f" and values.shape in ((1,), shape[:1])
        if not legal or not np.isfinite(values).all() or (values <= 0).any():
            yield name, "scale must be one positive real value, or one per channel"


def kind_fields(name: str, shape: Shape, metadata: dict[str, Any], kind: type[Kind]) -> Iterator[tuple[str, str]]:
    """The fields of a kind are present and within their bounds; keys of other kinds are ignored."""
    for about in kind.stored_fields().values():
        if about.key not in metadata:
            if about.default is None:
                yield name, f"metadata {about.key!r} is missing, kind {kind.name!r} needs it"
        elif about.per == "neuron":
            yield from state(name, shape, metadata, about.key)
            if problem := about.problem(metadata[about.key]):
                yield name, problem
        elif problem := about.problem(int_of(metadata, about.key, 0)):
            yield name, problem


def state(name: str, shape: Shape, metadata: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    """One whole number, or one for each neuron of ``shape``, where the metadata holds the key."""
    if key not in metadata:
        return
    value = np.asarray(metadata[key])
    if not _holds(value, np.int32):
        yield name, f"metadata {key!r} must hold integers of int32, it is {value.dtype}"
        return
    try:
        np.broadcast_to(value, shape)
    except ValueError:
        yield (
            name,
            f"metadata {key!r} has shape {value.shape}, which does not fit the neurons {shape}",
        )


def input_output(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Input encoding and output decoding are the ones the profile knows; no two outputs have one name."""
    node = graph.nodes.get(INPUT)
    if isinstance(node, nir.Input):
        metadata = metadata_of(node)
        if text_of(metadata, "encoding") not in ENCODINGS:
            yield INPUT, f"encoding {shown(text_of(metadata, 'encoding'))} is none of {', '.join(ENCODINGS)}"
        if text_of(metadata, "dtype") not in INPUT_TYPES:
            yield INPUT, f"dtype {shown(text_of(metadata, 'dtype'))} is neither int8 nor uint8"
        if float_of(metadata, "scale") <= 0:
            yield INPUT, "scale must be positive"
        limits = LIMITS["Input"]
        if "limit" in metadata and not limits["limit"].holds(most := int_of(metadata, "limit", 0)):
            yield INPUT, f"limit is {most}, it must be {limits['limit']}"
        if not whole_numbers(node.input_type.get("input"), limits["shape"], (1, 3)):
            many = "one integer (features) or three (channels, rows, columns)"
            yield INPUT, f"shape must be {many} {limits['shape']}"
    public: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.Output):
            continue
        metadata = metadata_of(node)
        if text_of(metadata, "decode", "membrane") not in DECODES:
            yield name, f"decode {shown(text_of(metadata, 'decode'))} is none of {', '.join(DECODES)}"
        called = text_of(metadata, "name", name)
        if called in public:
            yield name, f"its name {shown(called)} is that of the output {public[called]} too"
        public[called] = name


def linear_nodes(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Convolutions are dense and, where possible, square; pools are folded; flatten takes every axis."""
    typed = TYPE_CHECK_OFF not in list_of(metadata_of(graph), "requires")
    for name, node in graph.nodes.items():
        operation = operation_of(node)
        if operation is None:
            continue
        if issubclass(operation, Synapse):
            op = text_of(metadata_of(node), "op", operation.op)
            if op != operation.op:
                yield name, f"op is {shown(op)}, the node is of type {type(node).__name__}"
        yield from ((name, message) for message in operation.problems(node, typed))

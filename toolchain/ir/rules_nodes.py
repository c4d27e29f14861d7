"""Rules of the profile about single nodes: exact integers, neurons, convolutions, input and output.

A rule yields (node, message) per violation, as in ``rules_graph``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from toolchain.ir.profile import INPUT, KINDS, OUTPUT, float_of, int_of, list_of, metadata_of, shown, text_of

_EXACT = 2**24


def _arrays(node: nir.NIRNode) -> Iterator[tuple[str, Any]]:
    for field in ("weight", "bias", "r", "v_threshold", "v_reset"):
        if hasattr(node, field):
            yield field, np.asarray(getattr(node, field))


def exact_integers(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Every number is an integer that float32 holds exactly."""
    for name, node in graph.nodes.items():
        for field, array in _arrays(node):
            if array.dtype.kind not in "iuf":
                yield name, f"{field} holds {array.dtype}, not numbers"
            elif not np.isfinite(array).all() or not (array == np.rint(array)).all():
                yield name, f"{field} holds values that are not integers"
            elif array.size and np.abs(array).max() > _EXACT:
                yield (
                    name,
                    f"{field} reaches {np.abs(array).max():.0f}, beyond the exact range of float32 (2^24)",
                )


def redundant(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """The integers of the metadata, where given, equal the floats of the nodes."""
    for name, node in graph.nodes.items():
        metadata = metadata_of(node)
        if isinstance(node, nir.Conv2d | nir.Affine):
            exponent = int_of(metadata, "weight_exp", 0)
            if not 0 <= exponent <= 16:
                yield name, f"weight_exp is {exponent}, it must be between 0 and 16"
                continue
            yield from _equal(name, "weight", node.weight, metadata, "weight_int", np.int8, 2**exponent)
            yield from _equal(name, "bias", node.bias, metadata, "bias_int", np.int32, 1)
        elif isinstance(node, nir.IF):
            yield from _equal(name, "v_threshold", node.v_threshold, metadata, "v_threshold_int", np.int32, 1)


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
    try:
        wide = np.broadcast_to(stored.astype(np.float64) * factor, np.shape(value))
    except ValueError:
        yield name, f"metadata {key!r} has shape {stored.shape}, which does not fit {field} {np.shape(value)}"
        return
    differing = int((wide != np.asarray(value)).sum())
    if differing:
        yield name, f"{field} differs from {key} in {differing} of {wide.size} values: the node was edited"


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
            yield from _state(name, node, metadata, "v_init_int")
            continue
        if not (np.asarray(node.v_reset) == 0).all():
            yield name, "v_reset must be 0 (soft reset is stated in the metadata)"
        if kind not in KINDS:
            yield name, f"neuron kind {shown(kind)} is none of {', '.join(KINDS)}"
        for key, expected in (("reset", "subtract"), ("spike_cmp", "ge")):
            if text_of(metadata, key, expected) != expected:
                yield name, f"{key} is {shown(text_of(metadata, key))}, the profile knows {expected!r} only"
        if int_of(metadata, "max_spikes_per_step", 1) != 1:
            yield name, "max_spikes_per_step must be 1"
        if (np.asarray(node.v_threshold) < 1).any():
            yield name, "thresholds must be at least 1"
        yield from _state(name, node, metadata, "v_init_int")
        if "scale" in metadata:
            scale = np.asarray(metadata["scale"])
            legal = scale.dtype.kind == "f" and scale.shape in ((1,), np.shape(node.r)[:1])
            if not legal or not np.isfinite(scale).all() or (scale <= 0).any():
                yield name, "scale must be one positive real value, or one per channel"
        if kind == "signed_if" and "v_threshold_neg_int" in metadata:
            yield from _state(name, node, metadata, "v_threshold_neg_int")
            if (np.asarray(metadata["v_threshold_neg_int"]) < 1).any():
                yield name, "negative thresholds must be at least 1"
        for key, owner in (("levels", "graded"), ("rho", "calibrated_if")):
            if kind != owner:
                continue  # a key of another kind means nothing here
            if key not in metadata:
                yield name, f"metadata {key!r} is missing, kind {owner!r} needs it"
            elif not 1 <= int_of(metadata, key, 1) <= 2**15 - 1:
                yield name, f"{key} is {int_of(metadata, key, 1)}, it must be between 1 and {2**15 - 1}"


def _state(name: str, node: nir.IF | nir.I, metadata: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    if key not in metadata:
        return
    value = np.asarray(metadata[key])
    if not _holds(value, np.int32):
        yield name, f"metadata {key!r} must hold integers of int32, it is {value.dtype}"
        return
    try:
        np.broadcast_to(value, np.shape(node.r))
    except ValueError:
        yield (
            name,
            f"metadata {key!r} has shape {value.shape}, which does not fit the neurons {np.shape(node.r)}",
        )


def input_output(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Input encoding and output decoding are the ones the profile knows."""
    node = graph.nodes.get(INPUT)
    if isinstance(node, nir.Input):
        metadata = metadata_of(node)
        if text_of(metadata, "encoding") != "constant":
            yield INPUT, f"encoding {shown(text_of(metadata, 'encoding'))} is not 'constant'"
        if text_of(metadata, "dtype") not in ("int8", "uint8"):
            yield INPUT, f"dtype {shown(text_of(metadata, 'dtype'))} is neither int8 nor uint8"
        if float_of(metadata, "scale") <= 0:
            yield INPUT, "scale must be positive"
        if not whole(node.input_type.get("input"), 1, (1, 3)):
            yield INPUT, "shape must be one integer (features) or three (channels, rows, columns)"
    node = graph.nodes.get(OUTPUT)
    if isinstance(node, nir.Output) and text_of(metadata_of(node), "decode", "membrane") != "membrane":
        yield OUTPUT, f"decode {shown(text_of(metadata_of(node), 'decode'))} is not 'membrane'"


def linear_nodes(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Convolutions are dense and, where possible, square; pools are folded; flatten takes every axis."""
    typed = "nir_type_check=off" not in list_of(metadata_of(graph), "requires")
    for name, node in graph.nodes.items():
        operation = {nir.Conv2d: "conv2d", nir.Affine: "affine"}.get(type(node))
        if operation and text_of(metadata_of(node), "op", operation) != operation:
            yield name, f"op is {shown(text_of(metadata_of(node), 'op'))}, the node is of type {type(node).__name__}"
        if isinstance(node, nir.Conv2d):
            yield from ((name, message) for message in _convolution(node, typed))
        elif isinstance(node, nir.Affine):
            if np.ndim(node.weight) != 2 or np.shape(node.bias) != np.shape(node.weight)[:1]:
                yield (
                    name,
                    f"weight {np.shape(node.weight)} and bias {np.shape(node.bias)} do not form an affine map",
                )
        elif isinstance(node, nir.SumPool2d):
            if not (whole(node.kernel_size, 1) and whole(node.stride, 1) and whole(node.padding, 0)):
                yield name, "kernel_size, stride and padding must be one or two integers each"
            elif np.any(node.padding) or np.any(np.asarray(node.kernel_size) != np.asarray(node.stride)):
                yield name, "a sum pool has no padding and a stride equal to its kernel"
        elif isinstance(node, nir.Flatten) and (node.start_dim, node.end_dim) != (0, -1):
            yield name, "flatten must take all axes (start_dim 0, end_dim -1)"


def whole(value: Any, low: int, sizes: tuple[int, ...] = (1, 2)) -> bool:
    """Whether ``value`` holds integers of at least ``low``, as many as one of ``sizes``."""
    array = np.asarray(value)
    return array.dtype.kind in "iu" and array.ndim <= 1 and array.size in sizes and bool((array >= low).all())


def _convolution(node: nir.Conv2d, typed: bool) -> Iterator[str]:
    if not whole(node.groups, 1) or np.any(np.asarray(node.groups) != 1):
        yield "groups must be expanded (1) in the node; the metadata keeps the number"
    for field, low in (("stride", 1), ("padding", 0), ("dilation", 1)):
        if not whole(getattr(node, field), low):
            yield f"{field} must be one or two integers of at least {low}, not {shown(getattr(node, field))}"
    if not whole(node.input_shape, 1, (2,)):
        yield "input_shape must be two integers"
    shape = np.shape(node.weight)
    if len(shape) != 4 or 0 in shape:
        yield f"weight must be [O, I, kH, kW], not {shape}"
        return
    if shape[2] != shape[3] and typed:
        yield "a rectangular kernel needs 'nir_type_check=off' in requires"
    if np.shape(node.bias) != (shape[0],):
        yield f"bias must have {shape[0]} values, it has shape {np.shape(node.bias)}"
    yield from _structure(node)


def _structure(node: nir.Conv2d) -> Iterator[str]:
    """Zeros that the metadata calls structural (groups, kernel margin) are zero."""
    metadata = metadata_of(node)
    groups = int_of(metadata, "groups", 1)
    out_channels, in_channels, rows, cols = np.shape(node.weight)
    if groups < 1 or out_channels % groups or in_channels % groups:
        yield f"groups = {groups} does not divide {out_channels} and {in_channels} channels"
        return
    mask = np.kron(np.eye(groups), np.ones((out_channels // groups, in_channels // groups))) == 0
    if np.asarray(node.weight)[mask].any():
        yield f"weights outside the {groups} groups are not zero"
    margin = np.asarray(metadata.get("margin", (0, 0, 0, 0))).reshape(-1)
    if margin.size != 4 or margin.dtype.kind not in "iu" or (margin < 0).any():
        yield "margin must be four integers (top, bottom, left, right)"
        return
    top, bottom, left, right = (int(m) for m in margin)
    if top + bottom >= rows or left + right >= cols:
        yield f"margin {tuple(margin.tolist())} leaves nothing of a {rows}x{cols} kernel"
        return
    inner = np.zeros((rows, cols), dtype=bool)
    inner[top : rows - bottom, left : cols - right] = True
    if np.asarray(node.weight)[:, :, ~inner].any():
        yield "kernel weights inside the margin are not zero"

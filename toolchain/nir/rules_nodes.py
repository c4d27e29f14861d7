"""Rules about single nodes: their names and fields. Each takes a graph and its shapes and yields findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from spikec.hdf5.tree import Value
from spikec.nir.findings import Finding
from spikec.nir.graph import RawNode
from spikec.nir.nodes import CONVOLUTIONS, DENSE, GRAPH, FieldRule, nodes, per_neuron
from spikec.nir.shapes import Shapes, spreads
from spikec.words import listed, nearest, shown

_PLAIN = re.compile(r"[A-Za-z0-9_.]+")


def names(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    odd = [name for name in graph.nodes if not _PLAIN.fullmatch(name) and "/" not in name]
    if odd:
        message = f"names with other characters than letters, digits, '_' and '.': {listed(odd)}"
        yield Finding("name_characters", "", "warning", message, "NIR takes them; frameworks that make modules may not")


def fields(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """Missing, unknown and mistyped fields."""
    for name, node in graph.nodes.items():
        known = nodes().get(node.kind)
        if known is None:
            if node.kind == GRAPH and node.fields:
                message = f"a graph has no field {listed(list(node.fields))}"
                yield Finding("unknown_field", shown(name), "error", message, "put it into metadata")
            continue
        for key, rule in known.items():
            if key not in node.fields:
                yield from _missing(name, node, key, rule, shapes)
            else:
                yield from _typed(name, key, node.fields[key], rule)
        for key in node.fields.keys() - known.keys():
            close = nearest(key, known.keys() - node.fields.keys())
            hint = f"did you mean {close}?" if close else "put it into metadata"
            message = f"{node.kind} has no field {shown(key)}, and nir.read refuses it"
            yield Finding("unknown_field", shown(name), "error", message, hint)


def _missing(name: str, node: RawNode, key: str, rule: FieldRule, shapes: Shapes) -> Iterator[Finding]:
    if rule.missing == "none":
        return
    if rule.missing == "inferred":
        message, mendable = f"{key} is missing, and nir.read refuses that", input_size(name, node, shapes) is not None
        yield Finding("missing_field", shown(name), "error", message, "it is the size of what arrives", mendable)
    elif rule.missing is not None:
        old = "; files of nir up to 1.0.5 have none" if key == "v_reset" else ""
        message = f"{key} is missing; nir 1.0.8 takes {rule.missing}{old}"
        yield Finding("missing_field", shown(name), "note", message, "", _filled(node, key))
    else:
        yield Finding("missing_field", shown(name), "error", f"{node.kind} needs {key}", "export the file again")


def input_size(name: str, node: RawNode, shapes: Shapes) -> tuple[int, ...] | None:
    """The ``input_shape`` that a convolution without one must have; None where nothing that fits arrives."""
    arrives = shapes.arrives.get(name)
    fits = node.kind in CONVOLUTIONS and arrives is not None and arrives == shapes.of[name].wants
    return arrives[1:] if fits and arrives is not None else None


def _filled(node: RawNode, key: str) -> bool:
    """Whether the value that nir fills in has a known shape."""
    return key in ("start_dim", "end_dim") or any(
        node.array(other) is not None for other in per_neuron(node.kind) if other != key
    )


def _typed(name: str, key: str, value: Value, rule: FieldRule) -> Iterator[Finding]:
    def wrong(message: str, hint: str = "export the file again") -> Finding:
        return Finding("field_type", shown(name), "error", f"{key} {message}", hint)

    if value.data is None:
        if "large" not in value.why:
            yield wrong(f"cannot be used: {value.why or 'it was not read'}")
        return
    if value.text:
        if rule.of != "padding" or value.data not in ("same", "valid"):
            wanted = "numbers, 'same' or 'valid'" if rule.of == "padding" else "numbers"
            yield wrong(f"holds text, it must hold {wanted}")
        return
    array = value.data
    if array.ndim not in rule.ranks or array.size == 0:
        ranks = " or ".join(map(str, rule.ranks))
        yield wrong(f"has shape {array.shape}; it must have {ranks} axes and not be empty")
        return
    if array.dtype.kind not in "biuf":
        yield wrong(f"holds {array.dtype} numbers; they must be real")
        return
    bad = array.size - int(np.isfinite(array).sum()) if array.dtype.kind == "f" else 0
    if bad:
        message = f"{key} has {bad} of {array.size} values that are NaN or infinite"
        yield Finding("not_finite", shown(name), "error", message, "export the file again")
        return
    if rule.of != "float":
        least = 0 if key == "padding" else None if key in ("start_dim", "end_dim") else 1
        if array.dtype.kind not in "iu" or (least is not None and (array < least).any()):
            wanted = "whole numbers" if least is None else f"whole numbers of at least {least}"
            yield wrong(f"must hold {wanted}, not {array.dtype} {_few(array)}")
    elif array.dtype not in (np.dtype("=f4"), np.dtype("=f8")):
        exact = exact_in_float32(value)
        why = "" if exact else "; not all of its values are exact in float32"
        message = f"{key} is stored as {array.dtype}{why}; SpikingJelly and nirtorch's default map fail on integers"
        yield Finding("integer_weights", shown(name), "warning", message, "store float32", exact)


def exact_in_float32(value: Value) -> bool:
    """Whether all numbers of a field survive as float32."""
    with np.errstate(all="ignore"):
        return bool((value.data.astype(np.float32).astype(value.data.dtype) == value.data).all())


def biases(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    for name, node in graph.nodes.items():
        wanted = bias_shape(node)
        bias = node.array("bias")
        if wanted is None or bias is None or bias.shape == wanted:
            continue
        mendable = bias.size in (1, prod(wanted)) and max(bias.shape, default=1) in (1, prod(wanted))
        mendable = mendable and len(wanted) == 1
        message = f"bias has shape {bias.shape}, it must be {wanted}"
        yield Finding(
            "bias_shape", shown(name), "error", message, "" if mendable else "export the file again", mendable
        )


def bias_shape(node: RawNode) -> tuple[int, ...] | None:
    """The shape that the bias of a node must have; None where it has none or the weight is missing."""
    weight = node.fields.get("weight")
    if weight is None or "bias" not in node.fields or len(weight.shape) < 2:
        return None
    return weight.shape[:-1] if node.kind in DENSE else weight.shape[:1]


def parameters(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """All parameters of a neuron have one shape (nir itself spreads w_in alone)."""
    for name, node in graph.nodes.items():
        of = {key: node.fields[key].shape for key in per_neuron(node.kind) if node.array(key) is not None}
        if len({shape for key, shape in of.items() if key != "w_in"} | set()) <= 1 and not _odd_current(of):
            continue
        mendable = spread_together(list(of.values())) is not None
        told = ", ".join(f"{key} {shape}" for key, shape in of.items())
        message = f"its parameters have different shapes, which nir refuses: {told}"
        yield Finding("parameter_shapes", shown(name), "error", message, "", mendable)


def _odd_current(of: dict[str, tuple[int, ...]]) -> bool:
    """Whether w_in has a shape that is neither that of the other parameters nor one number."""
    others = {shape for key, shape in of.items() if key != "w_in"}
    return "w_in" in of and prod(of["w_in"]) != 1 and bool(others) and of["w_in"] not in others


def spread_together(shapes: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The largest of the shapes, where all others can only be meant for it; else None."""
    largest = max(shapes, key=lambda shape: (prod(shape), len(shape)))
    return largest if all(spreads(shape, largest) for shape in shapes) else None


def _few(array: Any) -> str:
    return str(array.reshape(-1)[:4].tolist())


RULES = (names, fields, biases, parameters)

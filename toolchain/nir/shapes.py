"""Shapes along the edges, right for grouped and rectangular convolutions too, beside those that nir computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from spikec.nir.graph import RawNode
from spikec.nir.nodes import CONVOLUTIONS, DENSE, GRAPH, POOLS, per_neuron

Shape = tuple[int, ...]


@dataclass
class NodeShape:
    """``wants``: the input it asks for, None for any. ``out``: its output, None where it is not known. ``problem``:
    why no output follows."""

    wants: Shape | None = None
    out: Shape | None = None
    problem: str = ""
    too_large: bool = False


@dataclass
class Shapes:
    """Of every node of one graph: what arrives, and what it wants and gives."""

    arrives: dict[str, Shape] = field(default_factory=dict)
    of: dict[str, NodeShape] = field(default_factory=dict)


def infer(graph: RawNode) -> Shapes:
    """Shapes of a graph, from its Inputs and from weights on."""
    found = Shapes()
    readers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        if a in readers and b in readers:
            readers[a].append(b)
    waiting = list(graph.nodes)
    for name in waiting:
        found.of[name] = shape_of(graph.nodes[name], None)
    place = 0
    while place < len(waiting):
        name = waiting[place]
        place += 1
        out = found.of[name].out
        if out is None:
            continue
        for reader in readers[name]:
            if reader not in found.arrives:
                found.arrives[reader] = out
                before = found.of[reader].out
                found.of[reader] = shape_of(graph.nodes[reader], out)
                if found.of[reader].out != before or before is None:
                    waiting.append(reader)
    return found


def shape_of(node: RawNode, arrives: Shape | None) -> NodeShape:
    """What one node wants and gives, for what ``arrives`` (None: unknown)."""
    if node.kind in ("Input", "Output"):
        stated = _ints(node.array("shape"))
        return NodeShape(None if node.kind == "Input" else stated, stated)
    if node.kind in DENSE:
        weight = node.fields.get("weight")
        if weight is None or len(weight.shape) < 2:
            return NodeShape()
        *lead, rows, columns = weight.shape
        return NodeShape((*lead, columns), (*lead, rows))
    if node.kind in CONVOLUTIONS:
        return _convolution(node, arrives)
    if node.kind in POOLS:
        return _pool(node, arrives)
    if node.kind == "Flatten":
        return _flatten(node, arrives)
    if node.kind == GRAPH:
        ends = [[n for n in node.nodes.values() if n.kind == kind] for kind in ("Input", "Output")]
        wants, out = (_ints(found[0].array("shape")) if len(found) == 1 else None for found in ends)
        return NodeShape(wants, out)
    if not per_neuron(node.kind):
        return NodeShape()
    own = parameter_shape(node)
    if own is None:
        return NodeShape(None, arrives)
    if prod(own) == 1 or (arrives is not None and spreads(own, arrives)):
        return NodeShape(None if arrives is not None or own == () else own, arrives if arrives is not None else None)
    return NodeShape(own, own)


def spreads(own: Shape, arrives: Shape) -> bool:
    """Whether parameters of shape ``own`` can be meant for neurons of shape ``arrives``: one number, or axes of 1."""
    if prod(own) == 1 and len(own) <= len(arrives):
        return True
    return len(own) == len(arrives) and all(a in (1, b) for a, b in zip(own, arrives, strict=True))


def parameter_shape(node: RawNode) -> Shape | None:
    """The common shape of a node's parameters; None where there are none, or none in common."""
    shapes = [node.fields[name].shape for name in per_neuron(node.kind) if name in node.fields]
    try:
        return tuple(np.broadcast_shapes(*shapes)) if shapes else None
    except ValueError:
        return None


def nir_shape_of(node: RawNode, wants: Shape | None) -> NodeShape:
    """What nir 1.0.8 takes a convolution for (``wants``: its right input): weight.shape[1] channels, whatever the
    groups, and weight.shape[2] as the kernel of every axis."""
    weight = node.fields["weight"].shape
    spatial = _ints(node.array("input_shape")) or (wants[1:] if wants else None)
    if not spatial:
        return NodeShape()
    sizes = _outputs(node, spatial, (weight[2],) * (len(weight) - 2))
    # With input_shape in the file, nir takes the channels from the weights.
    channels = weight[1] if node.array("input_shape") is not None or not wants else wants[0]
    return NodeShape((channels, *spatial), (weight[0], *sizes) if sizes else None)


def _convolution(node: RawNode, arrives: Shape | None) -> NodeShape:
    weight = node.fields.get("weight")
    axes = 1 if node.kind == "Conv1d" else 2
    if weight is None or len(weight.shape) != axes + 2:
        return NodeShape()
    groups = _ints(node.array("groups")) or (1,)
    if len(groups) != 1:
        return NodeShape()
    channels = weight.shape[1] * groups[0]
    if groups[0] < 1 or weight.shape[0] % groups[0]:
        return NodeShape(problem=f"{weight.shape[0]} output channels do not divide into {groups[0]} groups")
    spatial = _ints(node.array("input_shape"))
    if spatial is None and arrives is not None and len(arrives) > axes:
        spatial = arrives[-axes:]
    if spatial is None or len(spatial) != axes:
        return NodeShape()
    wants = (channels, *spatial)
    sizes = _outputs(node, spatial, weight.shape[2:])
    if sizes is None:
        return NodeShape(wants, problem="stride, padding or dilation do not have one number per axis")
    if min(sizes) < 1:
        message = f"the kernel {weight.shape[2:]} is larger than its padded input {spatial}"
        return NodeShape(wants, problem=message, too_large=True)
    return NodeShape(wants, (weight.shape[0], *sizes))


def _outputs(node: RawNode, spatial: Shape, kernel: Shape) -> Shape | None:
    stride, dilation = per_axis(node, "stride", len(spatial)), per_axis(node, "dilation", len(spatial))
    padding = node.fields.get("padding")
    if padding is not None and isinstance(padding.data, str):
        if padding.data == "same":
            return spatial
        pads: Shape | None = (0,) * len(spatial)
    else:
        pads = per_axis(node, "padding", len(spatial))
    if stride is None or dilation is None or pads is None or min(stride) < 1:
        return None
    sizes = zip(spatial, kernel, stride, pads, dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)


def _pool(node: RawNode, arrives: Shape | None) -> NodeShape:
    if arrives is None:
        return NodeShape()
    if len(arrives) != 3:
        return NodeShape(problem=f"a pool needs a shape (C, H, W), not {arrives}")
    kernel, stride, pads = (per_axis(node, name, 2) for name in ("kernel_size", "stride", "padding"))
    if kernel is None or stride is None or pads is None or min(stride) < 1 or min(kernel) < 1:
        return NodeShape(problem="kernel_size, stride or padding do not have one number per axis")
    sizes = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(arrives[1:], kernel, stride, pads, strict=True))
    if min(sizes) < 1:
        message = f"the window {kernel} is larger than its padded input {arrives[1:]}"
        return NodeShape(problem=message, too_large=True)
    return NodeShape(None, (arrives[0], *sizes))


def _flatten(node: RawNode, arrives: Shape | None) -> NodeShape:
    stated = _ints(node.array("input_type"))
    shape = stated if stated is not None else arrives
    dims = flatten_dims(node, shape)
    if shape is None or dims is None:
        return NodeShape(stated)
    start, end = dims
    if not 0 <= start <= end < len(shape):
        return NodeShape(stated, shape)
    return NodeShape(stated, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


def flatten_dims(node: RawNode, shape: Shape | None) -> tuple[int, int] | None:
    """First and last axis that a Flatten joins, counted from 0; None where they or the shape are not known."""
    start, end = (_ints(node.array(name)) if name in node.fields else (d,) for name, d in _FLATTEN)
    if shape is None or not start or not end:
        return None
    return tuple(n + len(shape) if n < 0 else n for n in (start[0], end[0]))  # type: ignore[return-value]


_FLATTEN = (("start_dim", 1), ("end_dim", -1))


def per_axis(node: RawNode, name: str, axes: int) -> Shape | None:
    """A size for every axis, from one number or several."""
    values = _ints(node.array(name))
    if values is None or len(values) not in (1, axes):
        return None
    return values * axes if len(values) == 1 else values


def _ints(values: Any) -> Shape | None:
    if values is None or values.dtype.kind not in "iuf" or values.size > 16:
        return None
    flat = values.reshape(-1)
    if not np.isfinite(flat).all() or (np.abs(flat) > 2**40).any() or (flat != np.floor(flat)).any():
        return None
    return tuple(int(n) for n in flat)

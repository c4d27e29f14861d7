"""Corrections that are certain: each changes a graph in place and says what it did, one sentence a change.

Certain means that the corrected graph is what every reader that took the file at all computed, or the only thing it
can mean. What is not certain stays; the doctor goes on listing it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from spikec.nir.dense import make_dense, why_not_dense
from spikec.nir.flat import flatten
from spikec.nir.graph import RawNode, numbers
from spikec.nir.nodes import CONVOLUTIONS, nodes, per_neuron
from spikec.nir.rules_nodes import bias_shape, exact_in_float32, input_size, spread_together
from spikec.nir.rules_shapes import batch_axis, meant_flat
from spikec.nir.shapes import flatten_dims, infer, nir_shape_of, parameter_shape, spreads
from spikec.words import shown

_ROUNDS = 8


def mend(graph: RawNode) -> list[str]:
    """Apply every certain correction to ``graph`` and the graphs inside it; returns the changes."""
    changes: list[str] = []
    for _ in range(_ROUNDS):  # one correction may make another one certain
        before = len(changes)
        for prefix, inner in list(graph.graphs()):
            for correct in _EVERYWHERE:
                changes += [f"{prefix}: {change}" if prefix else change for change in correct(inner)]
        changes += flatten(graph)
        if len(changes) == before:
            break
    return changes


def _names(graph: RawNode) -> Iterator[str]:
    for name in [name for name in graph.nodes if "/" in name]:
        chosen = name.replace("/", ".")
        while chosen in graph.nodes:
            chosen += "_"
        items = [(chosen if key == name else key, node) for key, node in graph.nodes.items()]
        graph.nodes.clear()
        graph.nodes.update(items)
        graph.nodes[chosen].name = chosen
        graph.edges[:] = [tuple(chosen if end == name else end for end in pair) for pair in graph.edges]  # type: ignore[misc]
        yield f"{shown(name)}: renamed {shown(chosen)}, since a name cannot hold '/'"


def _edges(graph: RawNode) -> Iterator[str]:
    counts = Counter(graph.edges)
    for pair, count in counts.items():
        where = f"{shown(pair[0])} -> {shown(pair[1])}"
        if count > 1:
            yield f"{where}: kept once, since an edge cannot appear twice"
        if not set(pair) & graph.nodes.keys():
            yield f"{where}: removed, neither node exists"
    graph.edges[:] = [pair for pair in counts if set(pair) & graph.nodes.keys()]


def _types(graph: RawNode) -> Iterator[str]:
    """Weights and parameters as float32, where it holds all of their values."""
    for name, node in graph.nodes.items():
        for key, rule in nodes().get(node.kind, {}).items():
            values = node.array(key)
            if rule.of != "float" or values is None or values.dtype.kind not in "biuf":
                continue
            if values.dtype in (np.dtype("=f4"), np.dtype("=f8")) or not exact_in_float32(node.fields[key]):
                continue
            node.fields[key] = numbers(values, np.float32)
            yield f"{shown(name)}: {key} stored as float32 instead of {values.dtype}"


def _defaults(graph: RawNode) -> Iterator[str]:
    """Fields that nir fills in when it reads."""
    for name, node in graph.nodes.items():
        for key, rule in nodes().get(node.kind, {}).items():
            if key in node.fields or not isinstance(rule.missing, int):
                continue
            if not rule.neuron:
                node.fields[key] = numbers(rule.missing, np.int64)
            else:
                like = [node.array(other) for other in ("v_threshold", "v_leak", *per_neuron(node.kind))]
                model = next((values for values in like if values is not None), None)
                if model is None:
                    continue
                node.fields[key] = numbers(np.full(model.shape, rule.missing, np.result_type(model.dtype, np.float32)))
            yield f"{shown(name)}: {key} = {rule.missing} written, which nir takes where it is missing"


def _biases(graph: RawNode) -> Iterator[str]:
    for name, node in graph.nodes.items():
        wanted, bias = bias_shape(node), node.array("bias")
        if wanted is None or bias is None or bias.shape == wanted or len(wanted) != 1:
            continue
        if bias.size == 1:
            node.fields["bias"] = numbers(np.full(wanted, bias.reshape(-1)[0], bias.dtype))
        elif bias.size == prod(wanted) and max(bias.shape) == bias.size:
            node.fields["bias"] = numbers(bias.reshape(wanted))
        else:
            continue
        yield f"{shown(name)}: bias of shape {bias.shape} written as {wanted}"


def _parameters(graph: RawNode) -> Iterator[str]:
    """Parameters of one node in one shape."""
    for name, node in graph.nodes.items():
        held = {key: node.array(key) for key in per_neuron(node.kind) if node.array(key) is not None}
        if len({values.shape for values in held.values()}) < 2:
            continue
        shape = spread_together([values.shape for values in held.values()])
        if shape is not None:
            yield from _spread(name, node, held, shape)


def _spread(name: str, node: RawNode, held: dict[str, Any], shape: tuple[int, ...]) -> Iterator[str]:
    for key, values in held.items():
        if values.shape != shape:
            node.fields[key] = numbers(np.broadcast_to(values, shape).copy())
            yield f"{shown(name)}: {key} of shape {values.shape} written for all {shape} neurons"


def _broadcast(graph: RawNode) -> Iterator[str]:
    shapes = infer(graph)
    for name, node in graph.nodes.items():
        own, arrives = parameter_shape(node), shapes.arrives.get(name)
        if own is not None and arrives is not None and own != arrives and spreads(own, arrives):
            held = {key: node.array(key) for key in per_neuron(node.kind) if node.array(key) is not None}
            if all(spreads(values.shape, arrives) for values in held.values()):
                yield from _spread(name, node, held, arrives)


def _input_shapes(graph: RawNode) -> Iterator[str]:
    shapes = infer(graph)
    for name, node in graph.nodes.items():
        size = input_size(name, node, shapes)
        if "input_shape" not in node.fields and size is not None:
            node.fields["input_shape"] = numbers(size if node.kind == "Conv2d" else size[0], np.int64)
            yield f"{shown(name)}: input_shape = {size} written, the size of what arrives"


def _batch_axes(graph: RawNode) -> Iterator[str]:
    for name, node in graph.nodes.items():
        if node.kind in ("Input", "Output") and batch_axis(graph, infer(graph), name):
            shape = node.array("shape")
            node.fields["shape"] = numbers(shape[1:])
            yield f"{shown(name)}: shape {tuple(shape.tolist())} without its batch axis"


def _flattens(graph: RawNode) -> Iterator[str]:
    shapes = infer(graph)
    for name, node in graph.nodes.items():
        arrives = shapes.arrives.get(name)
        dims = flatten_dims(node, arrives) if node.kind == "Flatten" else None
        if dims is None or arrives is None or dims == (0, len(arrives) - 1) or len(arrives) < 2:
            continue
        if meant_flat(graph, shapes, name, arrives):
            node.fields["start_dim"], node.fields["end_dim"] = numbers(0, np.int64), numbers(-1, np.int64)
            yield f"{shown(name)}: start_dim = 0 and end_dim = -1, since its readers want {(prod(arrives),)}"


def _dense(graph: RawNode) -> Iterator[str]:
    """Convolutions in the form that nir's type check takes."""
    shapes = infer(graph)
    for name, node in graph.nodes.items():
        right = shapes.of[name]
        if node.kind not in CONVOLUTIONS or right.wants is None or right.out is None:
            continue
        theirs = nir_shape_of(node, right.wants)
        wrong = theirs.out is not None and (theirs.wants, theirs.out) != (right.wants, right.out)
        if wrong and not why_not_dense(node):
            yield f"{shown(name)}: {make_dense(node)}"


#: In this order: names and types first, shapes once all parameters are there.
_EVERYWHERE: tuple[Callable[[RawNode], Iterator[str]], ...] = (
    _names,
    _edges,
    _types,
    _defaults,
    _biases,
    _parameters,
    _broadcast,
    _batch_axes,
    _input_shapes,
    _flattens,
    _dense,
)

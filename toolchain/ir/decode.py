"""NIR to the integer graph: verify, then read every number from where NIR or the metadata holds it."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

import nir
import numpy as np

import toolchain.ir.integer as ig
from toolchain.errors import GraphError
from toolchain.ir.profile import float_of, int_of, metadata_of, text_of
from toolchain.ir.rules_graph import topological_order
from toolchain.ir.verify import verify

_SHOWN = 5


def as_integer(graph: nir.NIRGraph | ig.IntegerGraph) -> ig.IntegerGraph:
    """An integer graph unchanged, a NIR graph decoded."""
    return graph if isinstance(graph, ig.IntegerGraph) else decode(graph)


def decode(graph: nir.NIRGraph) -> ig.IntegerGraph:
    """The integer graph of a NIR graph of profile ``spikec.nir/1``.

    Raises :class:`GraphError`, naming every violation up to five, when the graph breaks a rule of the profile or when
    shapes disagree along an edge.
    """
    problems = [str(problem) for problem in verify(graph)]
    if problems:
        raise GraphError(_sentence(problems))
    metadata = metadata_of(graph)
    order = topological_order(graph)
    assert order is not None  # verify refuses cycles
    edges = [(str(a), str(b)) for a, b in graph.edges]
    nodes: dict[str, ig.Node] = {}
    for name in order:
        sources = tuple(a for a, b in edges if b == name)
        ordered = tuple(sorted(sources, key=order.index))
        node = graph.nodes[name]
        if isinstance(node, nir.Output):
            problems += _check_output(nodes[ordered[0]], node)
            continue
        shapes = {nodes[source].output_shape for source in ordered}
        if len(shapes) > 1:
            listed = ", ".join(f"{s} {nodes[s].output_shape}" for s in ordered)
            raise GraphError(f"{name}: its sources have different shapes: {listed}")
        decoded = _decode_node(name, node, ordered, next(iter(shapes), ()))
        nodes[name] = decoded
    if problems:
        raise GraphError(_sentence(problems))
    info = json.loads(text_of(metadata, "info", "{}"))
    return ig.IntegerGraph(
        nodes=nodes,
        timesteps=int_of(metadata, "timesteps", 1),
        schedule=cast(ig.Schedule, text_of(metadata, "schedule")),
        drain=int_of(metadata, "drain", 0),
        content_sha256=text_of(metadata, "content_sha256"),
        source_sha256=text_of(metadata, "source_sha256"),
        producer=text_of(metadata, "producer"),
        info={str(k): str(v) for k, v in info.items()},
    )


def _sentence(problems: list[str]) -> str:
    more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
    return f"not a sound spikec graph: {'; '.join(problems[:_SHOWN])}{more}"


def _check_output(readout: ig.Node, node: nir.Output) -> list[str]:
    shape = _shape(node.output_type["output"])
    return [] if shape == readout.output_shape else [f"output: shape {shape} differs from {readout.output_shape}"]


def _shape(value: Any) -> ig.Shape:
    return tuple(int(n) for n in np.asarray(value).reshape(-1))


def _pair(value: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(np.asarray(value), 2)
    return int(first), int(second)


def _int64(value: Any) -> ig.Int64:
    return np.asarray(value).astype(np.int64)


def _full(value: Any, shape: ig.Shape) -> ig.Int64:
    return np.broadcast_to(_int64(value), shape).copy()


def _decode_node(name: str, node: nir.NIRNode, sources: tuple[str, ...], shape: ig.Shape) -> ig.Node:
    metadata = metadata_of(node)
    match node:
        case nir.Input():
            dtype = cast(Literal["int8", "uint8"], text_of(metadata, "dtype"))
            return ig.InputNode(name, _shape(node.input_type["input"]), dtype, float_of(metadata, "scale"))
        case nir.Conv2d():
            return _decode_convolution(name, node, sources, shape)
        case nir.Affine():
            weight = _int64(node.weight)
            if shape != (weight.shape[1],):
                raise GraphError(f"{name}: expects {weight.shape[1]} inputs, its source has shape {shape}")
            exponent = int_of(metadata, "weight_exp", 0)
            return ig.Affine(name, sources, shape, (weight.shape[0],), weight, _int64(node.bias), exponent)
        case nir.SumPool2d():
            kernel = _pair(node.kernel_size)
            if len(shape) != 3 or shape[1] < kernel[0] or shape[2] < kernel[1] or min(kernel) < 1:
                raise GraphError(f"{name}: a {kernel[0]}x{kernel[1]} pool does not fit its source of shape {shape}")
            pooled = (shape[0], shape[1] // kernel[0], shape[2] // kernel[1])
            return ig.SumPool(name, sources, shape, pooled, kernel, kernel)
        case nir.Flatten():
            declared = node.input_type["input"]
            if declared is not None and _shape(declared) != shape:
                raise GraphError(f"{name}: declares input {_shape(declared)}, its source has shape {shape}")
            return ig.Flatten(name, sources, shape, (int(np.prod(shape)),))
        case nir.IF():
            _same_shape(name, np.shape(node.r), shape)
            kind = cast(ig.NeuronKind, text_of(metadata, "kind"))
            negative = metadata.get("v_threshold_neg_int", 1) if kind == "signed_if" else None
            theta = _full(node.v_threshold, shape)
            return ig.Population(
                name=name,
                sources=sources,
                shape=shape,
                kind=kind,
                theta=theta,
                v_init=_full(metadata.get("v_init_int", theta // 2), shape),
                theta_neg=None if negative is None else _full(negative, shape),
                levels=int_of(metadata, "levels", 1) if kind == "graded" else None,
                rho=int_of(metadata, "rho", 1) if kind == "calibrated_if" else None,
                scale=np.asarray(metadata["scale"], dtype=np.float64) if "scale" in metadata else None,
            )
        case nir.I():
            _same_shape(name, np.shape(node.r), shape)
            if len(shape) != 1:
                raise GraphError(f"{name}: the readout must be flat (one value per class), its shape is {shape}")
            v_init = _full(metadata.get("v_init_int", 0), shape)
            return ig.Readout(name, sources, shape, v_init, float_of(metadata, "scale"))
    raise GraphError(f"{name}: node type {type(node).__name__} is not part of the profile")


def _same_shape(name: str, own: ig.Shape, source: ig.Shape) -> None:
    if own != source:
        raise GraphError(f"{name}: has {own} neurons, its source has shape {source}")


def _decode_convolution(name: str, node: nir.Conv2d, sources: tuple[str, ...], shape: ig.Shape) -> ig.Convolution:
    metadata = metadata_of(node)
    dense = _int64(node.weight)
    groups = int_of(metadata, "groups", 1)
    stride, padding, dilation = _pair(node.stride), _pair(node.padding), _pair(node.dilation)
    declared = (dense.shape[1], *_shape(node.input_shape))
    if declared != shape:
        raise GraphError(f"{name}: expects {declared}, its source has shape {shape}")
    if min(*stride, *dilation) < 1 or min(padding) < 0:
        raise GraphError(f"{name}: stride and dilation must be at least 1, padding at least 0")
    spatial = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, p, d, k, s in zip(shape[1:], padding, dilation, dense.shape[2:], stride, strict=True)
    ]
    if min(spatial) < 1:
        raise GraphError(f"{name}: the kernel is larger than its padded input {shape}")
    weight = dense
    if groups > 1:
        rows, columns = dense.shape[0] // groups, dense.shape[1] // groups
        blocks = [dense[g * rows : (g + 1) * rows, g * columns : (g + 1) * columns] for g in range(groups)]
        weight = np.concatenate(blocks)
    margin = tuple(int(m) for m in np.asarray(metadata.get("margin", (0, 0, 0, 0))).reshape(-1))
    return ig.Convolution(
        name=name,
        sources=sources,
        input_shape=shape,
        output_shape=(dense.shape[0], spatial[0], spatial[1]),
        weight=weight,
        bias=_int64(node.bias),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        margin=cast(tuple[int, int, int, int], margin),
        weight_exp=int_of(metadata, "weight_exp", 0),
    )

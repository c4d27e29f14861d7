"""Integer graph to NIR: standard nodes in float32 that hold exact integers, plus the metadata of the profile."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import nir
import numpy as np

import toolchain.ir.integer as ig
from toolchain.ir.profile import KEY, OUTPUT, SCHEMA, content_sha256

PRODUCER = "spikec"


def expand_groups(weight: ig.Int64, groups: int) -> ig.Int64:
    """[O, I/g, kH, kW] grouped kernel as the dense block-diagonal [O, I, kH, kW] that NIR's type check accepts."""
    if groups == 1:
        return weight
    out_channels, per_group = weight.shape[:2]
    dense = np.zeros((out_channels, per_group * groups, *weight.shape[2:]), dtype=np.int64)
    rows = out_channels // groups
    for g in range(groups):
        dense[g * rows : (g + 1) * rows, g * per_group : (g + 1) * per_group] = weight[g * rows : (g + 1) * rows]
    return dense


def square_kernel(node: ig.Convolution) -> ig.Convolution:
    """The same convolution with a square kernel where zero rows or columns make it one.

    NIR 1.0.8 infers the output shape from ``weight.shape[2]`` alone. Growing an axis by n zeros on each side grows its
    padding by n times the dilation; this needs an even difference, otherwise the node is returned unchanged.
    """
    rows, cols = node.weight.shape[2:]
    size = max(rows, cols)
    if rows == cols or (size - rows) % 2 or (size - cols) % 2:
        return node
    grow_h, grow_w = (size - rows) // 2, (size - cols) // 2
    top, bottom, left, right = node.margin
    return replace(
        node,
        weight=np.pad(node.weight, ((0, 0), (0, 0), (grow_h, grow_h), (grow_w, grow_w))),
        padding=(node.padding[0] + grow_h * node.dilation[0], node.padding[1] + grow_w * node.dilation[1]),
        margin=(top + grow_h, bottom + grow_h, left + grow_w, right + grow_w),
    )


def _float32(values: ig.Int64) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(values, dtype=np.float32)


def _int32(values: ig.Int64) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.atleast_1d(np.asarray(values)).astype(np.int32)


def _synapse_metadata(op: str, weight: ig.Int64, bias: ig.Int64, exponent: int) -> dict[str, Any]:
    return {
        "op": op,
        "weight_int": (weight >> exponent).astype(np.int8),
        "bias_int": _int32(bias),
        "weight_exp": exponent,
    }


def _convolution(node: ig.Convolution) -> nir.Conv2d:
    node = square_kernel(node)
    dense = expand_groups(node.weight, node.groups)
    metadata = _synapse_metadata("conv2d", dense, node.bias, node.weight_exp)
    if node.groups > 1:
        metadata["groups"] = node.groups
    if any(node.margin):
        metadata["margin"] = np.asarray(node.margin, dtype=np.int32)
    return nir.Conv2d(
        input_shape=(node.input_shape[1], node.input_shape[2]),
        weight=_float32(dense),
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=1,
        bias=_float32(node.bias),
        metadata={KEY: metadata},
    )


def _affine(node: ig.Affine) -> nir.Affine:
    metadata = _synapse_metadata("affine", node.weight, node.bias, node.weight_exp)
    return nir.Affine(weight=_float32(node.weight), bias=_float32(node.bias), metadata={KEY: metadata})


def _sum_pool(node: ig.SumPool) -> nir.SumPool2d:
    metadata = {"origin": "avgpool2d", "folded_divisor": node.kernel[0] * node.kernel[1]}
    return nir.SumPool2d(
        kernel_size=np.array(node.kernel),
        stride=np.array(node.stride),
        padding=np.array((0, 0)),
        metadata={KEY: metadata},
    )


def _population(node: ig.Population) -> nir.IF:
    metadata: dict[str, Any] = {
        "kind": node.kind,
        "v_threshold_int": _int32(node.theta),
        "v_init_int": _int32(node.v_init),
        "reset": "subtract",
        "spike_cmp": "ge",
        "max_spikes_per_step": 1,
    }
    if node.theta_neg is not None:
        metadata["v_threshold_neg_int"] = _int32(node.theta_neg)
    if node.levels is not None:
        metadata["levels"] = node.levels
    if node.rho is not None:
        metadata["rho"] = node.rho
    if node.scale is not None:
        metadata["scale"] = np.atleast_1d(np.asarray(node.scale, dtype=np.float64))
    zeros = np.zeros(node.shape, dtype=np.float32)
    return nir.IF(r=zeros + 1, v_threshold=_float32(node.theta), v_reset=zeros, metadata={KEY: metadata})


def _readout(node: ig.Readout) -> nir.I:
    metadata = {"kind": "integrator", "v_init_int": _int32(node.v_init), "scale": float(node.scale)}
    return nir.I(r=np.ones(node.shape, dtype=np.float32), metadata={KEY: metadata})


def _node(node: ig.Node) -> nir.NIRNode:
    match node:
        case ig.InputNode():
            metadata = {"encoding": "constant", "dtype": node.dtype, "scale": float(node.scale)}
            return nir.Input(input_type={"input": np.array(node.shape)}, metadata={KEY: metadata})
        case ig.Convolution():
            return _convolution(node)
        case ig.Affine():
            return _affine(node)
        case ig.SumPool():
            return _sum_pool(node)
        case ig.Flatten():
            return nir.Flatten(input_type={"input": np.array(node.input_shape)}, start_dim=0, end_dim=-1)
        case ig.Population():
            return _population(node)
        case ig.Readout():
            return _readout(node)


def requirements(graph: ig.IntegerGraph) -> list[str]:
    """What a reader must honour beyond the NIR nodes to reproduce the spikes, sorted."""
    needs = {"reset=subtract", "spike_cmp=ge", "v_init"}
    if graph.schedule == "layerwise":
        needs.add("schedule=layerwise")
    for population in graph.populations:
        if population.kind == "signed_if":
            needs.add("signed_spikes")
        elif population.kind != "if":
            needs.add(f"kind={population.kind}")
        if np.unique(population.theta).size > 1:
            needs.add("per_neuron_threshold")
    if graph.drain:
        needs.add("drain")
    for node in graph:
        if isinstance(node, ig.Convolution):
            stored = square_kernel(node).weight.shape
            if stored[2] != stored[3]:
                needs.add("nir_type_check=off")
    return sorted(needs)


def build(graph: ig.IntegerGraph) -> nir.NIRGraph:
    """The NIR graph of the profile for an integer graph; ``toolchain.ir.decode`` is its inverse."""
    nodes = {name: _node(node) for name, node in graph.nodes.items()}
    readout = graph.readout
    nodes[OUTPUT] = nir.Output(output_type={"output": np.array(readout.shape)}, metadata={KEY: {"decode": "membrane"}})
    edges = [(source, node.name) for node in graph for source in node.sources] + [(readout.name, OUTPUT)]
    requires = requirements(graph)
    metadata: dict[str, Any] = {
        "schema": SCHEMA,
        "producer": graph.producer or PRODUCER,
        "timesteps": graph.timesteps,
        "schedule": graph.schedule,
        "drain": graph.drain,
        "dt": 1.0,
        "numeric": "int",
        "node_order": json.dumps([*graph.nodes, OUTPUT]),
        "requires": json.dumps(requires),
        "source_sha256": graph.source_sha256,
    }
    if graph.info:
        metadata["info"] = json.dumps(graph.info, sort_keys=True)
    built = nir.NIRGraph(
        nodes=nodes, edges=edges, metadata={KEY: metadata}, type_check="nir_type_check=off" not in requires
    )
    metadata["content_sha256"] = content_sha256(built)
    return built

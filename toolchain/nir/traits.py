"""What a graph holds that some importer stumbles over: named properties, each with the nodes that have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikec.nir.graph import RawNode
from spikec.nir.nodes import CONVOLUTIONS, GRAPH, POOLS, SPIKING, nodes, per_neuron
from spikec.nir.shapes import per_axis

#: Properties beside the kinds of nodes, which are properties too.
NAMES = (
    "branches",
    "convolution_bias",
    "fan_in",
    "grouped_convolution",
    "if_written_by_nir_1.0.6_or_later",
    "integer_weights",
    "metadata",
    "nested_graph",
    "no_node_input",
    "pool_padding",
    "rectangular_kernel",
    "v_reset_not_zero",
    "v_threshold_differs",
)


def traits(graph: RawNode, version: str) -> dict[str, list[str]]:
    """Property -> names of the nodes that have it; absent where none has."""
    found: dict[str, list[str]] = {}
    fed: dict[str, int] = {}
    read: dict[str, int] = {}
    for a, b in dict.fromkeys(graph.edges):
        fed[b], read[a] = fed.get(b, 0) + 1, read.get(a, 0) + 1
    for name, node in graph.nodes.items():
        for one in [node.kind, *_of_node(node)]:
            found.setdefault(one, []).append(name)
        if fed.get(name, 0) > 1:
            found.setdefault("fan_in", []).append(name)
        if read.get(name, 0) > 1:
            found.setdefault("branches", []).append(name)
    if "IF" in found and _numbers_of(version) >= (1, 0, 6):
        found["if_written_by_nir_1.0.6_or_later"] = found["IF"]
    if "input" not in graph.nodes:
        found["no_node_input"] = ["graph"]
    if graph.metadata:
        found.setdefault("metadata", []).append("graph")
    return found


def _of_node(node: RawNode) -> list[str]:
    """Properties of one node."""
    weight, has = node.fields.get("weight"), []
    if node.kind == GRAPH:
        has.append("nested_graph")
    if node.kind in CONVOLUTIONS and weight is not None:
        if _any(node, "groups", lambda n: n != 1):
            has.append("grouped_convolution")
        if len(set(weight.shape[2:])) > 1:
            has.append("rectangular_kernel")
        if _any(node, "bias", lambda n: n != 0):
            has.append("convolution_bias")
    if node.kind in POOLS and any(per_axis(node, "padding", 2) or ()):
        has.append("pool_padding")
    if node.kind in SPIKING and _any(node, "v_reset", lambda n: n != 0):
        has.append("v_reset_not_zero")
    if _any(node, "v_threshold", lambda n: n != n.reshape(-1)[0]):
        has.append("v_threshold_differs")
    floats = {"weight", "bias", *per_neuron(node.kind)} & node.fields.keys() & nodes().get(node.kind, {}).keys()
    if any(node.fields[key].dtype.lstrip("<>|=").startswith(("int", "uint", "bool", "i", "u")) for key in floats):
        has.append("integer_weights")
    if node.metadata:
        has.append("metadata")
    return has


def _any(node: RawNode, key: str, holds: Callable[[Any], Any]) -> bool:
    values = node.array(key)
    return values is not None and values.size > 0 and bool(np.any(holds(values)))


def _numbers_of(version: str) -> tuple[int, ...]:
    """1.0.8 as (1, 0, 8); empty for anything else."""
    parts = version.split(".")[:3]
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else ()

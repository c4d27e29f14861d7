"""Every rule of the profile, as checks that collect all violations instead of stopping at the first.

Rules read the NIR graph as it is: nothing here assumes that an earlier rule passed, except where a node is skipped
because it lacks what the rule looks at (and then another rule has already named it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from toolchain.errors import GraphError
from toolchain.ir.profile import (
    INPUT,
    KINDS,
    OUTPUT,
    SCHEDULES,
    SCHEMA,
    content_sha256,
    float_of,
    int_of,
    list_of,
    metadata_of,
    text_of,
)

_NAME = re.compile(r"[A-Za-z0-9_.]+")
_NODES = (nir.Input, nir.Conv2d, nir.Affine, nir.SumPool2d, nir.Flatten, nir.IF, nir.I, nir.Output)
_EXACT = 2**24
_INT32 = 2**31


@dataclass(frozen=True)
class Problem:
    """One violated rule: ``node`` is empty where the graph itself is at fault."""

    rule: str
    node: str
    message: str

    def __str__(self) -> str:
        return f"{self.node}: {self.message}" if self.node else self.message


Rule = Callable[[nir.NIRGraph], Iterator[tuple[str, str]]]


def schema(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """The graph says which profile it follows, and its major version is known."""
    found = text_of(metadata_of(graph), "schema")
    if not found:
        yield (
            "",
            ("the graph carries no spikec metadata: a plain NIR file needs an explicit import"),
        )
    elif found.split(".")[:2] != SCHEMA.split("."):  # a minor version may follow: spikec.nir/1.3
        yield "", f"schema {found!r} is not {SCHEMA!r}: this version cannot read it"


def graph_fields(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """timesteps, schedule, drain, dt, numeric are present and legal."""
    metadata = metadata_of(graph)
    for key in ("timesteps", "schedule", "drain", "numeric", "node_order", "requires", "content_sha256"):
        if key not in metadata:
            yield "", f"metadata {key!r} is missing"
    if text_of(metadata, "numeric", "int") != "int":
        yield "", f"numeric is {text_of(metadata, 'numeric')!r}, only 'int' can be executed"
    if text_of(metadata, "schedule", "pipelined") not in SCHEDULES:
        yield "", f"schedule {text_of(metadata, 'schedule')!r} is none of {', '.join(SCHEDULES)}"
    if not 1 <= int_of(metadata, "timesteps", 1) <= 2**20:
        yield "", f"timesteps is {int_of(metadata, 'timesteps', 1)}, it must be between 1 and {2**20}"
    if int_of(metadata, "drain", 0) < 0:
        yield "", f"drain is {int_of(metadata, 'drain', 0)}, it must not be negative"
    if "dt" in metadata and float_of(metadata, "dt") != 1.0:
        yield "", f"dt is {float_of(metadata, 'dt')}, the profile counts steps: dt must be 1"


def names(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Flat graph; one node 'input', one 'output'; other names are [A-Za-z0-9_.]+; known node types only."""
    for name, node in graph.nodes.items():
        if not _NAME.fullmatch(name):
            yield name, "node names may hold letters, digits, '_' and '.' only"
        if not isinstance(node, _NODES):
            yield name, f"node type {type(node).__name__} is not part of the profile"
        if isinstance(node, nir.Input) != (name == INPUT):
            yield name, f"the Input node, and nothing else, is called {INPUT!r}"
        if isinstance(node, nir.Output) != (name == OUTPUT):
            yield name, f"the Output node, and nothing else, is called {OUTPUT!r}"
    for name in (INPUT, OUTPUT):
        if name not in graph.nodes:
            yield "", f"there is no node {name!r}"
    readouts = [name for name, node in graph.nodes.items() if isinstance(node, nir.I)]
    if len(readouts) != 1:
        yield "", f"there must be one integrator (I) node before the output, found {len(readouts)}"


def edges(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Edges join existing nodes, once; each node has the inputs and readers its type needs; no cycle."""
    pairs = [(str(a), str(b)) for a, b in graph.edges]
    for pair in sorted({p for p in pairs if pairs.count(p) > 1}):
        yield pair[1], f"the edge {pair[0]} -> {pair[1]} appears more than once"
    for a, b in pairs:
        for end in (a, b):
            if end not in graph.nodes:
                yield "", f"the edge {a} -> {b} names {end!r}, which does not exist"
    sources = {name: [a for a, b in pairs if b == name] for name in graph.nodes}
    readers = {name: [b for a, b in pairs if a == name] for name in graph.nodes}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Input) == bool(sources[name]):
            yield (
                name,
                "the input has no sources" if isinstance(node, nir.Input) else "nothing feeds this node",
            )
        if isinstance(node, nir.Output) == bool(readers[name]):
            yield (
                name,
                "the output feeds nothing" if isinstance(node, nir.Output) else "nothing reads this node",
            )
        if isinstance(node, nir.I) and readers[name] != [OUTPUT]:
            yield name, "the integrator feeds the output and nothing else"
        if isinstance(node, nir.Output) and not all(isinstance(graph.nodes.get(s), nir.I) for s in sources[name]):
            yield name, "the output must read the integrator alone"
    if topological_order(graph) is None:
        yield "", "the graph has a cycle"


def topological_order(graph: nir.NIRGraph) -> list[str] | None:
    """Node names with every source before its readers, ties broken by ``node_order`` then name; None for a cycle."""
    try:
        stored = list_of(metadata_of(graph), "node_order")
    except GraphError:
        stored = []
    rank = {name: i for i, name in enumerate(stored)}
    key = lambda name: (rank.get(name, len(rank)), name)  # noqa: E731
    pairs = {(str(a), str(b)) for a, b in graph.edges}
    waiting = {name: {a for a, b in pairs if b == name and a in graph.nodes} for name in graph.nodes}
    order: list[str] = []
    while waiting:
        ready = sorted((name for name, needs in waiting.items() if not needs), key=key)
        if not ready:
            return None
        chosen = ready[0]
        order.append(chosen)
        del waiting[chosen]
        for needs in waiting.values():
            needs.discard(chosen)
    return order


def node_order(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """``node_order`` lists every node once, sources before readers."""
    if "node_order" not in metadata_of(graph):
        return
    stored = list_of(metadata_of(graph), "node_order")
    if sorted(stored) != sorted(graph.nodes):
        yield "", "node_order does not list exactly the nodes of the graph"
    elif any(stored.index(str(a)) > stored.index(str(b)) for a, b in graph.edges if a in stored and b in stored):
        yield "", "node_order puts a node before one of its sources"


def requires(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """``requires`` names what the graph uses: a reader that trusts it must not be misled."""
    if "requires" not in metadata_of(graph):
        return
    stored = set(list_of(metadata_of(graph), "requires"))
    needed = {"reset=subtract", "v_init"}
    for node in graph.nodes.values():
        if isinstance(node, nir.IF):
            kind = text_of(metadata_of(node), "kind")
            if kind == "signed_if":
                needed.add("signed_spikes")
            elif kind in KINDS and kind != "if":
                needed.add(f"kind={kind}")
    for item in sorted(needed - stored):
        yield "", f"requires lacks {item!r}"


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
    """The integers of the metadata equal the floats of the nodes."""
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
        yield name, f"metadata {key!r} is missing"
        return
    stored = np.asarray(metadata[key])
    if stored.dtype != dtype:
        yield name, f"metadata {key!r} is {stored.dtype}, it must be {np.dtype(dtype)}"
        return
    try:
        wide = np.broadcast_to(stored.astype(np.float64) * factor, np.shape(value))
    except ValueError:
        yield name, f"metadata {key!r} has shape {stored.shape}, which does not fit {field} {np.shape(value)}"
        return
    differing = int((wide != np.asarray(value)).sum())
    if differing:
        yield name, f"{field} differs from {key} in {differing} of {wide.size} values: the node was edited"


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
                yield name, f"kind is {kind!r}, an I node must be an 'integrator'"
            if float_of(metadata, "scale") <= 0:
                yield name, "scale must be positive"
            yield from _state(name, node, metadata, "v_init_int", required=False)
            continue
        if not (np.asarray(node.v_reset) == 0).all():
            yield name, "v_reset must be 0 (soft reset is stated in the metadata)"
        if kind not in KINDS:
            yield name, f"neuron kind {kind!r} is none of {', '.join(KINDS)}"
        for key, expected in (("reset", "subtract"), ("spike_cmp", "ge")):
            if text_of(metadata, key, expected) != expected:
                yield name, f"{key} is {text_of(metadata, key)!r}, the profile knows {expected!r} only"
        if int_of(metadata, "max_spikes_per_step", 1) != 1:
            yield name, "max_spikes_per_step must be 1"
        if (np.asarray(node.v_threshold) < 1).any():
            yield name, "thresholds must be at least 1"
        yield from _state(name, node, metadata, "v_init_int", required=True)
        if "scale" in metadata:
            scale = np.asarray(metadata["scale"])
            legal = scale.dtype.kind == "f" and scale.shape in ((1,), np.shape(node.r)[:1])
            if not legal or not np.isfinite(scale).all() or (scale <= 0).any():
                yield name, "scale must be one positive real value, or one per channel"
        if "v_threshold_neg_int" in metadata:
            yield from _state(name, node, metadata, "v_threshold_neg_int", required=True)
            if (np.asarray(metadata["v_threshold_neg_int"]) < 1).any():
                yield name, "negative thresholds must be at least 1"
            if kind != "signed_if":
                yield name, f"a negative threshold has no meaning for kind {kind!r}"
        for key, owner in (("levels", "graded"), ("rho", "calibrated_if")):
            if (key in metadata) != (kind == owner):
                yield name, f"metadata {key!r} belongs to kind {owner!r} and must be set there"
            elif key in metadata and not 1 <= int_of(metadata, key, 1) <= 2**15 - 1:
                yield name, f"{key} is {int_of(metadata, key, 1)}, it must be between 1 and {2**15 - 1}"


def _state(
    name: str, node: nir.IF | nir.I, metadata: dict[str, Any], key: str, *, required: bool
) -> Iterator[tuple[str, str]]:
    if key not in metadata:
        if required:
            yield name, f"metadata {key!r} is missing"
        return
    value = np.asarray(metadata[key])
    if value.dtype.kind not in "iu" or value.ndim < 1:
        yield name, f"metadata {key!r} must be an integer array"
        return
    try:
        np.broadcast_to(value, np.shape(node.r))
    except ValueError:
        yield (
            name,
            f"metadata {key!r} has shape {value.shape}, which does not fit the neurons {np.shape(node.r)}",
        )


def combinations(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Neuron kinds, schedule, T and drain go together."""
    metadata = metadata_of(graph)
    schedule, steps = text_of(metadata, "schedule"), int_of(metadata, "timesteps", 1)
    kinds = {text_of(metadata_of(n), "kind") for n in graph.nodes.values() if isinstance(n, nir.IF)} & set(KINDS)
    for kind in sorted(kinds & {"bit_serial", "graded"}):
        if schedule != "layerwise":
            yield "", f"kind {kind!r} needs the schedule 'layerwise'"
        if len(kinds) > 1:
            yield "", f"kind {kind!r} cannot be mixed with {', '.join(sorted(kinds - {kind}))}"
    if "graded" in kinds and steps != 1:
        yield "", f"kind 'graded' runs in one step, timesteps is {steps}"
    if "bit_serial" in kinds and steps > 15:
        yield "", f"kind 'bit_serial' holds at most 15 bits, timesteps is {steps}"
    if "calibrated_if" in kinds and schedule != "pipelined":
        yield "", "kind 'calibrated_if' needs the schedule 'pipelined'"
    if int_of(metadata, "drain", 0) and (schedule != "pipelined" or kinds - {"signed_if"}):
        yield "", "drain needs the schedule 'pipelined' and signed_if neurons throughout"


def input_output(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Input encoding and output decoding are the ones the profile knows."""
    node = graph.nodes.get(INPUT)
    if isinstance(node, nir.Input):
        metadata = metadata_of(node)
        if text_of(metadata, "encoding") != "constant":
            yield INPUT, f"encoding {text_of(metadata, 'encoding')!r} is not 'constant'"
        if text_of(metadata, "dtype") not in ("int8", "uint8"):
            yield INPUT, f"dtype {text_of(metadata, 'dtype')!r} is neither int8 nor uint8"
        if float_of(metadata, "scale") <= 0:
            yield INPUT, "scale must be positive"
    node = graph.nodes.get(OUTPUT)
    if isinstance(node, nir.Output) and text_of(metadata_of(node), "decode", "membrane") != "membrane":
        yield OUTPUT, f"decode {text_of(metadata_of(node), 'decode')!r} is not 'membrane'"


def linear_nodes(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Convolutions are dense and, where possible, square; pools are folded; flatten takes every axis."""
    typed = "nir_type_check=off" not in list_of(metadata_of(graph), "requires")
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Conv2d):
            if int(np.asarray(node.groups)) != 1:
                yield name, "groups must be expanded (1) in the node; the metadata keeps the number"
            shape = np.shape(node.weight)
            if len(shape) != 4:
                yield name, f"weight must be [O, I, kH, kW], not {shape}"
                continue
            if shape[2] != shape[3] and typed:
                yield name, "a rectangular kernel needs 'nir_type_check=off' in requires"
            if isinstance(node.padding, str):
                yield name, "padding must be two integers, not a word"
            if node.input_shape is None:
                yield name, "input_shape must be set"
            if np.shape(node.bias) != (shape[0],):
                yield name, f"bias must have {shape[0]} values, it has shape {np.shape(node.bias)}"
            yield from _structure(name, node)
        elif isinstance(node, nir.Affine):
            if np.ndim(node.weight) != 2 or np.shape(node.bias) != np.shape(node.weight)[:1]:
                yield (
                    name,
                    f"weight {np.shape(node.weight)} and bias {np.shape(node.bias)} do not form an affine map",
                )
        elif isinstance(node, nir.SumPool2d):
            if np.any(np.asarray(node.padding)) or not np.array_equal(
                np.broadcast_to(node.kernel_size, 2), np.broadcast_to(node.stride, 2)
            ):
                yield name, "a sum pool has no padding and a stride equal to its kernel"
        elif isinstance(node, nir.Flatten) and (int(node.start_dim) != 0 or int(node.end_dim) != -1):
            yield name, "flatten must take all axes (start_dim 0, end_dim -1)"


def _structure(name: str, node: nir.Conv2d) -> Iterator[tuple[str, str]]:
    """Zeros that the metadata calls structural (groups, kernel margin) are zero."""
    metadata = metadata_of(node)
    groups = int_of(metadata, "groups", 1)
    out_channels, in_channels, rows, cols = np.shape(node.weight)
    if groups < 1 or out_channels % groups or in_channels % groups:
        yield name, f"groups = {groups} does not divide {out_channels} and {in_channels} channels"
        return
    mask = np.kron(np.eye(groups), np.ones((out_channels // groups, in_channels // groups))) == 0
    if np.asarray(node.weight)[mask].any():
        yield name, f"weights outside the {groups} groups are not zero"
    margin = np.asarray(metadata.get("margin", (0, 0, 0, 0))).reshape(-1)
    if margin.size != 4 or margin.dtype.kind not in "iu" or (margin < 0).any():
        yield name, "margin must be four integers (top, bottom, left, right)"
        return
    top, bottom, left, right = (int(m) for m in margin)
    if top + bottom >= rows or left + right >= cols:
        yield name, f"margin {tuple(margin.tolist())} leaves nothing of a {rows}x{cols} kernel"
        return
    inner = np.zeros((rows, cols), dtype=bool)
    inner[top : rows - bottom, left : cols - right] = True
    if np.asarray(node.weight)[:, :, ~inner].any():
        yield name, "kernel weights inside the margin are not zero"


def fresh_hash(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """``content_sha256`` is the hash of what the nodes hold."""
    stored = text_of(metadata_of(graph), "content_sha256")
    if stored and stored != content_sha256(graph):
        yield "", "content_sha256 does not match: nodes or edges were changed after the graph was built"


RULES: tuple[Rule, ...] = (
    schema,
    graph_fields,
    names,
    edges,
    node_order,
    requires,
    input_output,
    linear_nodes,
    exact_integers,
    redundant,
    neurons,
    combinations,
    fresh_hash,
)


def verify(graph: nir.NIRGraph) -> list[Problem]:
    """All violations of the profile in a graph, in the order of :data:`RULES`; empty for a sound graph.

    Shapes along the edges are checked by :func:`toolchain.ir.decode`, which needs a graph that passes here.
    """
    if not isinstance(graph, nir.NIRGraph):
        raise GraphError(f"expected a nir.NIRGraph, got {type(graph).__name__}")
    problems = []
    for rule in RULES:
        try:
            problems += [Problem(rule.__name__, node, message) for node, message in rule(graph)]
        except GraphError as error:
            problems.append(Problem(rule.__name__, "", str(error)))
        if rule is schema and problems:
            break  # a foreign graph would fail every other rule too
    return problems


__all__ = ["RULES", "Problem", "topological_order", "verify"]

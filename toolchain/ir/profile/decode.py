"""NIR to the integer graph: verify, then read every number from where NIR or the metadata holds it."""

from __future__ import annotations

import copy
import json
import math
from typing import Any, cast

import nir
import numpy as np

from spikec.calls import named_arguments
from spikec.errors import GraphError
from spikec.ir.coding import Encoding, InputNode, InputType
from spikec.ir.graph import Decode, Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.input_statistics import InputStatistics
from spikec.ir.kinds import Maximum
from spikec.ir.kinds.reading import full, kind_of
from spikec.ir.leak import UNIT, Leak
from spikec.ir.limits import LIMITS, VALUES_MAX
from spikec.ir.measured import Measured
from spikec.ir.metadata import CALIBRATED, MEASURED, delays_of, float_of, int_of, metadata_of, text_of
from spikec.ir.operations import MaxPool, operation_of
from spikec.ir.pools import pool_problems
from spikec.ir.profile.rules_graph import sent_shape, topological_order
from spikec.ir.profile.verify import verify
from spikec.ir.sound import check, checked
from spikec.ir.types import Int64, Schedule, Shape
from spikec.ir.work import work_problems

_SHOWN = 5


def as_integer(graph: nir.NIRGraph | IntegerGraph) -> IntegerGraph:
    """An integer graph unchanged, a NIR graph decoded. Raises :class:`GraphError` for what is neither, and for one that
    is not sound, also where it was made in memory."""
    return check(graph) if isinstance(graph, IntegerGraph) else decode(graph)


@named_arguments
def decode(graph: nir.NIRGraph) -> IntegerGraph:
    """The integer graph of a NIR graph of profile ``spikec.nir/1``.

    Raises :class:`GraphError`, which names up to five violations, when the graph breaks a rule of the profile or when
    shapes disagree along an edge.

    >>> [population.name for population in tc.decode(graph).populations]
    ['1', '4']
    """
    return decoded(graph, copied=True)


def decoded(graph: nir.NIRGraph, *, copied: bool) -> IntegerGraph:
    """As :func:`decode`; where not ``copied``, weights are those of ``graph``, which then must not change."""
    problems = [str(problem) for problem in verify(graph)]
    if problems:
        raise _unsound(problems)
    metadata = metadata_of(graph)
    order = topological_order(graph)
    assert order is not None  # verify refuses cycles
    delays = delays_of(metadata)
    edges = [(str(a), str(b)) for a, b in graph.edges]
    outputs = {a: b for a, b in edges if isinstance(graph.nodes[b], nir.Output)}
    nodes: dict[str, Node] = {}
    place = {name: number for number, name in enumerate(order)}
    feeding: dict[str, list[str]] = {name: [] for name in order}
    for source, target in sorted(edges, key=lambda edge: place[edge[0]]):
        feeding[target].append(source)
    for name in order:
        now = [source for source in feeding[name] if (source, name) not in delays]
        before = [source for source in feeding[name] if (source, name) in delays]
        delayed = [Delayed.named(of, sent_shape(graph.nodes[of]), delays[of, name]) for of in before]
        nodes |= {each.name: each for each in delayed}
        ordered = (*now, *(each.name for each in delayed))
        node = graph.nodes[name]
        if isinstance(node, nir.Output):
            problems += _check_output(name, nodes[ordered[0]], node)
            continue
        shapes = {nodes[source].output_shape for source in ordered}
        if len(shapes) > 1:
            listed = ", ".join(f"{s} {nodes[s].output_shape}" for s in ordered)
            raise GraphError(f"{name}: its sources have different shapes: {listed}")
        shape = next(iter(shapes), ())
        if isinstance(node, nir.Threshold):
            nodes[name] = _decode_maximum(name, node, ordered, shape, nodes)
        elif isinstance(node, nir.I | nir.CubaLI):
            nodes[name] = _decode_readout(name, node, ordered, shape, graph, outputs[name])
        else:
            nodes[name] = _decode_node(name, _narrow(node, copied), ordered, shape)
        sent = math.prod(nodes[name].output_shape)
        if sent > VALUES_MAX:
            raise GraphError(f"{name}: {nodes[name].output_shape} are {sent} values; the most is {VALUES_MAX}")
    if problems:
        raise _unsound(problems)
    info = {str(k): str(v) for k, v in json.loads(text_of(metadata, "info", "{}")).items()}
    found = IntegerGraph(
        nodes=nodes,
        timesteps=int_of(metadata, "timesteps", 1),
        schedule=cast(Schedule, text_of(metadata, "schedule")),
        drain=int_of(metadata, "drain", 0),
        content_sha256=text_of(metadata, "content_sha256"),
        source_sha256=text_of(metadata, "source_sha256"),
        producer=text_of(metadata, "producer"),
        format=info.pop("format", ""),
        info=info,
        measured=Measured.read(text_of(metadata, MEASURED)) if MEASURED in metadata else None,
        calibrated=InputStatistics.read(text_of(metadata, CALIBRATED)) if CALIBRATED in metadata else None,
    )
    problems = [*pool_problems(found), *work_problems(found)]
    if problems:
        raise _unsound(problems)
    return checked(found)


def _narrow(node: nir.NIRNode, copied: bool) -> nir.NIRNode:
    """The node with the integers of the metadata as its weights: a rule has found that they are the same numbers, and
    they are a fourth to read."""
    metadata = metadata_of(node)
    stored = metadata.get("weight_int")
    if not isinstance(stored, np.ndarray) or stored.dtype != np.int8 or int_of(metadata, "weight_exp", 0):
        return node
    if np.shape(node.weight) != stored.shape:
        return node
    narrow = copy.copy(node)
    narrow.weight = stored.copy() if copied else stored
    return narrow


def _unsound(problems: list[str]) -> GraphError:
    return GraphError.listing("not a sound spikec graph", problems, most=_SHOWN)


def _check_output(name: str, readout: Node, node: nir.Output) -> list[str]:
    shape = _shape(node.output_type["output"])
    return [] if shape == readout.output_shape else [f"{name}: shape {shape} differs from {readout.output_shape}"]


def _decode_readout(
    name: str, node: nir.I | nir.CubaLI, sources: tuple[str, ...], shape: Shape, graph: nir.NIRGraph, output: str
) -> Readout:
    """An integrator; the Output node behind it says how it is decoded and what its output is called."""
    metadata, behind = metadata_of(node), metadata_of(graph.nodes[output])
    _same_shape(name, np.shape(node.r), shape)
    signal = int_of(behind, "signal", 0)
    if not LIMITS["Output"]["signal"].holds(signal) or (signal and shape[1:2] != (1,)):
        raise GraphError(f"{output}: signal is {signal}; it may be 1 for maps of height one, whose shape is {shape}")
    return Readout(
        name=name,
        sources=sources,
        shape=shape,
        v_init=full(metadata.get("v_init_int", 0), shape),
        scale=float_of(metadata, "scale"),
        leak=Leak.read(metadata, shape) if isinstance(node, nir.CubaLI) else None,
        decode=cast(Decode, text_of(behind, "decode", "membrane")),
        output=text_of(behind, "name", output),
        signal=bool(signal),
    )


def _shape(value: Any) -> Shape:
    return tuple(int(n) for n in np.asarray(value).reshape(-1))


def _decode_node(name: str, node: nir.NIRNode, sources: tuple[str, ...], shape: Shape) -> Node:
    metadata = metadata_of(node)
    operation = operation_of(node)
    if operation is not None:
        return operation.from_nir(name, node, sources, shape)
    match node:
        case nir.Input():
            dtype = cast(InputType, text_of(metadata, "dtype"))
            encoding = cast(Encoding, text_of(metadata, "encoding"))
            limit = int_of(metadata, "limit", 0) if "limit" in metadata else None
            shape = _shape(node.input_type["input"])
            return InputNode(name, shape, dtype, float_of(metadata, "scale"), encoding=encoding, limit=limit)
        case nir.IF():
            _same_shape(name, np.shape(node.r), shape)
            theta = full(node.v_threshold, shape)
            return _population(name, node, sources, theta, theta // 2)
        case nir.CubaLIF():
            _same_shape(name, np.shape(node.v_threshold), shape)
            return _population(name, node, sources, full(node.v_threshold, shape) // UNIT, 0)
    raise GraphError(f"{name}: node type {type(node).__name__} is not part of the profile")


def _population(name: str, node: nir.NIRNode, sources: tuple[str, ...], theta: Int64, start: Int64 | int) -> Population:
    """Neurons whose thresholds are ``theta``; they begin at ``start`` where the file does not say."""
    metadata = metadata_of(node)
    return Population(
        name=name,
        sources=sources,
        shape=theta.shape,
        neuron=kind_of(metadata, theta.shape),
        theta=theta,
        v_init=full(metadata.get("v_init_int", start), theta.shape),
        scale=np.asarray(metadata["scale"], dtype=np.float64) if "scale" in metadata else None,
    )


def _decode_maximum(
    name: str, node: nir.Threshold, sources: tuple[str, ...], shape: Shape, nodes: dict[str, Node]
) -> Population:
    """Neurons behind a max pool; their kind is that of the population which the pool reads."""
    _same_shape(name, np.shape(node.threshold), shape)
    window = nodes[sources[0]]
    fired = nodes[window.sources[0]] if isinstance(window, MaxPool) else window
    if not isinstance(fired, Population):
        raise GraphError(f"{name}: a Threshold takes the maximum of the spikes of one population; it reads none")
    metadata = metadata_of(node)
    return Population(
        name=name,
        sources=sources,
        shape=shape,
        neuron=Maximum(fired.neuron),
        theta=full(node.threshold, shape),
        v_init=np.zeros(shape, dtype=np.int64),
        scale=np.asarray(metadata["scale"], dtype=np.float64) if "scale" in metadata else None,
    )


def _same_shape(name: str, own: Shape, source: Shape) -> None:
    if own != source:
        raise GraphError(f"{name}: has {own} neurons, its source has shape {source}")

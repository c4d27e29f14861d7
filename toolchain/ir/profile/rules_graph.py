"""Rules of the profile about the graph: its metadata, names, edges and combinations.

A rule yields (node, message) per violation; ``node`` is empty where the graph itself is at fault. Rules read the NIR
graph as it is and assume nothing of the others.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import cast

import nir
import numpy as np

from spikec.errors import GraphError
from spikec.ir.delays import least
from spikec.ir.kinds import Kind, Maximum, Timing, kinds
from spikec.ir.kinds.reading import kind_of
from spikec.ir.kinds.together import facts_problems, sequence_problems, settings_problems
from spikec.ir.limits import LIMITS
from spikec.ir.metadata import (
    DELAYS,
    INPUT,
    OUTPUT,
    SCHEDULES,
    SCHEMA,
    TYPE_CHECK_OFF,
    delays_of,
    float_of,
    int_of,
    list_of,
    metadata_of,
    shown,
    text_of,
)
from spikec.ir.operations import operation_of
from spikec.ir.operations.fields import whole_numbers
from spikec.ir.profile.hashes import CONTENT_KEY, content_sha256
from spikec.ir.types import Schedule, Shape
from spikec.words import either

_LIMITS = LIMITS["graph"]
_NAME = re.compile(r"[A-Za-z0-9_.]+")
#: Nodes beside the operations.
_NODES = (nir.Input, nir.IF, nir.CubaLIF, nir.Threshold, nir.I, nir.CubaLI, nir.Output)
#: Neurons that fire, and integrators before the output.
_NEURONS, _READOUTS = (nir.IF, nir.CubaLIF), (nir.I, nir.CubaLI)
#: What a reader may have to know beside the kinds.
_REQUIREMENTS = {
    "drain",
    DELAYS,
    "input=sequence",
    TYPE_CHECK_OFF,
    "per_neuron_threshold",
    "reset=subtract",
    "schedule=layerwise",
    "spike_cmp=ge",
    "v_init",
    str(Maximum.requirement),
}


def schema(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """The graph says which profile it follows, and its major version is known."""
    found = text_of(metadata_of(graph), "schema")
    if not found:
        how = f"an explicit import ({either('tc.import_nir', 'spikec export FILE.nir')})"
        yield "", f"the graph carries no spikec metadata: a plain NIR file needs {how}"
    elif found.split(".")[:2] != SCHEMA.split("."):  # a minor version may follow: spikec.nir/1.3
        yield "", f"schema {shown(found)} is not {SCHEMA!r}: this version cannot read it"


def graph_fields(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """timesteps and schedule are present; they, drain, dt, numeric and info are legal."""
    metadata = metadata_of(graph)
    for key in ("timesteps", "schedule"):
        if key not in metadata:
            yield "", f"metadata {key!r} is missing"
    if text_of(metadata, "numeric", "int") != "int":
        yield "", f"numeric is {shown(text_of(metadata, 'numeric'))}, only 'int' can be executed"
    if text_of(metadata, "schedule", "pipelined") not in SCHEDULES:
        yield "", f"schedule {shown(text_of(metadata, 'schedule'))} is none of {', '.join(SCHEDULES)}"
    for key, absent in (("timesteps", 1), ("drain", 0)):
        if not _LIMITS[key].holds(steps := int_of(metadata, key, absent)):
            yield "", f"{key} is {steps}, it must be {_LIMITS[key]}"
    try:
        info = json.loads(text_of(metadata, "info", "{}"))
    except (ValueError, RecursionError):  # also numbers of very many digits, and very deep nesting
        info = None
    if not isinstance(info, dict):
        yield "", "metadata 'info' must be a JSON object"
    if "dt" in metadata and float_of(metadata, "dt") != 1.0:
        yield "", f"dt is {float_of(metadata, 'dt')}, the profile counts steps: dt must be 1"


def names(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Flat graph; one node 'input', one 'output' or several Output nodes; other names are [A-Za-z0-9_.]+; known node
    types only."""
    outputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Output)]
    for name, node in graph.nodes.items():
        if not _NAME.fullmatch(name):
            yield name, "node names may hold letters, digits, '_' and '.' only"
        if not isinstance(node, _NODES) and operation_of(node) is None:
            yield name, f"node type {type(node).__name__} is not part of the profile"
        if isinstance(node, nir.Input) != (name == INPUT):
            yield name, f"the Input node, and nothing else, is called {INPUT!r}"
        if isinstance(node, nir.Output) != (name == OUTPUT) and (len(outputs) < 2 or name == OUTPUT):
            yield name, f"the Output node, and nothing else, is called {OUTPUT!r}"
    for name in (INPUT, OUTPUT):
        if name not in graph.nodes and (name == INPUT or not outputs):
            yield "", f"there is no node {name!r}"
    readouts = sum(isinstance(node, _READOUTS) for node in graph.nodes.values())
    if readouts != max(len(outputs), 1):
        where = "each output" if len(outputs) > 1 else "the output"
        yield "", f"there must be one integrator (I or CubaLI) node before {where}, found {readouts}"


def edges(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Edges join existing nodes, once; each node has the inputs and readers its type needs; no cycle."""
    pairs = [(str(a), str(b)) for a, b in graph.edges]
    for pair in sorted(p for p, times in Counter(pairs).items() if times > 1):
        yield pair[1], f"the edge {pair[0]} -> {pair[1]} appears more than once"
    for a, b in pairs:
        for end in (a, b):
            if end not in graph.nodes:
                yield "", f"the edge {a} -> {b} names {end!r}, which does not exist"
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    readers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in pairs:
        sources.get(b, []).append(a)
        readers.get(a, []).append(b)
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
        read = [graph.nodes.get(reader) for reader in readers[name]]
        if isinstance(node, _READOUTS) and not (len(read) == 1 and isinstance(read[0], nir.Output)):
            yield name, "the integrator feeds the output and nothing else"
        found = [graph.nodes.get(source) for source in sources[name]]
        if isinstance(node, nir.Output) and not (len(found) < 2 and all(isinstance(s, _READOUTS) for s in found)):
            yield name, "the output must read the integrator alone"
    if topological_order(graph) is None:
        yield "", "the graph has a cycle"


def delays(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Edges that carry what was sent some steps before exist, leave neurons that fire, or an input of sequences."""
    pairs = {(str(a), str(b)) for a, b in graph.edges}
    found = delays_of(metadata_of(graph))
    for source, target in sorted(found):
        node = graph.nodes.get(source)
        timed = isinstance(node, nir.Input) and text_of(metadata_of(node), "encoding") == "sequence"
        if (source, target) not in pairs:
            yield "", f"{DELAYS} names the edge {source} -> {target}, which does not exist"
        elif not isinstance(node, _NEURONS) and not timed:
            yield source, f"the edge to {target} is in {DELAYS}; only spikes and sequences are delayed"
        elif not isinstance(steps := found[source, target], int):
            if isinstance(node, nir.Input) and not whole_numbers(
                node.input_type.get("input"), LIMITS["Input"]["shape"], (1, 3)
            ):
                continue  # another rule reports it
            senders = math.prod(sent_shape(node))
            if len(steps) != senders:
                yield source, f"the edge to {target} has {len(steps)} delays for {senders} senders in {DELAYS}"
    if found and text_of(metadata_of(graph), "schedule") != "pipelined":
        yield "", f"{DELAYS} needs the schedule 'pipelined'"


def topological_order(graph: nir.NIRGraph) -> list[str] | None:
    """Node names with every source before its readers, ties broken by ``node_order`` then name; None for a cycle. Edges
    that carry what was sent some steps before do not count."""
    try:
        stored = list_of(metadata_of(graph), "node_order")
    except GraphError:
        stored = []
    try:
        late = _late(graph)
    except GraphError:
        late = set()
    rank = {name: i for i, name in enumerate(stored)}

    def key(name: str) -> tuple[int, str]:
        return rank.get(name, len(rank)), name

    pairs = {(str(a), str(b)) for a, b in graph.edges} - late
    readers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    needed = dict.fromkeys(graph.nodes, 0)
    for source, target in pairs:
        if source in readers and target in readers:
            readers[source].append(target)
            needed[target] += 1
    ready = [key(name) for name, number in needed.items() if not number]
    heapify(ready)
    order: list[str] = []
    while ready:
        _, chosen = heappop(ready)
        order.append(chosen)
        for name in readers[chosen]:
            needed[name] -= 1
            if not needed[name]:
                heappush(ready, key(name))
    return order if len(order) == len(graph.nodes) else None


def node_order(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """``node_order``, where there is one, lists every node between input and output once, sources before readers."""
    if "node_order" not in metadata_of(graph):
        return
    stored = list_of(metadata_of(graph), "node_order")
    ends = {INPUT, OUTPUT, *(name for name, node in graph.nodes.items() if isinstance(node, nir.Output))}
    inner = [name for name in stored if name not in ends]
    place = {name: number for number, name in reversed(list(enumerate(stored)))}
    if sorted(inner) != sorted(set(graph.nodes) - ends) or not ends.issuperset(set(stored) - set(graph.nodes)):
        yield "", "node_order does not list exactly the nodes of the graph"
    elif any(place[a] > place[b] for a, b in _now(graph) if a in place and b in place):
        yield "", "node_order puts a node before one of its sources"


def _now(graph: nir.NIRGraph) -> set[tuple[str, str]]:
    """Edges that carry what is emitted in the same step."""
    return {(str(a), str(b)) for a, b in graph.edges} - _late(graph)


def _late(graph: nir.NIRGraph) -> set[tuple[str, str]]:
    """Edges that carry nothing that is emitted in the same step."""
    return {edge for edge, steps in delays_of(metadata_of(graph)).items() if least(steps)}


def sent_shape(node: nir.NIRNode) -> Shape:
    """The shape of what neurons, or the input, send."""
    if isinstance(node, nir.Input):
        return tuple(int(n) for n in np.asarray(node.input_type["input"]).reshape(-1))
    return np.shape(node.v_threshold)


def requires(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """``requires`` lists nothing that this version does not know. Missing items are fine: the graph states them too."""
    known = _REQUIREMENTS.union(*(kind.known_requirements() for kind in kinds().values()))
    for item in sorted(set(list_of(metadata_of(graph), "requires")) - known):
        yield "", f"the graph requires {shown(item)}, which this version does not know"


def combinations(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Neuron kinds, schedule, T and drain go together."""
    metadata = metadata_of(graph)
    schedule, steps = text_of(metadata, "schedule"), int_of(metadata, "timesteps", 1)
    known = kinds()
    populations = [node for node in graph.nodes.values() if isinstance(node, _NEURONS)]
    named = {text_of(metadata_of(node), "kind") for node in populations}
    drain = int_of(metadata, "drain", 0)
    if schedule not in SCHEDULES or not (_LIMITS["timesteps"].holds(steps) and _LIMITS["drain"].holds(drain)):
        return  # other rules report these
    found = {known[name] for name in named if name in known}
    yield from (("", problem) for problem in settings_problems(found, cast(Schedule, schedule), steps, drain))
    neurons = list(_readable(populations))
    rehearsal = max((kind.rehearsal for kind in neurons), default=0)
    timing = Timing(steps, cast(Schedule, schedule), drain, rehearsal)
    yield from (("", problem) for problem in facts_problems(neurons, timing))
    start = graph.nodes.get(INPUT)
    if isinstance(start, nir.Input) and text_of(metadata_of(start), "encoding") == "sequence":
        yield from (("", problem) for problem in sequence_problems(neurons, timing.schedule, drain))


def _readable(populations: list[nir.IF | nir.CubaLIF]) -> Iterator[Kind]:
    """The kinds of those populations whose fields can be read; other rules report what is wrong with the rest."""
    for node in populations:
        try:
            yield kind_of(metadata_of(node), np.shape(node.v_threshold))
        except (GraphError, TypeError, ValueError):
            continue


def fresh_hash(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """``content_sha256`` is the hash of what the nodes hold."""
    stored = text_of(metadata_of(graph), CONTENT_KEY)
    if stored and stored != content_sha256(graph):
        yield "", "content_sha256 does not match: nodes or edges were changed after the graph was built"

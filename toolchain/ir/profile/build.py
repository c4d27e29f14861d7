"""Integer graph to NIR: standard nodes in float32 that hold exact integers, plus the metadata of the profile."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from spikec.errors import MissingImplementation
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.kinds import MAX_SPIKES, CubaLIF, Maximum
from spikec.ir.leak import UNIT, Leak
from spikec.ir.measured import Measured
from spikec.ir.metadata import (
    CALIBRATED,
    DELAYS,
    EXPORT,
    KEY,
    MEASURED,
    OUTPUT,
    TYPE_CHECK_OFF,
    WRITTEN,
    metadata_of,
    text_of,
)
from spikec.ir.names import Names, legal
from spikec.ir.operations import MaxPool, Operation
from spikec.ir.operations.fields import float32
from spikec.ir.profile.hashes import content_sha256
from spikec.ir.profile.nir_graph import NIRGraph

PRODUCER = "spikec"


def int32(values: npt.ArrayLike) -> npt.NDArray[np.int32]:
    array: npt.NDArray[np.int32] = np.atleast_1d(np.asarray(values)).astype(np.int32, order="C")
    return array


def _population(node: Population) -> nir.IF:
    metadata: dict[str, Any] = {
        "kind": node.neuron.name,
        "v_threshold_int": int32(node.theta),
        "v_init_int": int32(node.v_init),
        "reset": "subtract",
        "spike_cmp": "ge",
        MAX_SPIKES: 1,
    }
    for name, about in node.neuron.stored_fields().items():
        value = getattr(node.neuron, name)
        if value is not None:
            metadata[about.key] = int32(value) if about.per == "neuron" else int(value)
    if node.scale is not None:
        metadata["scale"] = np.atleast_1d(np.asarray(node.scale, dtype=np.float64))
    zeros = np.zeros(node.shape, dtype=np.float32)
    return nir.IF(r=zeros + 1, v_threshold=float32(node.theta), v_reset=zeros, metadata={KEY: metadata})


def _maximum(node: Population) -> nir.Threshold:
    metadata: dict[str, Any] = {"kind": node.neuron.name}
    if node.scale is not None:
        metadata["scale"] = np.atleast_1d(np.asarray(node.scale, dtype=np.float64))
    return nir.Threshold(threshold=float32(node.theta), metadata={KEY: metadata})


def _leaky(node: Population, kind: CubaLIF) -> nir.CubaLIF:
    leak = Leak.of(kind, node.shape)
    metadata: dict[str, Any] = {
        "kind": kind.name,
        "v_threshold_int": int32(node.theta),
        "v_init_int": int32(node.v_init),
        "reset": "subtract" if kind.subtract else "zero",
        "spike_cmp": "gt",
        "subtract": kind.subtract,
        **leak.metadata(),
    }
    if node.scale is not None:
        metadata["scale"] = np.atleast_1d(np.asarray(node.scale, dtype=np.float64))
    return nir.CubaLIF(
        **leak.nir_fields(),
        v_threshold=float32(node.theta * UNIT),
        v_reset=np.zeros(node.shape, dtype=np.float32),
        metadata={KEY: metadata},
    )


def _leaky_readout(node: Readout, leak: Leak) -> nir.CubaLI:
    metadata = {"kind": "leaky", "v_init_int": int32(node.v_init), "scale": float(node.scale), **leak.metadata()}
    return nir.CubaLI(**leak.nir_fields(), metadata={KEY: metadata})


def _readout(node: Readout) -> nir.I | nir.CubaLI:
    if node.leak is not None:
        return _leaky_readout(node, node.leak)
    metadata = {"kind": "integrator", "v_init_int": int32(node.v_init), "scale": float(node.scale)}
    return nir.I(r=np.ones(node.shape, dtype=np.float32), metadata={KEY: metadata})


def _input(node: InputNode) -> nir.Input:
    metadata = {"encoding": node.encoding, "dtype": node.dtype, "scale": float(node.scale)}
    if node.limit is not None:
        metadata["limit"] = node.limit
    return nir.Input(input_type={"input": np.array(node.shape)}, metadata={KEY: metadata})


def _output(readout: Readout, name: str) -> nir.Output:
    """The Output node ``name`` behind a readout; it says its public name where that is another."""
    metadata: dict[str, Any] = {"decode": readout.decode}
    if readout.output != name:
        metadata["name"] = readout.output
    if readout.signal:
        metadata["signal"] = 1
    return nir.Output(output_type={"output": np.array(readout.shape)}, metadata={KEY: metadata})


def _output_names(graph: IntegerGraph) -> dict[str, str]:
    """The name of the Output node behind each readout: ``output`` where there is one readout, otherwise that of the
    output, as far as node names may hold it."""
    if len(graph.readouts) == 1:
        return {graph.readout.name: OUTPUT}
    names = Names(graph.nodes)
    return {readout.name: names.free(legal(readout.output)) for readout in graph.readouts}


def _node(node: Node) -> nir.NIRNode:
    match node:
        case InputNode():
            return _input(node)
        case Operation():
            return node.to_nir()
        case Population(neuron=Maximum()):
            return _maximum(node)
        case Population(neuron=CubaLIF() as kind):
            return _leaky(node, kind)
        case Population():
            return _population(node)
        case Readout():
            return _readout(node)
    raise MissingImplementation(f"{type(node).__name__} has no NIR form")


def requirements(graph: IntegerGraph) -> list[str]:
    """What a reader must honour beyond the NIR nodes to reproduce the spikes, sorted."""
    needs = {"v_init"}
    if any(not isinstance(population.neuron, CubaLIF) for population in graph.populations):
        needs |= {"reset=subtract", "spike_cmp=ge"}
    if graph.sequences:
        needs.add("input=sequence")
    if graph.delayed:
        needs.add(DELAYS)
    if graph.schedule == "layerwise":
        needs.add("schedule=layerwise")
    for population in graph.populations:
        needs |= population.neuron.requirements()
        if population.theta.min() != population.theta.max():
            needs.add("per_neuron_threshold")
    if graph.drain:
        needs.add("drain")
    if any(isinstance(node, MaxPool) for node in graph):
        needs.add(str(Maximum.requirement))
    if any(isinstance(node, Operation) and not node.passes_type_check for node in graph):
        needs.add(TYPE_CHECK_OFF)
    return sorted(needs)


class _Checked(nir.NIRGraph):  # type: ignore[misc]
    """NIR's own check of types, which asks at every edge for the inputs of the graph, among all its nodes."""

    @cached_property
    def inputs(self) -> dict[str, nir.Input]:
        return {name: node for name, node in self.nodes.items() if isinstance(node, nir.Input)}


def build(graph: IntegerGraph) -> nir.NIRGraph:
    """The NIR graph of the profile for an integer graph; ``spikec.ir.profile.decode`` is its inverse."""
    nodes = {name: _node(node) for name, node in graph.nodes.items() if not isinstance(node, Delayed)}
    outputs = _output_names(graph)
    order = [*nodes, *outputs.values()]
    nodes |= {outputs[readout.name]: _output(readout, outputs[readout.name]) for readout in graph.readouts}
    before = {node.name: node for node in graph.delayed}
    edges = [(before[s].of if s in before else s, node.name) for node in graph for s in node.sources]
    edges += outputs.items()
    delays = sorted((before[s].of, node.name, before[s].steps) for node in graph for s in node.sources if s in before)
    requires = requirements(graph)
    metadata: dict[str, Any] = {
        "schema": WRITTEN,
        "producer": graph.producer or PRODUCER,
        "timesteps": graph.timesteps,
        "schedule": graph.schedule,
        "drain": graph.drain,
        "dt": 1.0,
        "numeric": "int",
        "node_order": json.dumps(order),
        "requires": json.dumps(requires),
        "source_sha256": graph.source_sha256,
    }
    if delays:
        metadata[DELAYS] = json.dumps(delays)
    info = settings_of(graph)
    if info:
        metadata["info"] = json.dumps(info, sort_keys=True)
    if graph.measured is not None:
        metadata[MEASURED] = graph.measured.text()
    if graph.calibrated is not None:
        metadata[CALIBRATED] = graph.calibrated.text()
    if TYPE_CHECK_OFF not in requires:
        _Checked(nodes=nodes, edges=edges, metadata={}, type_check=True)
    built = NIRGraph(nodes=nodes, edges=edges, metadata={KEY: metadata}, type_check=False)
    metadata["content_sha256"] = content_sha256(built)
    return built


def with_measured(graph: nir.NIRGraph, measured: Measured) -> nir.NIRGraph:
    """The same graph, its nodes shared, with what was measured of it."""
    metadata = {**graph.metadata, KEY: {**metadata_of(graph), MEASURED: measured.text()}}
    return NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=metadata, type_check=False)


def with_export(graph: nir.NIRGraph, command: str) -> nir.NIRGraph:
    """The same graph, its nodes shared, with the command line that made it, but for the name of the file: equal
    deployments are equal bytes whatever they are called."""
    held = metadata_of(graph)
    info = {**json.loads(text_of(held, "info", "{}")), EXPORT: command}
    metadata = {**graph.metadata, KEY: {**held, "info": json.dumps(info, sort_keys=True)}}
    return NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=metadata, type_check=False)


def settings_of(graph: IntegerGraph) -> dict[str, str]:
    """``info`` with the number format, as files and listings have it, sorted."""
    return dict(sorted((graph.info | ({"format": graph.format} if graph.format else {})).items()))

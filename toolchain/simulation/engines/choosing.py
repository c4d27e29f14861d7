"""What the engines that count spikes can run, and what keeps a graph from them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from spikec.analysis.ranges import Ranges
from spikec.ir.graph import IntegerGraph, Node, Population, Readout
from spikec.simulation.engines.counting import COUNTING
from spikec.simulation.kernels.int8 import U8_MAX
from spikec.simulation.paths import Reason
from spikec.simulation.registers import Registers

_FLOAT32_EXACT = 2**24
_FLOAT64_EXACT = 2**53


def kept_general(graph: IntegerGraph, ranges: Ranges, registers: Registers, measure: bool) -> tuple[Reason, ...]:
    """Why the general path runs ``graph``; nothing where an engine that counts spikes does."""
    measured = [Reason("membranes are measured, which they are only where they exist")] if measure else []
    seen = watched(graph, ranges, registers)
    unproven = (reason for node, reason in registers.unproven(ranges) if node not in seen)
    return (*measured, *hindrances(graph, ranges), *unproven)


def watched(graph: IntegerGraph, ranges: Ranges, registers: Registers) -> list[str]:
    """Neurons whose membranes are not proven to fit, and can be watched where spikes are counted: they exist there for
    readouts, and in the layerwise schedule for populations. Where accumulators are watched as well, or numbers are
    changed, only the general path has what it takes."""
    if registers.accumulators or not registers.keep:
        return []
    unproven = {node for node, _ in registers.unproven(ranges)}
    layerwise = graph.schedule == "layerwise"
    neurons = (node for node in graph if isinstance(node, Readout) or (layerwise and isinstance(node, Population)))
    return [node.name for node in neurons if node.name in unproven]


def supports(graph: IntegerGraph, ranges: Ranges) -> bool:
    """Whether counting is exact for ``graph``: its neuron kinds, and every sum below 2**53."""
    return next(hindrances(graph, ranges), None) is None


def hindrances(graph: IntegerGraph, ranges: Ranges) -> Iterator[Reason]:
    """Everything that keeps ``graph`` from being computed by counting spikes."""
    unfit = list(_unfit(graph))
    yield from unfit
    if not unfit:  # what follows asks how the kinds count
        yield from _too_wide(graph, ranges)


def _unfit(graph: IntegerGraph) -> Iterator[Reason]:
    if graph.sequences:
        yield Reason("the input is a sequence: counts need an image that stays the same")
    if graph.delayed:
        yield Reason("emissions arrive later: counts need all steps in order")
    for node in graph.populations:
        if node.neuron not in COUNTING:
            yield Reason(f"{node.name}: {COUNTING.refusal(node.neuron)}")
    for readout in graph.readouts:
        if readout.leak is not None:
            yield Reason(f"{readout.name}: the readout leaks")
        if readout.decode != "membrane":
            yield Reason(f"{readout.name}: the readout decodes the {readout.decode} of its membranes")
    if restarts(graph):
        if graph.schedule != "pipelined":
            yield Reason(f"neurons start over, and the schedule is {graph.schedule}")
        if graph.drain:
            yield Reason(f"neurons start over, and there are {graph.drain} drain steps")


def _too_wide(graph: IntegerGraph, ranges: Ranges) -> Iterator[Reason]:
    limit, holder = (_FLOAT32_EXACT, "float32") if restarts(graph) else (_FLOAT64_EXACT, "float64")
    for population in graph.populations:
        if restarts(graph) and not COUNTING(population.neuron).beside_restarts:
            name = population.neuron.name
            yield Reason(f"{population.name}: other neurons start over, and {name} has no rule beside them")
        top = top_level(graph, population)
        if top > U8_MAX:
            yield Reason.beyond(f"{population.name}: its count", top, U8_MAX + 1, "u8")
    for node in graph:
        if node is not graph.input:
            for what, largest in _numbers(graph, ranges, node):
                if largest >= limit:
                    yield Reason.beyond(f"{node.name}: {what}", largest, limit, holder)


def _numbers(graph: IntegerGraph, ranges: Ranges, node: Node) -> Iterator[tuple[str, int]]:
    """What is computed of a node, and a bound on the magnitude of each."""
    largest = accumulated(graph, ranges, node.name)
    if not isinstance(node, Population):
        yield "its sum over all steps", largest
        return
    counting, theta = COUNTING(node.neuron), int(node.theta.max())
    yield "its threshold times one more than its largest count", theta * (top_level(graph, node) + 1)
    if restarts(graph):  # a start moves by what membranes say; see CountsByLayer
        yield "its membrane without resets, moved", 2 * largest + 3 * theta
    else:
        yield "its membrane without resets", largest + int(counting.shifts(node)[-1].max())


def beyond_float32(graph: IntegerGraph, ranges: Ranges, node: Node) -> Reason | None:
    """Why a node computes in float64; None where float32 holds all its numbers."""
    for what, largest in _numbers(graph, ranges, node):
        if largest >= _FLOAT32_EXACT:
            return Reason.beyond(what, largest, _FLOAT32_EXACT, "float32")
    return None


def dtype_of(wide: Reason | None) -> torch.dtype:
    """The floats of a node, from what :func:`beyond_float32` says of it."""
    return torch.float32 if wide is None else torch.float64


def restarts(graph: IntegerGraph) -> bool:
    """Whether some neurons start over after a rehearsal: layers then run one after the other."""
    return graph.timing.rehearsal > 0


def top_level(graph: IntegerGraph, node: Population) -> int:
    """Largest accumulated count, payload or binary number that a population can send."""
    return COUNTING(node.neuron).top(node.neuron, graph.timing)


def accumulated(graph: IntegerGraph, ranges: Ranges, name: str) -> int:
    """Bound on any partial sum of a node when its input is accumulated over all steps."""
    pipelined_linear = graph.schedule == "pipelined" and not isinstance(graph.nodes[name], Population | Readout)
    return ranges.magnitudes[name] * (graph.emission_steps if pipelined_linear else 1)

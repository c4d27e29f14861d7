"""What the engines that count spikes can run, and what keeps a graph from them."""

from __future__ import annotations

from collections.abc import Iterator

from spikec.analysis.ranges import Ranges
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.simulation.engines.counting import COUNTING
from spikec.simulation.kernels.int8 import U8_MAX
from spikec.simulation.paths import Reason
from spikec.simulation.registers import Registers

_FLOAT32_EXACT = 2**24


def kept_general(graph: IntegerGraph, ranges: Ranges, registers: Registers, measure: bool) -> tuple[Reason, ...]:
    """Why the general path runs ``graph``; nothing where an engine that counts spikes does."""
    measured = [Reason("membranes are measured, which they are only where they exist")] if measure else []
    return (*measured, *hindrances(graph, ranges), *registers.unproven(ranges))


def supports(graph: IntegerGraph, ranges: Ranges) -> bool:
    """Whether counting is exact for ``graph``: its neuron kinds, the 24-bit proof, and every sum below 2**24."""
    return next(hindrances(graph, ranges), None) is None


def hindrances(graph: IntegerGraph, ranges: Ranges) -> Iterator[Reason]:
    """Everything that keeps ``graph`` from being computed by counting spikes."""
    unfit = list(_unfit(graph))
    yield from unfit
    if not unfit:  # what follows asks how the kinds count
        yield from _beyond_float32(graph, ranges)
    for bound in (*ranges.accumulators.values(), *ranges.membranes.values()):
        if bound.margin < 0:
            yield Reason(f"not proven to fit 24 bits: {bound}", bound.bits, bound.bits + bound.margin + 1)


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


def _beyond_float32(graph: IntegerGraph, ranges: Ranges) -> Iterator[Reason]:
    restarted = restarts(graph)
    for node in graph.populations:
        counting = COUNTING(node.neuron)
        top, shift, theta = top_level(graph, node), int(counting.shifts(node)[-1].max()), int(node.theta.max())
        largest = accumulated(graph, ranges, node.name)
        if restarted:  # a start moves by what membranes say; see CountsByLayer
            shift = largest + 3 * theta
            if not counting.beside_restarts:
                yield Reason(f"{node.name}: other neurons start over, and {node.neuron.name} has no rule beside them")
        if top > U8_MAX:
            yield Reason.beyond(f"{node.name}: its count", top, U8_MAX + 1, "u8")
        if theta * (top + 1) >= _FLOAT32_EXACT:
            what = f"{node.name}: its threshold times one more than its largest count"
            yield Reason.beyond(what, theta * (top + 1), _FLOAT32_EXACT, "float32")
        if largest + shift >= _FLOAT32_EXACT:
            what = f"{node.name}: its membrane without resets{', moved' if restarted else ''}"
            yield Reason.beyond(what, largest + shift, _FLOAT32_EXACT, "float32")
    for name in graph.nodes:
        if name != graph.input.name and not isinstance(graph.nodes[name], Population):
            largest = accumulated(graph, ranges, name)
            if largest >= _FLOAT32_EXACT:
                yield Reason.beyond(f"{name}: its sum over all steps", largest, _FLOAT32_EXACT, "float32")


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

"""Worst-case ranges of every accumulator and membrane, proven from the weights, whatever the image.

The bound of an accumulator is sign-aware and per neuron: positive weights meet the largest input, negative weights the
smallest, and a neuron at the border counts only the taps that exist. For a synapse that reads one node, some input in
that node's range reaches the bound. The same holds where several synapses that read the same node meet (skip
connections). Behind chains of synapses, or over several steps, it is only an upper bound. Membranes follow by interval
arithmetic over the steps. What usually decides the width is an unsigned integrate-and-fire neuron that never fires: it
accumulates T times its most negative current.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.analysis.branches import merged_branches
from spikec.analysis.charging import CHARGING, EMPTYING
from spikec.analysis.flows import Flow, Repeated, added
from spikec.analysis.intervals import Interval, constant
from spikec.analysis.leaking import leaked
from spikec.analysis.widths import signed_bits
from spikec.errors import GraphError, RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.integers import VALUE_MAX, magnitude
from spikec.ir.kinds import CubaLIF, Timing
from spikec.ir.operations import MaxPool, Operation, Synapse
from spikec.ir.operations.repeats import Repeats
from spikec.ir.pools import pool_problems
from spikec.ir.types import MEMBRANE_MAX, Int64
from spikec.memory import require_memory
from spikec.stages import Done, stage

#: Bytes that the bounds of one output of a node take while they are computed, working space included.
_BYTES_PER_OUTPUT = 128


class Bound:
    """Proven range of one quantity: ``lowest`` / ``highest`` int64, one value per neuron, both inclusive.

    ``low`` and ``high``: the smallest and largest value that any neuron can reach.
    """

    def __init__(self, node: str, lowest: Int64, highest: Int64, repeats: Repeats | None = None) -> None:
        """``repeats``: how neurons repeat, of which ``lowest`` and ``highest`` then hold each different one once."""
        self.node, self.low, self.high, self._repeats = node, int(lowest.min()), int(highest.max()), repeats
        # Large networks have more of these numbers than weights.
        held = np.int32 if self.low >= -(2**31) and self.high < 2**31 else np.int64
        self._lowest, self._highest = lowest.astype(held), highest.astype(held)

    @property
    def lowest(self) -> Int64:
        return self._whole(self._lowest)

    @property
    def highest(self) -> Int64:
        return self._whole(self._highest)

    def _whole(self, held: npt.NDArray[Any]) -> Int64:
        values: Int64 = held.astype(np.int64)
        return values if self._repeats is None else self._repeats.spread(values)

    @property
    def bits(self) -> int:
        """Width of the smallest two's complement integer that holds the range."""
        return signed_bits(self.low, self.high)

    @property
    def margin(self) -> int:
        """Bits to spare in the 24-bit registers of the generic target; negative where the proof fails."""
        return signed_bits(-MEMBRANE_MAX - 1, MEMBRANE_MAX) - self.bits

    def __str__(self) -> str:
        return f"{self.node}: [{self.low}, {self.high}], {self.bits} bits"


@dataclass(frozen=True)
class Ranges:
    """Bounds of a graph.

    ``accumulators``: sums of one step, biases included: the output of each operation, and the summed input of each
    population and readout. ``sums``: the same without biases, which a target adds to the membrane. ``membranes``: per
    population and readout, the membrane before reset in any step; in the layerwise schedule partial sums count as well.
    ``magnitudes``: per node, a bound on the magnitude of any partial sum, in any order, even when a simulator evaluates
    all steps of the layerwise schedule at once. It also bounds all that neurons which emit more than 1 in a step emit.
    """

    accumulators: Mapping[str, Bound]
    sums: Mapping[str, Bound]
    membranes: Mapping[str, Bound]
    magnitudes: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether no accumulator and no membrane can leave 24 bits, whatever the image."""
        return all(b.margin >= 0 for b in (*self.accumulators.values(), *self.membranes.values()))


def _bounds_of(node: str, flow: Flow) -> tuple[Bound, Bound]:
    """The input of one step with and without biases."""
    step = flow.step
    whole = _bound(node, step, "a sum")
    return whole, _bound(node, step.without(flow.bias), "a sum") if flow.bias.magnitude else whole


def _bound(node: str, interval: Repeated, what: str) -> Bound:
    """The bound of a node. Raises ``RangeError`` where it leaves 62 bits: no part of the toolchain computes beyond."""
    within(node, interval.magnitude, what)
    return Bound(node, interval.once.low, interval.once.high, interval.repeats)


def within(node: str, largest: int, what: str) -> None:
    """Raise ``RangeError``, naming the node and ``what`` of it, for a magnitude beyond 62 bits."""
    if largest > VALUE_MAX:
        raise RangeError(f"{node}: {what} may reach {largest:.3g}, beyond 62 bits; use fewer steps or smaller weights")


def bounds(graph: IntegerGraph) -> Ranges:
    """Worst-case ranges of ``graph``.

    Raises ``RangeError`` where a sum or a membrane may leave 62 bits, or where its largest node needs more memory than
    there is, ``GraphError`` for kinds that cannot run as the graph says.
    """
    problems = [*graph.kind_problems(), *pool_problems(graph)]
    if problems:
        raise GraphError("; ".join(problems))
    _affordable(graph)
    with stage("proving ranges", len(graph.nodes), "nodes") as passed:
        return _bounds(graph, passed)


def _bounds(graph: IntegerGraph, passed: Done) -> Ranges:
    """:func:`bounds` of a graph that is sound and fits in memory."""
    flows: dict[str, Flow] = {}
    accumulators: dict[str, Bound] = {}
    sums: dict[str, Bound] = {}
    membranes: dict[str, Bound] = {}
    magnitudes: dict[str, int] = {}
    factor, timing = coding_factor(graph), graph.timing
    done = _last_readers(graph)
    for number, node in enumerate(graph):
        passed(number)
        if isinstance(node, InputNode):
            flows[node.name] = Flow.of_input(node)
            continue
        if isinstance(node, Delayed):
            sender = graph.nodes[node.of]
            assert isinstance(sender, Population | InputNode)  # the rules of the profile
            flows[node.name] = Flow.emitted(sender) if isinstance(sender, Population) else Flow.of_input(sender)
            magnitudes[node.name] = flows[node.name].step.magnitude
            continue
        arriving = _arriving(graph, node, flows)
        if isinstance(node, Population | Readout):
            within(node.name, magnitude(node.v_init), "an initial membrane")
            within(node.name, magnitude(node.theta) if isinstance(node, Population) else 0, "a threshold")
            accumulators[node.name], sums[node.name] = _bounds_of(node.name, arriving)
            membrane = _membrane(graph, timing, node, arriving)
            membranes[node.name] = _bound(node.name, membrane, "a membrane")
            charge = (max(timing.emission_steps, factor) + 1) * arriving.partial
            magnitudes[node.name] = charge + membrane.magnitude
            if isinstance(node, Readout):
                magnitudes[node.name] *= graph.emission_steps if node.decode == "sum" else 1
                magnitudes[node.name] *= 1 if node.leak is None else CubaLIF.inflation
            if isinstance(node, Population):
                magnitudes[node.name] += int(node.theta.max())
                magnitudes[node.name] *= node.neuron.inflation
                if node.neuron.multiplied:  # counts are kept in the numbers of membranes
                    magnitudes[node.name] = max(magnitudes[node.name], node.neuron.reach(graph.timesteps))
                flows[node.name] = Flow.emitted(node)
        else:
            flow = flows[node.name] = _through(node, arriving)
            # Branches are added before the operation: what cancels in their sum does not in its parts.
            gathered = arriving.partial if len(node.sources) > 1 else 0
            magnitudes[node.name] = factor * max(flow.partial, gathered)
            if isinstance(node, MaxPool):  # it compares what its sources have sent in all steps
                sent = graph.nodes[node.sources[0]]
                total = graph.emission_steps * flow.partial if graph.sequences else 0
                total = sent.neuron.reach(graph.emission_steps) if isinstance(sent, Population) else total
                magnitudes[node.name] = max(magnitudes[node.name], total)
            accumulators[node.name], sums[node.name] = _bounds_of(node.name, flow)
        for source in done.get(node.name, ()):
            del flows[source]  # a large network has more of them than fit in memory
    return Ranges(accumulators, sums, membranes, magnitudes)


def _affordable(graph: IntegerGraph) -> None:
    """Raise ``RangeError`` where the bounds of one node do not fit the memory."""
    sizes = {node.name: math.prod(node.output_shape) for node in graph}
    largest = max(sizes, key=lambda name: sizes[name])
    what = f"{largest}: the bounds of its {sizes[largest]} outputs"
    require_memory(what, _BYTES_PER_OUTPUT * sizes[largest], "use smaller maps or less padding")


def _last_readers(graph: IntegerGraph) -> dict[str, list[str]]:
    """The nodes that no later node reads, by the last that does, be it as one of merged branches."""
    last: dict[str, str] = {}
    for node in graph:
        for source in node.sources:
            last |= {source: node.name} | dict.fromkeys(graph.nodes[source].sources, node.name)
    done: dict[str, list[str]] = {}
    for source, reader in last.items():
        done.setdefault(reader, []).append(source)
    return done


def _arriving(graph: IntegerGraph, node: Node, flows: Mapping[str, Flow]) -> Flow:
    """The sum of what the sources send; branches from one neuron are bounded as one synapse."""
    parts = {name: flows[name] for name in node.sources}
    for names, synapse in merged_branches(graph, node):
        together = _through(synapse, added([flows[source] for source in synapse.sources]))
        apart = sum(parts.pop(name).partial for name in names)
        parts[names[0]] = replace(together, partial=apart)
    return added(list(parts.values()))


def coding_factor(graph: IntegerGraph) -> int:
    """Layerwise, what T emissions of 1 by one neuron add up to (the sum of the place values); pipelined, 1."""
    return 1 if graph.schedule == "pipelined" else sum(graph.place_values)


def _through(node: Operation, flow: Flow) -> Flow:
    steady, steady_partial = _image_of(node, flow.steady)
    driven, driven_partial = _image_of(node, flow.driven)
    passed = _image_of(node, flow.bias)[0]
    if not isinstance(node, Synapse):
        return Flow(steady, driven, passed, steady_partial + driven_partial)
    bias = Repeated.constant(node.spread_bias())
    return Flow(steady + bias, driven, passed + bias, steady_partial + driven_partial + bias.magnitude)


def _image_of(node: Operation, interval: Repeated) -> tuple[Repeated, int]:
    """Range of ``node`` (without bias) over all inputs in ``interval``, and the bound on its partial sums."""
    within(node.name, interval.magnitude, "the sum of its sources")
    low, high, partial, repeats = node.interval_once(interval.once.low, interval.once.high, interval.repeats)
    return Repeated(Interval(low, high), repeats), partial


def _membrane(graph: IntegerGraph, timing: Timing, node: Population | Readout, flow: Flow) -> Repeated:
    """Ranges of membranes are those of each neuron by itself: of neurons that are the same, one is looked at."""
    repeats = _alike(node, flow)
    node, steady, driven = _once(node, repeats), flow.steady.at(repeats), flow.driven.at(repeats)
    return Repeated(_membrane_once(graph, timing, node, steady, driven), repeats)


def _alike(node: Population | Readout, flow: Flow) -> Repeats:
    """Rows and columns of neurons of which the same is known. Kinds and leaks with numbers of their own for each neuron
    have none."""
    facts = node.neuron if isinstance(node, Population) else node.leak
    if facts is not None and any(isinstance(value, np.ndarray) for value in vars(facts).values()):
        return Repeats.nowhere(node.shape)
    own = Repeats.of(node.v_init, node.theta) if isinstance(node, Population) else Repeats.of(node.v_init)
    return own & flow.steady.repeats & flow.driven.repeats


def _once(node: Population | Readout, repeats: Repeats) -> Population | Readout:
    start = repeats.once(node.v_init)
    if isinstance(node, Population):
        return replace(node, shape=start.shape, v_init=start, theta=repeats.once(node.theta))
    return replace(node, shape=start.shape, v_init=start)


def _membrane_once(
    graph: IntegerGraph, timing: Timing, node: Population | Readout, steady: Interval, driven: Interval
) -> Interval:
    start = constant(node.v_init)
    if graph.schedule == "layerwise":
        received = _received(graph, start, steady, driven)
        return received if isinstance(node, Readout) else EMPTYING(node.neuron)(node, received)
    steps, step = graph.timesteps if isinstance(node, Readout) else timing.driven_steps, steady + driven
    if isinstance(node, Readout) and node.leak is None:
        return start + step.with_zero.scaled(steps) + driven.with_zero.scaled(graph.drain)
    currents = [step] * steps + [driven] * graph.drain
    if isinstance(node, Readout) and node.leak is not None:
        return leaked(node.leak, start, currents)
    assert isinstance(node, Population)
    return CHARGING(node.neuron)(node, start, currents, timing)


def _received(graph: IntegerGraph, start: Interval, steady: Interval, driven: Interval) -> Interval:
    """Layerwise: range of the membrane up to the first emission, when everything has arrived. Partial sums, from zero
    on, are included."""
    if graph.weighted:
        driven = driven.scaled(coding_factor(graph))  # shifted in before v_init and the constant part are added
        return (start + steady + driven).union(driven).with_zero
    return (start + (steady + driven).with_zero.scaled(graph.timesteps)).with_zero

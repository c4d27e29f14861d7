"""The general path: every kind of neuron step by step, membranes measured, numbers in dtypes that cannot round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor

from spikec.analysis.ranges import Ranges
from spikec.errors import GraphError, RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.integers import VALUE_MAX
from spikec.ir.operations import Operation
from spikec.ir.walks import groups
from spikec.simulation.emission import Emission, Result
from spikec.simulation.engines.biases import bias_currents
from spikec.simulation.engines.codes import from_raster, from_value, raster_of
from spikec.simulation.engines.delaying import late_at, later
from spikec.simulation.engines.neurons import BEGIN, EMIT_ALL, FIRE, Currents, Neurons, Parameters, integrate
from spikec.simulation.engines.widening import neurons_as, widened
from spikec.simulation.paths import Kernel, Path, Reason
from spikec.simulation.registers import EXACT, Registers, Watch, accumulator

#: Bytes of one image by those of what is alive around a node: copies in other types, membranes and what convolutions
#: take. ResNet-18 at 224 x 224 has 31 MB where 6.4 are alive.
_WORKING = 5


@dataclass(frozen=True)
class Signal:
    """What a node sends. ``driven`` [S, N, *shape]: the part due to spikes, per step (layerwise: S = 1, the number the
    emissions code). ``image`` [N, *shape] or None: the part due to the constant image, the same at every step. The
    network keeps the part due to biases.
    """

    driven: Tensor | None = None
    image: Tensor | None = None


class Network:
    """Executes chunks of images of any graph and shows every membrane to a watch.

    It goes node by node in topological order, all steps of a node at once, and drops what no later node reads. Where
    accumulators are watched, sums cannot be superposed: the image is then sent at every step like spikes, and the
    layerwise schedule receives step by step.
    """

    def __init__(self, graph: IntegerGraph, ranges: Ranges, registers: Registers = EXACT) -> None:
        self.graph = graph
        self._superposed = not registers.accumulators
        self._pipelined = graph.schedule == "pipelined"
        self._groups = groups(graph)
        # With cycles, nodes are not computed in the order of the graph: nothing is dropped then.
        last_use = {source: node.name for node in graph for source in node.sources}
        self._last_use = {} if graph.delayed else last_use
        # The image enters once, beside the emissions, where those have place values of their own; at T = 1 too, since
        # what is summed in one register must not depend on T.
        self._once = graph.weighted or (graph.constant_steps == 1 and graph.timesteps > 1)
        self._radix = _radix(graph)
        chosen = {n.name: _dtype(n, ranges) for n in graph}
        self._dtype = {name: dtype for name, (dtype, _) in chosen.items()}
        self._widened = {name: why for name, (_, why) in chosen.items()}
        self._cycles = {node.name for group in self._groups if len(group) > 1 for node in group}
        self._weight = widened(graph.synapses, self._dtype)
        self.parameters = {p.name: Parameters.of(p, self._dtype[p.name]) for p in graph.populations}
        self._bias = bias_currents(graph, self._dtype)

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the largest working set of one image: what is alive around a node, with workspace."""
        steps = self.graph.emission_steps if self._pipelined or not self._superposed else 1
        alive: dict[str, int] = {}
        peak = 1
        for node in self.graph:
            size = math.prod(node.output_shape) * self._dtype[node.name].itemsize
            alive[node.name] = size * steps
            peak = max(peak, sum(alive.values()))
            alive = {name: b for name, b in alive.items() if self._last_use.get(name) != node.name}
        return _WORKING * peak

    def order(self, images: int, may_stop: bool) -> str:
        """In which order a chunk is computed."""
        return "layer after layer, cycles step after step" if self._cycles else "layer after layer"

    def path(self, node: Node, images: int, may_stop: bool) -> Path:
        """How a node is computed, and why in that dtype."""
        if node.name in self._cycles:
            kernel = Kernel.CYCLE
        else:
            kernel = Kernel.EVERY_STEP if self._pipelined or not self._superposed else Kernel.AT_ONCE
        return Path(node.name, kernel, str(self._dtype[node.name]).removeprefix("torch."), self._widened[node.name])

    def run(self, integers: Tensor, watches: Mapping[str, Watch], *, events: bool, spikes: bool) -> Result:
        """Execute ``integers`` int64 [N, *input shape], with a watch per population and readout; ``events`` and
        ``spikes`` say what is wanted beside the counts."""
        signals: dict[str, Signal] = {}
        emissions: dict[str, Emission] = {}
        readouts: dict[str, Tensor] = {}
        for group in self._groups:
            if len(group) > 1:
                for name, signal in Cycle(self, group, len(integers), watches).run(signals).items():
                    signals[name], sender = signal, self.graph.nodes[name]
                    if isinstance(sender, Population) and signal.driven is not None:
                        emissions[name] = from_raster(self.graph, sender, signal.driven, spikes=spikes)
                continue
            node = group[0]
            if isinstance(node, InputNode):
                signals[node.name] = self._image(integers)
                continue
            if isinstance(node, Delayed):
                signals[node.name] = Signal(_later(signals[node.of], node))
                continue
            arriving = self.gather(node, [signals[source] for source in node.sources], watches)
            if isinstance(node, Population):
                watch = watches[node.name]
                if self._pipelined:
                    sent = self._fire(node, arriving, len(integers), watch)
                    emissions[node.name] = from_raster(self.graph, node, sent, spikes=spikes)
                else:
                    received = self._received(node, arriving, len(integers), watch)
                    value = EMIT_ALL(node.neuron)(self.parameters[node.name], received, self.graph.timing, watch)
                    emissions[node.name] = from_value(self.graph, node, value, spikes=spikes)
                    sent = value[None] if self._superposed else raster_of(self.graph, node, value).transpose(0, 1)
                signals[node.name] = Signal(sent)
            elif isinstance(node, Readout):
                readouts[node.name] = self._read(node, arriving, len(integers), watches[node.name])
            else:
                signals[node.name] = self.apply(node, arriving, watches)
            for source in node.sources:
                if self._last_use.get(source) == node.name:
                    del signals[source]
        return Result(emissions, readouts)

    def _image(self, integers: Tensor) -> Signal:
        if self.graph.sequences:
            return Signal(integers.transpose(0, 1))
        if self._superposed or self._once:
            return Signal(image=integers)
        steps = self.graph.emission_steps if self._pipelined else self.graph.timesteps
        driven = integers.expand(steps, *integers.shape)
        if self.graph.drain:
            driven = driven.clone()
            driven[steps - self.graph.drain :] = 0
        return Signal(driven)

    def gather(self, node: Node, flows: Sequence[Signal], watches: Mapping[str, Watch]) -> Signal:
        """The sum of what the sources of a node send; ``flows``: one signal each."""
        dtype = self._dtype[node.name]

        def total(parts: list[Tensor]) -> Tensor | None:
            return reduce(torch.add, (part.to(dtype) for part in parts)) if parts else None

        found = Signal(
            total([flow.driven for flow in flows if flow.driven is not None]),
            total([flow.image for flow in flows if flow.image is not None]),
        )
        if isinstance(node, Population | Readout):
            _hold(found, watches.get(accumulator(node.name)))
        return found

    def apply(self, node: Operation, x: Signal, watches: Mapping[str, Watch]) -> Signal:
        """What an operation sends, without its biases."""
        weight = self._weight.get(node.name)
        driven = None
        if x.driven is not None:
            driven = node.apply_to_steps(x.driven, weight, self._radix)
        found = Signal(driven, None if x.image is None else node.apply(x.image, weight))
        _hold(found, watches.get(accumulator(node.name)))
        return found

    def steady(self, node: Population | Readout, x: Signal) -> Tensor:
        """Image and bias current of one step, [N or 1, *shape]."""
        bias = self._bias[node.name]
        if bias is None:
            bias = torch.zeros(node.shape, dtype=self._dtype[node.name])
        return bias[None] if x.image is None else x.image + bias

    def _received(self, node: Population | Readout, x: Signal, images: int, watch: Watch) -> Tensor:
        """Layerwise: the membrane after all T steps arrived, plus the constant part as often as the kind takes it."""
        if not self._superposed:
            return self._received_stepwise(node, x, images, watch)
        constant = self.graph.constant_steps * self.steady(node, x)
        v = neurons_as(node.v_init, self._dtype[node.name]) + constant
        return (v if x.driven is None else v + x.driven[0]).expand(images, *node.shape).clone()

    def _received_stepwise(self, node: Population | Readout, x: Signal, images: int, watch: Watch) -> Tensor:
        """The same, step by step in a register whose watch sees every partial sum. Where steps have place values, each
        step first multiplies what came before, and the constant part enters last."""
        start = neurons_as(node.v_init, self._dtype[node.name]).expand(images, *node.shape)
        steady = self.steady(node, x)
        steps = self.graph.timesteps
        v = torch.zeros_like(start) if self._once else start.clone()
        for step in range(steps):
            if self._radix != 1:
                v *= self._radix
            if x.driven is not None:
                v += x.driven[step]
            if not self._once:
                v += steady
            elif step == steps - 1:
                v += start + steady
            watch.see(v)
        return v

    def _fire(self, node: Population, x: Signal, images: int, watch: Watch) -> Tensor:
        steps = self.graph.emission_steps
        currents = Currents(x.driven, self.steady(node, x), steps, steps - self.graph.drain)
        return FIRE(node.neuron)(self.parameters[node.name], currents, watch, images, self.graph.timing)

    def _read(self, node: Readout, x: Signal, images: int, watch: Watch) -> Tensor:
        if not self._pipelined:
            v = self._received(node, x, images, watch)
            watch.see(v)
            return v[None]
        steps = self.graph.timesteps + self.graph.drain
        currents = Currents(x.driven, self.steady(node, x), steps, self.graph.timesteps)
        return integrate(node, currents, watch, images, self._dtype[node.name])


def _hold(signal: Signal, watch: Watch | None) -> None:
    """Put the sums of every step, and those of the image, through the register of an accumulator, in place, if it is
    watched."""
    if watch is None:
        return
    for sums in (*(() if signal.driven is None else signal.driven), *(() if signal.image is None else (signal.image,))):
        watch.see(sums)


def _radix(graph: IntegerGraph) -> int:
    """The factor for what has arrived, before the emissions of the next step are added to it. Raises ``GraphError`` for
    place values that no such factor gives."""
    values = graph.place_values
    ratios = {a // b if a % b == 0 else 0 for a, b in pairwise(values)} or {1}
    if len(ratios) > 1 or 0 in ratios or values[-1] != 1:
        raise GraphError(
            f"kinds {graph.kind_names}: place values {list(values)} must fall by one whole factor from step to step, "
            "down to 1"
        )
    return ratios.pop()


def _dtype(node: Node, ranges: Ranges) -> tuple[torch.dtype, Reason | None]:
    """The cheapest dtype in which no partial sum of the node can be rounded, and why no cheaper one."""
    magnitude = 255 if isinstance(node, InputNode) else ranges.magnitudes[node.name]
    if magnitude < 2**24:
        return torch.float32, None
    if magnitude < 2**53:
        return torch.float64, Reason.beyond("its sum", magnitude, 2**24, "float32")
    if magnitude <= VALUE_MAX:
        return torch.int64, Reason.beyond("its sum", magnitude, 2**53, "float64")
    raise RangeError(f"{node.name}: a value may reach {magnitude}, beyond 62 bits; use fewer steps or smaller weights")


class Cycle:
    """One run of the nodes of a cycle, step by step: what a population emits comes back some steps later."""

    def __init__(self, network: Network, group: tuple[Node, ...], images: int, watches: Mapping[str, Watch]) -> None:
        self._network, self._group, self._watches = network, group, watches
        self._neurons: dict[str, Neurons] = {}
        self._emitted: dict[str, Tensor] = {}
        self._steps = network.graph.emission_steps
        for node in group:
            if isinstance(node, Population):
                begin, parameters = BEGIN(node.neuron), network.parameters[node.name]
                neurons = self._neurons[node.name] = begin(parameters, images, network.graph.timing)
                self._emitted[node.name] = neurons.v.new_zeros((self._steps, *neurons.v.shape))

    def run(self, outside: Mapping[str, Signal]) -> dict[str, Signal]:
        """What the nodes send in all steps; ``outside``: what other nodes sent."""
        sent: dict[str, list[Signal]] = {node.name: [] for node in self._group if isinstance(node, Operation)}
        own = {node.name for node in self._group}
        needed = {source for node in self._group for source in node.sources} - own
        for step in range(self._steps):
            now = {name: _at(outside[name], step) for name in needed}
            for node in self._group:
                now[node.name] = self._step(node, step, now)
                if node.name in sent:
                    sent[node.name].append(now[node.name])
        whole = {name: Signal(raster) for name, raster in self._emitted.items()}
        return whole | {name: _joined(signals) for name, signals in sent.items()}

    def _step(self, node: Node, step: int, now: Mapping[str, Signal]) -> Signal:
        if isinstance(node, Delayed):
            return Signal(late_at(self._emitted[node.of], node, step))
        arriving = self._network.gather(node, [now[source] for source in node.sources], self._watches)
        if isinstance(node, Operation):
            return self._network.apply(node, arriving, self._watches)
        assert isinstance(node, Population)  # neither input nor readout lies on a cycle
        terms = [] if arriving.driven is None else [arriving.driven[0]]
        if step < self._steps - self._network.graph.drain:
            terms.append(self._network.steady(node, arriving))
        out = self._emitted[node.name][step]
        self._neurons[node.name].step(terms, self._watches[node.name], out)
        return Signal(out[None])


def _later(signal: Signal, node: Delayed) -> Tensor:
    """What was sent, [S, N, *shape], later."""
    if signal.driven is None:
        raise GraphError(f"{node.of}: an image that stays the same cannot come later; delays are for sequences")
    return later(signal.driven, node)


def _at(signal: Signal, step: int) -> Signal:
    """The part of a signal that belongs to one step."""
    return Signal(None if signal.driven is None else signal.driven[step : step + 1], signal.image)


def _joined(signals: Sequence[Signal]) -> Signal:
    """Signals of single steps as one."""
    driven = [signal.driven for signal in signals if signal.driven is not None]
    return Signal(torch.cat(driven) if driven else None, signals[0].image)

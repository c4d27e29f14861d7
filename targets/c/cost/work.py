"""Integer operations and memory traffic of a run, node by node: what the loops of the generated code do.

From a trace the numbers are those of its images: which neurons sent something is known, so every addition is counted.
Without one they are those of the worst image, in which every neuron sends in every step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from spikec.energy.fanout import fan_outs
from spikec.errors import DataError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Node, Population, Readout, leak_of
from spikec.ir.operations import Convolution, MaxPool, Operation, SumPool, Synapse
from spikec.ir.operations.reshaping import Reshaping
from spikec.simulation.trace import Trace
from spikec.targets.c.code import Source
from spikec.targets.c.code.geometry import Geometry
from spikec.targets.c.code.text import Identifiers

#: How the code of a synapse goes over its inputs: it looks for those that are not zero, takes all of them, has a list
#: of the weights that are not zero for each, or goes channel by channel.
Form = Literal["looks for spikes", "takes all", "list", "channel by channel"]
_INDEX_BYTES = 2
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Work:
    """One node, per image. ``additions``: a weight added to a sum; of them, ``products`` multiply first, ``grouped``
    are added four at a time where so many spikes meet, and ``unpacked`` take a weight out of a byte of several.
    ``searched``: inputs that are looked at, most of them in search of spikes; ``updates``: neurons that integrate, fire
    and reset, each with ``levels`` comparisons; ``leaks``: those of them whose current and membrane decay; ``moved``:
    numbers set, copied or pooled. ``loaded`` and ``stored``: bytes, where every addition reads and writes its sum."""

    name: str
    what: str
    additions: float = 0.0
    products: float = 0.0
    grouped: float = 0.0
    unpacked: float = 0.0
    searched: float = 0.0
    updates: float = 0.0
    levels: int = 1
    leaks: float = 0.0
    moved: float = 0.0
    loaded: float = 0.0
    stored: float = 0.0

    @property
    def operations(self) -> float:
        """Additions, multiplications and comparisons of numbers; those of addresses and loops are not among them."""
        neurons = self.updates * (2 + 2 * self.levels) + 4 * self.leaks
        return self.additions + self.products + self.searched + neurons + self.moved


def work(graph: IntegerGraph, source: Source, trace: Trace | None = None) -> tuple[Work, ...]:
    """In network order. Raises ``DataError`` for a trace that does not hold the counts of each image, or of another
    graph."""
    return tuple(_Counter(graph, source, trace).all())


class _Counter:
    def __init__(self, graph: IntegerGraph, source: Source, trace: Trace | None) -> None:
        self._graph, self._source = graph, source
        self._ids = Identifiers(graph.nodes)
        self._sizes = {**source.memory.state, **source.memory.parts}
        self._layerwise = graph.schedule == "layerwise"
        self._steps = _steps(graph, source, trace)
        rehearsed = graph.timing.rehearsal / graph.emission_steps
        self._runs = 1.0 if self._layerwise else self._steps * (1 + rehearsed)
        self._active = {p.name: self._senders(p, trace) for p in graph.populations}
        if graph.sequences:
            self._active[graph.input.name] = _frames(graph, trace, self._steps)
        self._of_image, self._driven = _reached(graph)

    def all(self) -> Iterator[Work]:
        for node in self._graph:
            if isinstance(node, Synapse):
                yield self._synapse(node)
            elif isinstance(node, Population | Readout):
                yield self._neurons(node)
            elif isinstance(node, SumPool | MaxPool):
                yield self._pool(node)

    def _senders(self, node: Population, trace: Trace | None) -> Float64:
        """How often each neuron has something to send, per image: in steps; layerwise, whether at all."""
        if trace is None:
            return np.full(node.shape, self._runs)
        known = trace.counts if self._layerwise else trace.events or trace.event_totals
        values = known.get(node.name)
        if values is None or values.shape[-len(node.shape) :] != node.shape:
            raise DataError(
                f"the trace has no counts of layer {node.name!r} for each image: make it with simulate(graph, images, "
                "counts=True)"
            )
        if self._layerwise:
            return np.asarray((values != 0).mean(axis=0))
        total = values.sum(axis=0, dtype=np.int64) if values.ndim > len(node.shape) else values
        return np.asarray(total / trace.images * (self._runs / self._steps))

    def _synapse(self, node: Synapse) -> Work:
        weight = _weight_bytes(self._source, self._ids[node.name], node)
        total, dense = self._sum_bytes(node), float(node.fan_out(node.structure()).sum())
        form, inputs = self._form(node), math.prod(node.input_shape)
        image = dense if node.name in self._of_image else 0.0  # once, whatever the pixels are
        driven = self._driven_additions(node, form, dense) if node.name in self._driven else 0.0
        passes = float(image > 0) + (self._runs if node.name in self._driven else 0.0)
        plain = form == "looks for spikes" and self._binary(node)
        additions, searched = image + driven, 0.0 if form == "channel by channel" else inputs * passes
        indices = driven * _INDEX_BYTES if form == "list" else 0.0
        return Work(
            node.name,
            node.described(),
            additions,
            products=image if plain else additions,
            grouped=additions if form in ("looks for spikes", "takes all") else 0.0,
            unpacked=additions if weight < 1 else 0.0,
            searched=searched,
            loaded=additions * (weight + total) + searched + indices,
            stored=additions * total + searched,
        )

    def _driven_additions(self, node: Synapse, form: Form, dense: float) -> float:
        """Of spikes that meet in one place of a pool the code sees their sum, so there may be fewer."""
        if form in ("takes all", "channel by channel"):
            return dense * self._runs
        found = 0.0
        for origin, fan in fan_outs(self._graph, node).items():
            if origin in self._active:
                each = fan.nonzero if form == "list" else fan.synapses
                found += float((self._active[origin] * each).sum())
        return min(found, dense * self._runs)

    def _form(self, node: Synapse) -> Form:
        name = self._ids[node.name]
        if f"starts_{name}" in self._source.memory.constants:
            return "list"
        if isinstance(node, Convolution) and Geometry.of(node).depthwise:
            return "channel by channel"
        chosen = re.search(rf"^#define {self._source.name}_ALL_{name} (\d)", self._source.body, re.MULTILINE)
        return "looks for spikes" if chosen and chosen.group(1) == "0" else "takes all"

    def _binary(self, node: Synapse) -> bool:
        """Whether what it reads are spikes of 0 or 1."""
        if self._layerwise:
            return self._graph.timesteps == 1
        senders = [self._graph.nodes[name] for name in node.sources]
        while any(isinstance(sender, Reshaping) for sender in senders):
            senders = [
                self._graph.nodes[name]
                for sender in senders
                for name in (sender.sources if isinstance(sender, Reshaping) else (sender.name,))
            ]
        return all(isinstance(sender, Population) and sender.neuron.emission == (0, 1) for sender in senders)

    def _neurons(self, node: Population | Readout) -> Work:
        name, size = self._ids[node.name], math.prod(node.shape)
        membrane, arriving = self._bytes("v", name, size), self._bytes("z", name, size) + self._bytes("x", name, size)
        sent = self._bytes("e", name, size)
        updates = size * self._runs
        direct = sum(1 for source in node.sources if not isinstance(self._graph.nodes[source], Operation))
        cleared = updates if self._bytes("z", name, size) else 0.0
        moved = cleared + 2 * size + direct * updates  # sums of a step; the start; what arrives without a weight
        levels = 0 if isinstance(node, Readout) else self._levels(node)
        what = "readout" if isinstance(node, Readout) else f"{node.neuron.name} neurons"
        loaded = updates * (membrane + arriving) + moved * membrane
        stored = updates * (membrane + sent) + moved * membrane
        leaks = updates if leak_of(node) is not None else 0.0
        return Work(
            node.name, what, updates=updates, levels=levels, leaks=leaks, moved=moved, loaded=loaded, stored=stored
        )

    def _levels(self, node: Population) -> int:
        """Comparisons with thresholds of one update: levels are counted bit by bit."""
        low, high = node.neuron.emission
        most = node.neuron.reach(self._graph.timesteps) if self._layerwise else high
        return max(1, most).bit_length() + (1 if low < 0 else 0)

    def _pool(self, node: SumPool | MaxPool) -> Work:
        """Every place of every window is read in every step, and once for an image."""
        parts = (1.0 if node.name in self._of_image else 0.0) + (self._runs if node.name in self._driven else 0.0)
        taken = math.prod(node.output_shape) * math.prod(node.kernel) * parts
        return Work(node.name, node.word, moved=taken, loaded=2 * taken, stored=taken)

    def _bytes(self, kind: str, name: str, size: int) -> float:
        """Bytes of one number of a member of the state; 0 where there is none."""
        return self._sizes.get(f"{kind}_{name}", 0) / size

    def _sum_bytes(self, node: Synapse) -> float:
        """Bytes of the sums that a synapse adds to: those of the layer behind it, or of its own."""
        own, size = self._ids[node.name], math.prod(node.output_shape)
        found = [self._bytes(kind, own, size) for kind in ("d", "i")]
        for reader in self._graph.consumers(node.name):
            if isinstance(reader, Population | Readout):
                found += [self._bytes(kind, self._ids[reader.name], size) for kind in ("z", "v", "x")]
        return next((each for each in found if each), 4.0)


def _steps(graph: IntegerGraph, source: Source, trace: Trace | None) -> float:
    """Steps of one image, on average over those of a trace."""
    if trace is None or trace.steps is None:
        return float(trace.timesteps if graph.sequences and trace is not None else source.steps)
    return float(trace.steps.mean())


def _frames(graph: IntegerGraph, trace: Trace | None, steps: float) -> Float64:
    """How many steps each number of the frames of a sequence is not zero in."""
    if trace is None or trace.input_events is None:
        return np.full(graph.input.shape, steps)
    return np.asarray(trace.input_events / trace.images)


def _weight_bytes(source: Source, name: str, node: Synapse) -> float:
    """Bytes of one weight: its array by the number of weights, or one byte where several nodes share it."""
    size = source.memory.constants.get(f"w_{name}")
    if size is None or f"starts_{name}" in source.memory.constants:
        return 1.0
    return min(1.0, size / node.weight_count)


def _reached(graph: IntegerGraph) -> tuple[set[str], set[str]]:
    """Nodes that the constant image reaches without passing a neuron, and those that spikes or frames do."""
    image: set[str] = set()
    driven: set[str] = set()
    for node in graph:
        if isinstance(node, InputNode):
            (driven if graph.sequences else image).add(node.name)
            continue
        if any(source in image and not _sends(graph.nodes[source]) for source in node.sources):
            image.add(node.name)
        if any(source in driven or _sends(graph.nodes[source]) for source in node.sources):
            driven.add(node.name)
    return image, driven


def _sends(node: Node) -> bool:
    return not isinstance(node, Operation | InputNode | Readout)


def totals(found: tuple[Work, ...]) -> Mapping[str, float]:
    """Sums over all nodes."""
    names = ("additions", "products", "searched", "updates", "leaks", "moved", "operations", "loaded", "stored")
    return {name: sum(float(getattr(each, name)) for each in found) for name in names}

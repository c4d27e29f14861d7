"""How each node of a graph is computed where spikes are counted, prepared once, and why by no faster kernel."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from spikec.analysis.ranges import Ranges
from spikec.ir.graph import IntegerGraph, Node, Population, Readout
from spikec.ir.operations import Operation, Synapse
from spikec.simulation.engines.biases import bias_currents
from spikec.simulation.engines.choosing import accumulated, beyond_float32, dtype_of, top_level
from spikec.simulation.engines.counting import COUNTING, ON_COUNTS
from spikec.simulation.engines.widening import neurons_as, widened
from spikec.simulation.kernels.halves import HalvedSynapse, halved_synapse
from spikec.simulation.kernels.int8 import U8_MAX, Int8Synapse, channels_last, exact_synapse
from spikec.simulation.kernels.stages import Stage, stage_of
from spikec.simulation.paths import Kernel, Path, Reason


class Ways:
    """Prepares the kernels of a graph that :func:`~spikec.simulation.engines.choosing.supports` accepts."""

    def __init__(self, graph: IntegerGraph, ranges: Ranges, watched: Collection[str] = ()) -> None:
        """``watched``: neurons whose membranes have to be seen; see :func:`~.choosing.watched`."""
        self.graph, self._watched = graph, {p.name for p in graph.populations if p.name in watched}
        self._pipelined = graph.schedule == "pipelined"
        self._last_use = {source: node.name for node in graph for source in node.sources}
        self._bounds = {name: accumulated(graph, ranges, name) for name in graph.nodes if name != graph.input.name}
        #: Why a node computes in float64, of those that do.
        self._beyond = {
            node.name: reason
            for node in graph
            if node is not graph.input and (reason := beyond_float32(graph, ranges, node)) is not None
        }
        self._dtype = {name: dtype_of(self._beyond.get(name)) for name in graph.nodes}
        self._bias = bias_currents(graph, self._dtype)
        pipelined = range(1, graph.emission_steps + 1)
        #: How often image and bias have been added after each step.
        self._times = (
            [min(t, graph.emission_steps - graph.drain) for t in pipelined]
            if self._pipelined
            else [graph.constant_steps]
        )
        self._arriving: dict[str, int | None] = {}  # largest accumulated count at the input of a node; None: not u8
        self._top: dict[str, int | None] = {}  # the same at its output
        self._int8: dict[str, Int8Synapse | Reason] = {}  # some of them run in a stage
        self._sums: dict[str, Int8Synapse | HalvedSynapse | Reason] = {}  # how the others sum
        self._stages: dict[str, Stage] = {}
        self._unstaged: dict[str, Reason] = {}  # why a population has no stage
        self._stage_of: dict[str, str] = {}  # the population in whose stage a synapse runs
        self._pixels: set[str] = set()  # synapses in a stage that read the image
        self._too_large: dict[str, Reason] = {}  # what the largest count of a node would be a reason for
        self._weight = widened(graph.synapses, self._dtype)
        self._highest = {p.name: top_level(graph, p) for p in graph.populations}
        self._shift = {
            p.name: [
                channels_last(torch.as_tensor(s).to(self._dtype[p.name])[None]) for s in COUNTING(p.neuron).shifts(p)
            ]
            for p in graph.populations
        }
        self._driven = {p.name for p in graph.populations}  # and linear nodes that spikes reach
        for node in graph:
            if isinstance(node, Operation) and not self._driven.isdisjoint(node.sources):
                self._driven.add(node.name)
        #: By how much the counts may grow in a step, of populations that read the constant image alone; see there.
        self._even = {p.name: p.neuron.emission[1] for p in graph.populations if self._is_even(p)}
        self._shift = {name: shifts[:1] if name in self._even else shifts for name, shifts in self._shift.items()}
        for node in graph:
            self._prepare(node)
        for node in (n for n in graph.synapses if n.name not in self._stage_of):
            self._sums[node.name] = self._summed(node)
        #: Of neurons that divide by themselves, and of readouts: v_init and theta [1, *shape].
        self._start, self._theta = {}, {}
        neurons: tuple[Population | Readout, ...] = (*graph.populations, *graph.readouts)
        for node in (n for n in neurons if n.name not in self._stages):
            dtype = self._dtype[node.name]
            self._start[node.name] = channels_last(neurons_as(node.v_init, dtype)[None])
            if isinstance(node, Population):
                self._theta[node.name] = channels_last(neurons_as(node.theta, dtype)[None])
        self.kernels = {node.name: self._kernel(node) for node in graph if node is not graph.input}

    def _prepare(self, node: Node) -> None:
        tops = [self._top[source] for source in node.sources]
        total = sum(t or 0 for t in tops)
        arriving = self._arriving[node.name] = None if not tops or None in tops or total > U8_MAX else total
        self._top[node.name] = None
        if isinstance(node, Synapse):
            self._int8[node.name] = self._not_u8(node) if arriving is None else exact_synapse(node, arriving)
        elif isinstance(node, Population):
            top = self._top[node.name] = self._highest[node.name]
            even = node.name in self._even
            shifts = list(COUNTING(node.neuron).shifts(node))[: 1 if even else None]
            restarted = node.neuron.rehearsal > 0 and not even
            stage: Stage | Reason = Reason("its membrane is not proven to fit, and is watched")
            if node.name not in self._watched:
                stage = stage_of(
                    self.graph,
                    node,
                    self._int8,
                    self._arriving,
                    self._bounds,
                    top,
                    self._times,
                    shifts,
                    membranes=restarted,
                )
            if isinstance(stage, Reason):
                self._unstaged[node.name] = stage
            else:
                self._stages[node.name] = stage
                self._stage_of |= dict.fromkeys((node.name, *node.sources), node.name)
                self._pixels.update(s for s in node.sources if self.graph.input.name in self.graph.nodes[s].sources)
        elif isinstance(node, Operation) and node in ON_COUNTS and arriving is not None:
            zero = np.zeros(node.input_shape, np.int64)
            top = int(node.interval(zero, zero + arriving)[1].max())
            self._top[node.name] = top if top <= U8_MAX else None
            self._too_large[node.name] = Reason.beyond("the counts it sends", top, U8_MAX + 1, "u8")

    def _summed(self, node: Synapse) -> Int8Synapse | HalvedSynapse | Reason:
        """The kernel of a synapse that runs in no stage, or why there is none."""
        kernel = self._int8[node.name]
        if node.name not in self._beyond or not (self._reads_pixels(node) or self._arriving[node.name] is not None):
            return kernel
        return halved_synapse(node)

    def _reads_pixels(self, node: Node) -> bool:
        """Whether a node reads the image, and nothing else, in 8 bits without a sign."""
        return node.sources == (self.graph.input.name,) and self.graph.input.dtype == "uint8"

    def _is_even(self, node: Population) -> bool:
        """Whether clip(q, 0, K t) is the count of a population after step t."""
        if not self._pipelined or self.graph.drain or not COUNTING(node.neuron).even:
            return False
        return self._driven.isdisjoint(node.sources) and bool(((node.v_init >= 0) & (node.v_init < node.theta)).all())

    def _not_u8(self, node: Node) -> Reason:
        """Why what arrives at a node is not u8."""
        for source in node.sources:
            if self._top[source] is None:
                return Reason(f"{source} sends it other numbers than counts of 8 bits")
        return Reason.beyond("the counts it reads together", sum(self._top[s] or 0 for s in node.sources), 256, "u8")

    def _kernel(self, node: Node) -> Kernel:
        """How a node is computed; what runs looks here."""
        name = node.name
        if name in self._stage_of:
            if isinstance(node, Population):
                return Kernel.IN_KERNEL
            stage = self._stages[self._stage_of[name]]
            if stage.identity is not None and stage.identity.name == name:
                return Kernel.BESIDE
            return Kernel.ROUNDS if stage.rounds else Kernel.SCALES
        if isinstance(node, Readout):
            return Kernel.READS
        if isinstance(node, Population):
            return Kernel.PASSES if COUNTING(node.neuron).passes else Kernel.DIVIDES
        summed = self._sums.get(name)
        if isinstance(summed, HalvedSynapse):
            return Kernel.HALVES
        if name not in self._driven:
            return Kernel.ONCE
        if isinstance(summed, Int8Synapse):
            return Kernel.SUMS
        return Kernel.FLOAT if self._top[name] is None else Kernel.COUNTS

    def path(self, node: Node, images: int, may_stop: bool) -> Path:
        """How a node is computed in such a chunk, and why."""
        name, kernel = node.name, self.kernels[node.name]
        u8 = kernel in (Kernel.ROUNDS, Kernel.COUNTS, Kernel.IN_KERNEL, Kernel.DIVIDES, Kernel.PASSES)
        why: Reason | None = None
        dtype = str(self._dtype[name]).removeprefix("torch.")
        if kernel in (Kernel.SCALES, Kernel.BESIDE):
            stage = self._stages[self._stage_of[name]]
            u8, dtype, why = stage.rounds, "float32", stage.behind
        elif kernel is Kernel.DIVIDES:
            why = self._unstaged[name]
        elif kernel in (Kernel.SUMS, Kernel.ONCE, Kernel.HALVES, Kernel.READS):
            unstaged = (self._unstaged[n.name] for n in self.graph.consumers(name) if n.name in self._unstaged)
            why = self._beyond.get(name) or next(unstaged, None)
        elif kernel is Kernel.FLOAT:
            why = self._wide(node)
        return Path(name, kernel, "uint8" if u8 else dtype, why)

    def _wide(self, node: Node) -> Reason:
        """Why a linear node that spikes reach has no 8-bit kernel."""
        refused = self._sums.get(node.name)
        if isinstance(refused, Reason):
            return refused
        if node not in ON_COUNTS:
            return Reason(str(ON_COUNTS.refusal(node)))
        return self._not_u8(node) if self._arriving[node.name] is None else self._too_large[node.name]

"""From an integer graph to Lava processes, connections and delays.

Time. A population or relay receives and sends within one step; every synapse and pool sends what it computed the step
before. A population that must see several steps first (all T of them with ``layerwise``, or a rehearsal) begins to emit
at the last of those steps. The *arrival* of a node is the Lava step at which it receives logical step 0 of its input
(:mod:`spikec.targets.lava.alignment`). Where branches meet, relays delay the earlier ones until the latest arrival.
Windows then need no other alignment, and the result is that of a network without delays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

import spikec.ir as ig
from spikec.errors import MissingImplementation
from spikec.ir.delays import least
from spikec.ir.kinds import Maximum
from spikec.targets.lava import atrlif, kinds, lif
from spikec.targets.lava.alignment import Alignment, align
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.connected import check_connected
from spikec.targets.lava.currents import constant_currents
from spikec.targets.lava.operations import Reading
from spikec.targets.lava.paths import (
    ATRLIF,
    CURRENT_SOURCE,
    DELAYED,
    FRAME_SOURCE,
    IMAGE_SOURCE,
    INTEGRATOR,
    LEAKY_INTEGRATOR,
    MAX_POOL,
    READOUTS,
    RELAY,
    SPIKE_RECORDER,
    InputCoding,
)

Array = npt.NDArray[Any]

#: Suffixes of the processes beside a stock neuron.
CURRENT, RECORDER = ":current", ":spikes"
_WINDOWED = READOUTS | {IMAGE_SOURCE, FRAME_SOURCE, CURRENT_SOURCE, MAX_POOL, DELAYED}


@dataclass(frozen=True)
class ProcessSpec:
    """One Lava process.

    ``path``: its class (``module:class``). ``arrival``: the Lava step of its logical step 0. ``parameters``: scalars.
    ``arrays``: in Lava's layout. ``emits``: the largest magnitude of one emission if the process records what it emits,
    else 0.
    """

    path: str
    name: str
    arrival: int
    parameters: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    emits: int = 0

    @property
    def process(self) -> str:
        """Name of the Process class."""
        return self.path.partition(":")[2]

    @property
    def windowed(self) -> bool:
        """Whether it runs in windows, one per image, and reports the steps it has done."""
        return self.emits > 0 or self.path in _WINDOWED


@dataclass(frozen=True)
class Connection:
    """An edge from an out-port to an in-port. ``views``: shapes that its values are read in, one after the other, each
    in C, H, W order, while ports of maps are (W, H, C)."""

    source: str
    target: str
    views: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Plan:
    """All processes in topological order, all connections, and ``tail``: the Lava steps that the last window, once it
    has entered, needs to leave. N windows take ``N * steps * pace + tail`` Lava steps, where a logical step takes
    ``pace`` of them. A window is for one image, or for several that go side by side.

    ``ATRLIF`` does not reset itself. With such neurons, an image enters only when the one before has left and
    ``tail + 1`` steps without any spike have passed, so that no synapse holds a sum any more.
    """

    processes: tuple[ProcessSpec, ...]
    connections: tuple[Connection, ...]
    steps: int
    tail: int
    input_coding: InputCoding
    one_by_one: bool = False
    pace: int = 1

    @property
    def stride(self) -> int:
        """Lava steps from the start of one window to the start of the next."""
        return sum(self.pieces) if self.one_by_one else self.steps * self.pace

    @property
    def pieces(self) -> tuple[int, int]:
        """With one image at a time: Lava steps until it has left, and silent Lava steps after it."""
        return self.steps * self.pace + self.tail, self.tail + 1

    @property
    def latency(self) -> int:
        """Lava steps from an image's first step to its last output."""
        readouts = [p for p in self.processes if p.path in READOUTS]
        return max(int(p.arrival + self.pace * (p.parameters["count_steps"] - 1) + 1) for p in readouts)

    def lava_steps(self, windows: int) -> int:
        """Lava steps for a number of windows."""
        return windows * self.stride + (0 if self.one_by_one else self.tail)


def make_plan(
    graph: ig.IntegerGraph,
    input_coding: InputCoding,
    *,
    stock: Mapping[str, str] | None = None,
    alignment: Alignment | None = None,
) -> Plan:
    """Map a graph. Raises ``DoesNotFit`` where Lava's processes cannot hold it.

    ``stock``: populations that become neurons of Lava's own, each with the path of its process; beside them there is a
    recorder, and a source of their constant current where there is one. ``alignment``: that of the graph, where known.
    """
    return _Planner(graph, input_coding, stock or {}, alignment or align(graph, input_coding)).plan()


class _Planner:
    def __init__(
        self, graph: ig.IntegerGraph, input_coding: InputCoding, stock: Mapping[str, str], alignment: Alignment
    ) -> None:
        self._graph, self._coding, self._stock, self._alignment = graph, input_coding, stock, alignment
        self._processes: list[ProcessSpec] = []
        self._connections: list[Connection] = []
        self._leaving: dict[str, int] = {}  # process name -> Lava step at which its logical step 0 leaves
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._readings: dict[str, Reading] = {}
        self._radix = kinds.radix(graph)
        # What enters once enters at the last step, whose emissions stand for 1.
        once = any(p.neuron.constant_once for p in graph.populations)
        first_step = graph.timesteps - 1 if once else 0
        self._input_window = {"first_step": first_step, "input_steps": graph.timing.driven_steps}

    def plan(self) -> Plan:
        for node in self._graph:
            self._place(node)
        placed = [node.name for node in self._graph if node.name in self._leaving]
        check_connected(placed, [(c.source, c.target) for c in self._connections])
        return Plan(
            tuple(self._processes),
            tuple(self._connections),
            steps=self._graph.emission_steps,
            tail=max(self._leaving.values(), default=0),
            input_coding=self._coding,
            one_by_one=ATRLIF in self._stock.values(),
            pace=self._alignment.pace,
        )

    def _place(self, node: ig.Node) -> None:
        match node:
            case ig.InputNode():
                if self._coding == "graded":
                    self._add(self._source(node), node.shape, 0)
            case ig.Delayed():
                sender, listens = self._graph.nodes[node.of], self._alignment.arrivals[node.of]
                if isinstance(sender, ig.Population):
                    listens += self._alignment.delay(self._graph, sender)
                # It passes on at once what counts as the input of some steps later; the rest of a delay waits in it.
                soonest = least(node.steps)
                more = np.full(node.shape, 0) if isinstance(node.steps, int) else np.array(node.steps) - soonest
                settings = {"shape": node.shape[::-1], "late": soonest}
                arrays = {"more": lava_layout(more.reshape(node.shape))}
                earlier = -soonest * self._alignment.pace
                self._add(ProcessSpec(DELAYED, node.name, listens, settings, arrays), node.shape, earlier)
                self._connections.append(Connection(node.of, node.name))
            case ig.Operation():
                if node.name in self._alignment.operations:  # else: computed on the host, part of the constant current
                    self._operation(node)
            case ig.Population() if node.name in self._stock:
                self._stock_population(node, self._join(node))
            case ig.Population():
                delay = self._alignment.delay(self._graph, node)
                self._add(self._population(node, self._join(node), delay), node.shape, delay)
            case ig.Readout():
                self._add(self._readout(node, self._join(node)), node.shape, 0)
            case _:
                raise MissingImplementation(f"{type(node).__name__} has no place in a Lava network")

    def _source(self, node: ig.InputNode) -> ProcessSpec:
        settings = {"shape": node.shape[::-1]}
        if self._graph.sequences:
            return ProcessSpec(FRAME_SOURCE, node.name, 0, settings)
        return ProcessSpec(IMAGE_SOURCE, node.name, 0, settings | self._input_window)

    def _operation(self, node: ig.Operation) -> None:
        made = self._alignment.operations[node.name]
        if isinstance(made, Reading):
            self._readings[node.name] = made
        else:
            windowed = {"radix": self._radix} if made.follows else {}
            spec = ProcessSpec(made.path, node.name, self._join(node), made.parameters | windowed, made.arrays)
            self._add(spec, node.output_shape, 1)

    def _add(self, spec: ProcessSpec, shape: tuple[int, ...], delay: int) -> None:
        self._processes.append(spec)
        self._leaving[spec.name] = spec.arrival + delay
        self._shapes[spec.name] = shape[::-1]

    def _origins(self, node: ig.Node) -> list[Connection]:
        """The processes whose sum this node reads."""
        found: list[Connection] = []
        for name in node.sources:
            if name in self._readings:
                view = self._readings[name].view
                through = self._origins(self._graph.nodes[name])
                found += [replace(c, target=node.name, views=c.views + ((view,) if view else ())) for c in through]
            elif name in self._leaving:
                found.append(Connection(name, node.name))
        return found

    def _join(self, node: ig.Node) -> int:
        """Connect the sources of a node, aligned in time. Returns their common arrival."""
        origins = self._origins(node)
        arrival = self._alignment.arrivals[node.name]
        taken: set[str] = set()
        for number, connection in enumerate(origins):
            slack = arrival - self._leaving[connection.source]
            # Lava identifies the connections of an in-port by their source, so a second one also needs a relay.
            if slack or connection.source in taken:
                name = f"relay:{connection.source}:{node.name}:{number}"
                settings = {"shape": self._shapes[connection.source], "delay": slack}
                relay = ProcessSpec(RELAY, name, arrival - slack, settings)
                self._add(relay, self._shapes[connection.source][::-1], slack)
                self._connections.append(Connection(connection.source, name))
                connection = replace(connection, source=name)
            taken.add(connection.source)
            self._connections.append(connection)
        return arrival

    def _stock_population(self, node: ig.Population, arrival: int) -> None:
        settings = {"shape": node.shape[::-1]}
        if self._stock[node.name] == ATRLIF:
            made = atrlif.part(node)
        else:
            made = lif.part(node, arrival, self._graph.emission_steps)
        current = ProcessSpec(CURRENT_SOURCE, f"{node.name}{CURRENT}", arrival, settings)
        neurons = ProcessSpec(made.path, node.name, arrival, made.parameters, made.arrays)
        count_steps = {"count_steps": self._graph.timing.counted_steps}
        recorder = ProcessSpec(SPIKE_RECORDER, f"{node.name}{RECORDER}", arrival, settings | count_steps, emits=1)
        driven = [current] if self._is_driven(node) else []
        for spec in (*driven, neurons, recorder):
            self._add(spec, node.shape, 0)
        self._connections += [Connection(spec.name, node.name) for spec in driven]
        self._connections.append(Connection(node.name, recorder.name))

    def _is_driven(self, node: ig.Population) -> bool:
        """Whether a constant current can reach a population."""
        return self._coding == "current" or bool(constant_currents(self._graph, None)[node.name].any())

    def _population(self, node: ig.Population, arrival: int, delay: int) -> ProcessSpec:
        numbers, per_neuron = kinds.fields(node)
        settings = {
            "emit_delay": delay,
            "schedule": self._graph.schedule,
            "timesteps": self._graph.timesteps,
            "input_steps": self._graph.timing.driven_steps,
            "count_steps": self._graph.timing.counted_steps,
            **numbers,
        }
        if isinstance(node.neuron, Maximum):
            settings["radix"] = self._radix
        values = {"theta": node.theta, "v_init": node.v_init, **per_neuron}
        arrays = {key: lava_layout(value) for key, value in values.items()}
        low, high = node.neuron.emission
        path = kinds.LAVA_PROCESSES(node.neuron)
        return ProcessSpec(path, node.name, arrival, settings, arrays, emits=max(high, -low))

    def _readout(self, node: ig.Readout, arrival: int) -> ProcessSpec:
        settings = {
            "schedule": self._graph.schedule,
            "radix": self._radix,
            "count_steps": self._graph.timing.counted_steps,
            "decode": node.decode,
            **self._input_window,
        }
        arrays = {"v_init": lava_layout(node.v_init)}
        if node.leak is None:
            return ProcessSpec(INTEGRATOR, node.name, arrival, settings, arrays)
        arrays |= {name: lava_layout(getattr(node.leak, name)) for name in ("du", "dv", "bias")}
        return ProcessSpec(LEAKY_INTEGRATOR, node.name, arrival, settings, arrays)

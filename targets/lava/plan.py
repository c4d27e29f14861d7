"""From an integer graph to Lava processes, connections and delays.

Time. A population or relay receives and sends within one step; every synapse and pool sends what it computed the step
before. A population that must see a whole window first (``layerwise``: T steps, ``calibrated_if``: rho) begins to emit
at the last of those steps. The *arrival* of a node is the Lava step at which logical step 0 of its input is there;
branches that meet are brought to the latest arrival by relays. Windows then need no other alignment, and the result is
that of a network without delays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import toolchain.ir.integer as ig
from targets.lava.arithmetic import lava_layout
from toolchain.errors import DoesNotFit

InputCoding = Literal["current", "graded"]
Array = npt.NDArray[Any]

_INT8 = 127
#: Suffixes of the processes beside a stock neuron.
CURRENT, RECORDER = ":current", ":spikes"
#: Lava's neurons hold a weight of 1 as 64.
_ATRLIF_UNIT = 64
_PROCESS_OF_KIND = {
    "if": "SoftResetIF",
    "signed_if": "SignedIF",
    "calibrated_if": "CalibratedIF",
    "bit_serial": "BitSerialIF",
    "graded": "GradedIF",
}


@dataclass(frozen=True)
class ProcessSpec:
    """One Lava process: class, name, scalar parameters, arrays in Lava's layout, Lava step of its logical step 0."""

    process: str
    name: str
    arrival: int
    parameters: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Connection:
    """An edge from an out-port to an in-port; ``flatten`` reorders (W, H, C) to the C, H, W order of flat maps."""

    source: str
    target: str
    flatten: bool = False


@dataclass(frozen=True)
class Plan:
    """All processes in topological order, all connections, and ``tail``: the Lava steps after the last window has
    entered until it has left. N images take ``N * steps + tail`` Lava steps.

    With stock neurons, which do not reset themselves, an image enters when the one before has left, and between them
    are ``tail + 1`` steps in which nothing fires, until no synapse holds a sum any more.
    """

    processes: tuple[ProcessSpec, ...]
    connections: tuple[Connection, ...]
    steps: int
    tail: int
    input_coding: InputCoding
    one_by_one: bool = False

    @property
    def stride(self) -> int:
        """Lava steps from an image to the next."""
        return sum(self.pieces) if self.one_by_one else self.steps

    @property
    def pieces(self) -> tuple[int, int]:
        """One image at a time: Lava steps until it has left, and of the silence after it."""
        return self.steps + self.tail, self.tail + 1

    @property
    def latency(self) -> int:
        """Lava steps from an image's first step to its output."""
        readout = next(p for p in self.processes if p.process == "Integrator")
        return int(readout.arrival + readout.parameters["count_steps"])

    def lava_steps(self, images: int) -> int:
        """Lava steps for a number of images."""
        return images * self.stride if self.one_by_one else images * self.steps + self.tail


def make_plan(graph: ig.IntegerGraph, input_coding: InputCoding, *, atrlif: frozenset[str] = frozenset()) -> Plan:
    """Map a graph; populations named in ``atrlif`` become Lava's own neurons, with a source of their constant current
    and a recorder beside them. Raises ``DoesNotFit`` where Lava's processes cannot hold the graph."""
    return _Planner(graph, input_coding, atrlif).plan()


class _Planner:
    def __init__(self, graph: ig.IntegerGraph, input_coding: InputCoding, atrlif: frozenset[str]) -> None:
        self._graph, self._coding, self._atrlif = graph, input_coding, atrlif
        self._processes: list[ProcessSpec] = []
        self._connections: list[Connection] = []
        self._leaving: dict[str, int] = {}  # process name -> Lava step at which its logical step 0 leaves
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._steps = graph.emission_steps
        bit_serial = any(p.kind == "bit_serial" for p in graph.populations)
        self._radix = 2 if bit_serial else 1
        self._first_input_step = graph.timesteps - 1 if bit_serial else 0
        self._input_steps = graph.timesteps if graph.drain else self._steps

    def plan(self) -> Plan:
        for node in self._graph:
            self._place(node)
        tail = max(self._leaving.values(), default=0)
        alone = bool(self._atrlif)
        return Plan(tuple(self._processes), tuple(self._connections), self._steps, tail, self._coding, alone)

    def _place(self, node: ig.Node) -> None:
        match node:
            case ig.InputNode():
                if self._coding == "graded":
                    settings = {"shape": node.shape[::-1], **self._input_window()}
                    self._add(ProcessSpec("ImageSource", node.name, 0, settings), node.shape, 0)
            case ig.Flatten():
                pass  # a way of reading its sources
            case ig.Population() if node.name in self._atrlif:
                self._stock_population(node, self._join(node))
            case ig.Population():
                arrival = self._join(node)
                delay = self._emit_delay(node)
                self._add(self._population(node, arrival, delay), node.shape, delay)
            case ig.Readout():
                arrival = self._join(node)
                count = self._graph.timesteps + self._graph.drain
                settings = {
                    "schedule": self._graph.schedule,
                    "radix": self._radix,
                    "count_steps": count,
                    **self._input_window(),
                }
                arrays = {"v_init": lava_layout(node.v_init)}
                self._add(ProcessSpec("Integrator", node.name, arrival, settings, arrays), node.shape, 0)
            case _:
                if self._origins(node):  # else: computed on the host, part of the constant current
                    spec = _linear(node)
                    self._add(replace(spec, arrival=self._join(node)), node.output_shape, 1)

    def _input_window(self) -> dict[str, int]:
        return {"first_step": self._first_input_step, "input_steps": self._input_steps}

    def _add(self, spec: ProcessSpec, shape: tuple[int, ...], delay: int) -> None:
        self._processes.append(spec)
        self._leaving[spec.name] = spec.arrival + delay
        self._shapes[spec.name] = shape[::-1]

    def _origins(self, node: ig.Node) -> list[Connection]:
        """The processes whose sum this node reads."""
        found: list[Connection] = []
        for name in node.sources:
            source = self._graph.nodes[name]
            if isinstance(source, ig.Flatten):
                flatten = len(source.input_shape) > 1
                found += [replace(c, target=node.name, flatten=c.flatten or flatten) for c in self._origins(source)]
            elif name in self._leaving:
                found.append(Connection(name, node.name))
        return found

    def _join(self, node: ig.Node) -> int:
        """Connect the sources of a node, aligned in time; returns their common arrival."""
        origins = self._origins(node)
        arrival = max((self._leaving[c.source] for c in origins), default=0)
        taken: set[str] = set()
        for number, connection in enumerate(origins):
            slack = arrival - self._leaving[connection.source]
            # Lava tells the connections of an in-port apart by their source: a second one needs a relay, too.
            if slack or connection.source in taken:
                name = f"relay:{connection.source}:{node.name}:{number}"
                relay = ProcessSpec(
                    "Relay", name, arrival - slack, {"shape": self._shapes[connection.source], "delay": slack}
                )
                self._add(relay, self._shapes[connection.source][::-1], slack)
                self._connections.append(Connection(connection.source, name))
                connection = replace(connection, source=name)
            taken.add(connection.source)
            self._connections.append(connection)
        return arrival

    def _stock_population(self, node: ig.Population, arrival: int) -> None:
        half = int(node.theta.flat[0]) // 2
        settings = {"shape": node.shape[::-1]}
        current = ProcessSpec("CurrentSource", f"{node.name}{CURRENT}", arrival, settings)
        arrays = {"v": (lava_layout(node.v_init) - half) * _ATRLIF_UNIT}
        neurons = ProcessSpec("ATRLIF", node.name, arrival, {"half_theta": half}, arrays)
        count_steps = {"count_steps": self._graph.timesteps + self._graph.drain}
        recorder = ProcessSpec("SpikeRecorder", f"{node.name}{RECORDER}", arrival, settings | count_steps)
        for spec in (current, neurons, recorder):
            self._add(spec, node.shape, 0)
        self._connections += [Connection(current.name, node.name), Connection(node.name, recorder.name)]

    def _emit_delay(self, node: ig.Population) -> int:
        if node.kind == "calibrated_if":
            return (node.rho or 1) - 1
        return self._graph.timesteps - 1 if self._graph.schedule == "layerwise" else 0

    def _population(self, node: ig.Population, arrival: int, delay: int) -> ProcessSpec:
        if node.kind == "calibrated_if" and self._graph.schedule == "layerwise":
            raise DoesNotFit(f"{node.name}: calibrated_if neurons run with the schedule 'pipelined' only")
        settings: dict[str, Any] = {
            "emit_delay": delay,
            "schedule": self._graph.schedule,
            "timesteps": self._graph.timesteps,
            "input_steps": self._input_steps,
            "count_steps": self._graph.timesteps + self._graph.drain,
        }
        arrays = {"theta": lava_layout(node.theta), "v_init": lava_layout(node.v_init)}
        if node.kind == "signed_if":
            theta_neg = np.ones_like(node.theta) if node.theta_neg is None else node.theta_neg
            arrays["theta_neg"] = lava_layout(theta_neg)
        if node.kind == "graded":
            settings["levels"] = node.levels or 1
        if node.kind == "calibrated_if":
            settings["rho"] = node.rho or 1
        return ProcessSpec(_PROCESS_OF_KIND[node.kind], node.name, arrival, settings, arrays)


def _linear(node: ig.Node) -> ProcessSpec:
    match node:
        case ig.Convolution():
            return _convolution(node)
        case ig.Affine():
            return _affine(node)
        case ig.SumPool():
            settings = {
                "input_shape": node.input_shape[::-1],
                "output_shape": node.output_shape[::-1],
                "kernel": node.kernel[::-1],
                "stride": node.stride[::-1],
            }
            return ProcessSpec("SumPool", node.name, 0, settings)
    raise DoesNotFit(f"{node.name}: there is no Lava process for {type(node).__name__}")


def _affine(node: ig.Affine) -> ProcessSpec:
    """Lava's 8-bit signed ``Dense`` keeps even weights only: twice the weight, and one bit less of exponent."""
    factor = 2**node.weight_exp
    mantissa = node.weight // factor
    if (mantissa * factor != node.weight).any() or mantissa.min() < -128 or mantissa.max() > _INT8:
        raise DoesNotFit(f"{node.name}: its weights are not 8-bit integers times 2**{node.weight_exp}")
    settings = {"weight_exp": node.weight_exp - 1}
    return ProcessSpec("Dense", node.name, 0, settings, {"weights": 2 * mantissa})


def _convolution(node: ig.Convolution) -> ProcessSpec:
    """Lava's ``Conv``: (O, W, H, I) weights, kernel flipped, W before H, small parameters in 8 bits."""
    weight, groups = _few_groups(node.weight, node.groups)
    settings = {
        "input_shape": node.input_shape[::-1],
        "stride": node.stride[::-1],
        "padding": node.padding[::-1],
        "dilation": node.dilation[::-1],
        "groups": groups,
    }
    for name, values in (("kernel size", weight.shape[2:]), ("stride", node.stride), ("padding", node.padding)):
        if max(values) > _INT8:
            raise DoesNotFit(f"{node.name}: {name} {max(values)} does not fit Lava's Conv, which holds at most {_INT8}")
    if max(node.dilation) > _INT8:
        raise DoesNotFit(f"{node.name}: dilation {max(node.dilation)} does not fit Lava's Conv (at most {_INT8})")
    flipped = np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))
    return ProcessSpec("Conv", node.name, 0, settings, {"weight": flipped})


def _few_groups(weight: Array, groups: int) -> tuple[Array, int]:
    """The same convolution with at most 127 groups: neighbouring groups become one, block-diagonal."""
    if groups <= _INT8:
        return weight, groups
    fewer = max(n for n in range(1, _INT8 + 1) if groups % n == 0)
    merged = groups // fewer
    out, channels, *size = weight.shape
    blocks = weight.reshape(fewer, merged, out // groups, channels, *size)
    wide = np.zeros((fewer, merged, out // groups, merged, channels, *size), weight.dtype)
    for m in range(merged):
        wide[:, m, :, m] = blocks[:, m]
    return wide.reshape(out, merged * channels, *size), fewer

"""The integer graph: what every consumer of a deployment file computes with.

A ``nir.NIRGraph`` of the profile ``spikec.nir/1`` is the file format and the public value;
:func:`spikec.ir.profile.decode.decode` verifies one and returns the :class:`IntegerGraph` below, whose arrays are int64
and whose nodes are in topological order. Simulators, targets, counters and rules read this and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from spikec.defaults import FORMAT
from spikec.display import Shown
from spikec.errors import GraphError
from spikec.ir.coding import InputNode
from spikec.ir.delays import Steps, suffix
from spikec.ir.identity import FOR_PEOPLE, identity
from spikec.ir.input_statistics import InputStatistics
from spikec.ir.kinds import CubaLIF, Kind, Maximum
from spikec.ir.kinds.together import facts_problems, sequence_problems, settings_problems
from spikec.ir.leak import Leak
from spikec.ir.measured import Measured
from spikec.ir.metadata import OUTPUT
from spikec.ir.operations import Operation, Synapse
from spikec.ir.timing import Timing
from spikec.ir.types import Int64, Schedule, Shape


@dataclass(frozen=True)
class Population:
    """A layer of spiking neurons of one kind; update rules in ``docs/semantics.md``.

    ``theta`` > 0 and ``v_init``: threshold and initial membrane, int64 of the neuron shape. ``scale``: real value of
    one emitted unit, float64 [1] or [C].
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape
    neuron: Kind
    theta: Int64
    v_init: Int64
    scale: npt.NDArray[np.float64] | None = field(default=None, metadata=FOR_PEOPLE)

    def __post_init__(self) -> None:
        if not isinstance(self.neuron, Kind):
            raise GraphError(f"{self.name}: its neurons are {self.neuron!r}; give a kind, such as spikec.ir.kinds.IF()")
        for problem in self.neuron.problems():
            raise GraphError(f"{self.name}: {problem}")

    @property
    def output_shape(self) -> Shape:
        return self.shape


#: How the membranes of a readout become its output.
Decode = Literal["membrane", "sum", "maximum"]
DECODES: tuple[Decode, ...] = get_args(Decode)


@dataclass(frozen=True)
class Readout:
    """The integrator before an output: ``v += z``; real value = output * scale, one scale for all of ``shape``.

    ``output``: the name of what it puts out (``Trace.outputs``); no two readouts of a graph share one. ``leak``: its
    current and membrane decay as those of ``cuba_lif``, without firing; None: they do not. ``decode``: the output is
    the ``membrane`` after the last step, or the ``sum`` or the ``maximum`` over all steps. ``signal``: the network
    returns signals (C, L), which are maps (C, 1, L) here.
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape
    v_init: Int64
    scale: float
    leak: Leak | None = None
    decode: Decode = "membrane"
    output: str = OUTPUT
    signal: bool = False

    @property
    def output_shape(self) -> Shape:
        return self.shape

    @property
    def returned(self) -> Shape:
        """The shape that the network returns."""
        return (self.shape[0], self.shape[2]) if self.signal else self.shape


@dataclass(frozen=True)
class Delayed:
    """What ``of``, a population or the input, sent ``steps`` steps before, all of it or each sender so many; nothing,
    in the first of them. One that closes a cycle is what feeds back: none of its delays is 0."""

    name: str
    of: str
    shape: Shape
    sources: tuple[str, ...] = ()
    steps: Steps = 1

    @classmethod
    def named(cls, of: str, shape: Shape, steps: Steps = 1) -> Delayed:
        """Its name cannot be that of a node in a file."""
        return cls(f"{of}:before{suffix(steps)}", of, shape, steps=steps)

    @property
    def output_shape(self) -> Shape:
        return self.shape


Node = InputNode | Operation | Population | Readout | Delayed


def leak_of(node: Node) -> Leak | None:
    """How current and membrane of a population or readout decay; None where they do not, and for other nodes. Membranes
    that leak are in 64ths of the unit of weights and thresholds, and hold 24 bits whatever the number format."""
    if isinstance(node, Readout):
        return node.leak
    if isinstance(node, Population) and isinstance(node.neuron, CubaLIF):
        return Leak.of(node.neuron, node.shape)
    return None


@dataclass(frozen=True, repr=False)
class IntegerGraph(Shown):
    """A verified deployment. ``nodes`` is in topological order and contains input and readouts; the input of a node is
    the sum of the outputs of its ``sources``. Where the input is a sequence, ``timesteps`` is only the length of the
    sequences at hand (:meth:`lasting`). ``format``: name of the number format it was lowered for, empty where none is
    known; ``info``: further settings of the conversion, for people; ``measured``: what the trained network and the
    graph got right when it was exported; ``calibrated``: what the calibration images were like."""

    nodes: dict[str, Node]
    timesteps: int
    schedule: Schedule
    drain: int = 0
    content_sha256: str = ""
    source_sha256: str = ""
    producer: str = ""
    info: dict[str, str] = field(default_factory=dict)
    format: str = ""
    measured: Measured | None = None
    calibrated: InputStatistics | None = None

    @cached_property
    def input(self) -> InputNode:
        return next(n for n in self.nodes.values() if isinstance(n, InputNode))

    @property
    def delayed(self) -> tuple[Delayed, ...]:
        return tuple(n for n in self.nodes.values() if isinstance(n, Delayed))

    @cached_property
    def deployment_sha256(self) -> str:
        """The identity of the deployment: SHA-256, in hexadecimal digits, over everything that changes what it computes
        (``docs/nir-profile.md``). Names of layers, and where it comes from, are no part of it."""
        steps = {} if self.sequences else {"timesteps": self.timesteps}
        return identity(
            [node for node in self if not isinstance(node, Delayed)],
            {node.name: (node.of, node.steps) for node in self.delayed},
            [readout.name for readout in self.readouts],
            {"schedule": self.schedule, "drain": self.drain, "format": self.format or FORMAT, **steps},
        )

    @property
    def sequences(self) -> bool:
        """Whether the input is a sequence of frames, one for each step."""
        return self.input.encoding == "sequence"

    def lasting(self, steps: int) -> IntegerGraph:
        """The same graph for sequences of ``steps`` steps."""
        return replace(self, timesteps=steps)

    @cached_property
    def readouts(self) -> tuple[Readout, ...]:
        """One for each output, in the order of the outputs."""
        return tuple(n for n in self.nodes.values() if isinstance(n, Readout))

    @property
    def readout(self) -> Readout:
        """The readout, where there is one. Raises ``GraphError`` where there are several."""
        found = self.readouts
        if len(found) > 1:
            listed = ", ".join(readout.output for readout in found)
            raise GraphError(f"the network has several outputs ({listed}); this needs a network of one output")
        return found[0]

    @cached_property
    def populations(self) -> tuple[Population, ...]:
        return tuple(n for n in self.nodes.values() if isinstance(n, Population))

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        return tuple(n for n in self.nodes.values() if isinstance(n, Synapse))

    @property
    def layers(self) -> tuple[Population | Readout, ...]:
        """Populations and readouts, in network order."""
        return tuple(n for n in self.nodes.values() if isinstance(n, Population | Readout))

    @cached_property
    def timing(self) -> Timing:
        """How long and in which order the layers run."""
        rehearsal = max((p.neuron.rehearsal for p in self.populations), default=0)
        return Timing(self.timesteps, self.schedule, self.drain, rehearsal)

    @property
    def emission_steps(self) -> int:
        """Steps every population emits: T + drain, or max(T, rho) where a calibrated population needs more."""
        return self.timing.emission_steps

    def kind_problems(self) -> list[str]:
        """Why its kinds cannot run like this, one sentence each: schedule, T, drain, kinds beside them, own facts."""
        found = [p.neuron for p in self.populations]
        fired = {type(kind) for kind in found if not isinstance(kind, Maximum)}  # a maximum is of one of these
        settings = settings_problems(fired, self.schedule, self.timesteps, self.drain)
        timed = sequence_problems(found, self.schedule, self.drain) if self.sequences else ()
        return [*settings, *facts_problems(found, self.timing), *timed]

    @property
    def constant_steps(self) -> int:
        """How many times image and biases are added: once per driven step, or once in all. Raises ``GraphError`` for
        kinds that disagree."""
        once = {p.neuron.constant_once for p in self.populations}
        if len(once) > 1:
            raise GraphError(f"kinds {self.kind_names} take image and biases differently: they cannot share a network")
        if once == {True}:
            return 1
        return self.timing.driven_steps if self.schedule == "pipelined" else self.timesteps

    @property
    def place_values(self) -> tuple[int, ...]:
        """What an emission of each of the T steps stands for. Raises ``GraphError`` for kinds that disagree."""
        found = {
            tuple(p.neuron.place_value(step, self.timesteps) for step in range(self.timesteps))
            for p in self.populations
        }
        if len(found) > 1:
            raise GraphError(f"kinds {self.kind_names} code numbers differently: they cannot share a network")
        return next(iter(found), (1,) * self.timesteps)

    @property
    def weighted(self) -> bool:
        """Whether emissions of different steps stand for different numbers."""
        return any(p.neuron.weighted for p in self.populations)

    @property
    def kind_names(self) -> str:
        """The kinds of its populations, for messages."""
        return ", ".join(sorted({p.neuron.name for p in self.populations}))

    def consumers(self, name: str) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes.values() if name in n.sources)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def _headline(self) -> str:
        neurons = sum(math.prod(population.shape) for population in self.populations)
        weights = sum(synapse.weight_count for synapse in self.synapses)
        return (
            f"{len(self.nodes)} nodes, {len(self.populations)} layers, {neurons:,} neurons, {weights:,} weights, "
            f"T {self.timesteps}, {self.schedule}"
        )

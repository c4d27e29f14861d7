"""A plain NIR form of a deployment: initial membranes travel through the graph instead of the metadata.

NIR's IF has no initial state, and no reader takes one from metadata. A clock of two neurons gives a single pulse at the
first step, and synapses carry ``v_init + 1/2`` from it into every population, so that a reader which starts all
membranes at zero and subtracts the threshold on a spike gives the spikes of the deployment. The half keeps every
membrane off the threshold: readers that compare with ``>`` and with ``>=`` agree.

The form is for reading in other simulators only. It holds neurons, spikes and synapses that the deployment does not
have: it carries no ``spikec`` metadata, so that nothing here maps it, runs it or counts on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import nir
import numpy as np
import numpy.typing as npt

from spikec.calls import named_arguments
from spikec.errors import GraphError
from spikec.implementations import Implementations
from spikec.ir.graph import IntegerGraph
from spikec.ir.integers import magnitude
from spikec.ir.kinds import IF, Kind
from spikec.ir.metadata import INPUT, KEY, TYPE_CHECK_OFF
from spikec.ir.operations import MaxPool, Unflatten
from spikec.ir.profile.build import build, requirements
from spikec.ir.profile.decode import as_integer
from spikec.ir.profile.nir_graph import NIRGraph
from spikec.ir.types import Shape
from spikec.words import average_pools

#: Metadata of the graph: how pixels become integers and outputs logits. Nothing in it is needed for the spikes.
NOTE = "spikec_portable"
_HALVES = 2**23  # float32 holds every half below


@named_arguments
def portable(graph: nir.NIRGraph | IntegerGraph) -> nir.NIRGraph:
    """Plain NIR with the spikes of ``graph``, for readers that start at zero and subtract the threshold.

    Input are the integers of the deployment's coding, the same at each of its T steps; the deployment's output is the
    sum of the outputs of these steps. (NIR has an integrator, but few readers know it.) The clock is exact for T steps,
    not beyond. Raises :class:`GraphError` for a graph that needs more than ``if`` neurons in the pipelined schedule:
    plain NIR cannot express it.

    >>> type(tc.portable(graph).nodes["output"]).__name__
    'Output'
    """
    integer = as_integer(graph)
    _check(integer)
    built = build(integer)
    for node in built.nodes.values():
        node.metadata = {name: value for name, value in node.metadata.items() if name != KEY}
    readout = integer.readout
    clock = _Clock(integer, {**built.nodes, readout.name: passing(readout.shape)})
    for population in integer.populations:
        clock.charge(population.name, population.v_init + 0.5)
    if readout.v_init.any():
        clock.charge(readout.name, readout.v_init.astype(np.float64))
    note = {
        "timesteps": integer.timesteps,
        "input_scale": integer.input.scale,
        "input_dtype": integer.input.dtype,
        "output_scale": readout.scale,
        "content_sha256": integer.content_sha256,
        "deployment_sha256": integer.deployment_sha256,
    }
    edges = [(str(a), str(b)) for a, b in built.edges] + clock.edges
    typed = TYPE_CHECK_OFF not in requirements(integer)
    return NIRGraph(nodes=clock.nodes, edges=edges, metadata={NOTE: note}, type_check=typed)


def passing(shape: Shape) -> nir.NIRNode:
    """A node with weights that passes on what it is given, of ``shape``."""
    eye, zeros = np.eye(shape[0], dtype=np.float32), np.zeros(shape[0], dtype=np.float32)
    if len(shape) == 1:
        return nir.Affine(weight=eye, bias=zeros)
    return nir.Conv2d((shape[1], shape[2]), eye[:, :, None, None], (1, 1), (0, 0), (1, 1), 1, zeros)


def _not_plain(names: str) -> GraphError:
    return GraphError(f"plain NIR has no neurons of kind {names}; a portable file needs kind {IF.name} (QCFS)")


#: Kinds that equal a NIR neuron exactly, once its membrane starts at v_init and it subtracts its threshold on a spike:
#: the clock below relies on that. An entry is the type of that NIR node.
PLAIN: Implementations[type[nir.NIRNode]] = Implementations(
    "plain NIR neuron", "spikec.ir.profile.portable.PLAIN", Kind, otherwise=_not_plain
)
PLAIN.register(IF)(nir.IF)


def _check(graph: IntegerGraph) -> None:
    if len(graph.readouts) > 1:
        listed = ", ".join(readout.output for readout in graph.readouts)
        raise GraphError(f"several outputs ({listed}): a portable file has one, which readers sum over the steps")
    if graph.sequences or graph.delayed:
        raise GraphError("the portable form is for images that stay the same, without delays; this graph is not")
    kinds = sorted({p.neuron.name for p in graph.populations if p.neuron not in PLAIN})
    if kinds:
        raise _not_plain(", ".join(kinds))
    for node in graph:
        if isinstance(node, MaxPool):
            raise GraphError(f"{node.name}: plain NIR has no max pool; use {average_pools()}")
        if isinstance(node, Unflatten):
            raise GraphError(f"{node.name}: plain NIR has no node that makes an image of the outputs of an Affine")
    for population in graph.populations:
        if population.neuron.multiplied:
            most = population.neuron.emission[1]
            raise GraphError(f"{population.name}: up to {most} spikes in a step; plain NIR has neurons that fire once")
    if graph.schedule != "pipelined":
        raise GraphError(f"plain NIR has no {graph.schedule} schedule; a portable file needs schedule pipelined")
    for population in graph.populations:
        reach = magnitude(population.v_init)
        if reach >= _HALVES:
            raise GraphError(f"{population.name}: v_init reaches {reach}; float32 holds halves below 2^23 only")


@dataclass
class _Clock:
    """Neurons A and B with threshold Th behind biases Th + 1 and Th - 4 and synapses of weight zero.

    Before firing at step t, A holds Th + t. B holds Th - 4 at t = 1 and 2 Th - 4 t later. While 4 T < Th, A fires at
    every step and B at every step but the first, and no membrane is ever exactly Th. So A - B is a pulse at step 1.
    """

    graph: IntegerGraph
    nodes: dict[str, nir.NIRNode]
    edges: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        threshold = float(2 ** (4 * self.graph.timesteps + 8).bit_length())
        bias = np.array([threshold + 1, threshold - 4], dtype=np.float32)
        shape = self.graph.input.shape
        synapse: nir.NIRNode
        if len(shape) == 3:
            weight = np.zeros((2, shape[0], 1, 1), dtype=np.float32)
            # One tap, at the corner of the image: the stride leaves no other.
            synapse = nir.Conv2d((shape[1], shape[2]), weight, (shape[1], shape[2]), (0, 0), (1, 1), 1, bias)
            neurons: Shape = (2, 1, 1)
        else:
            synapse = nir.Affine(weight=np.zeros((2, shape[0]), dtype=np.float32), bias=bias)
            neurons = (2,)
        zeros = np.zeros(neurons, dtype=np.float32)
        self.clock = self._add("clock", nir.IF(r=zeros + 1, v_threshold=zeros + threshold, v_reset=zeros))
        self.flat = "" if len(neurons) == 3 else self.clock
        driven = self._add("clock.bias", synapse)
        self.edges += [(INPUT, driven), (driven, self.clock)]

    def charge(self, target: str, state: npt.NDArray[np.float64]) -> None:
        """Feed ``state`` into the neurons of ``target`` at the first step."""
        source = self.clock
        synapse: nir.NIRNode
        if state.ndim == 3:
            synapse = _broadcast(state)
        else:
            source = self._flat_clock()
            weight = np.stack([state, -state], axis=1).astype(np.float32)
            synapse = nir.Affine(weight=weight, bias=np.zeros(state.size, dtype=np.float32))
        name = self._add(f"{target}.v_init", synapse)
        self.edges += [(source, name), (name, target)]

    def _flat_clock(self) -> str:
        if not self.flat:
            flatten = nir.Flatten(input_type={"input": np.array((2, 1, 1))}, start_dim=0, end_dim=-1)
            self.flat = self._add("clock.flatten", flatten)
            self.edges.append((self.clock, self.flat))
        return self.flat

    def _add(self, wanted: str, node: nir.NIRNode) -> str:
        name, number = wanted, 1
        while name in self.nodes:
            name, number = f"{wanted}_{number}", number + 1
        self.nodes[name] = node
        return name


def _broadcast(state: npt.NDArray[np.float64]) -> nir.Conv2d:
    """A convolution that takes A and B of a 1x1 image to +state and -state, [C, H, W].

    One pixel in much padding reads the kernel backwards. NIR 1.0.8 types square kernels only; where height and width
    differ by an odd number, equal padding on both sides needs stride 2 and every second tap.
    """
    _, height, width = state.shape
    longest = max(height, width)
    step = 2 if (height - width) % 2 else 1
    pad_h, pad_w = (step * (size + longest - 2) // 2 for size in (height, width))
    size = step * (longest - 1) + 1
    weight = np.zeros((state.shape[0], 2, size, size), dtype=np.float32)
    rows, columns = pad_h - step * np.arange(height), pad_w - step * np.arange(width)
    for neuron, sign in enumerate((1, -1)):
        weight[:, neuron, rows[:, None], columns[None, :]] = sign * state
    bias = np.zeros(state.shape[0], dtype=np.float32)
    return nir.Conv2d((1, 1), weight, (step, step), (pad_h, pad_w), (1, 1), 1, bias)

"""What importers of other frameworks are given: plain NIR nodes and, beside them, the state that NIR cannot hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import nir
import numpy as np
import numpy.typing as npt

import spikec.ir as ig
from spikec.analysis.ranges import bounds
from spikec.errors import DoesNotFit
from spikec.implementations import Implementations
from spikec.ir.kinds import IF, Kind
from spikec.ir.metadata import OUTPUT
from spikec.ir.profile.build import build
from spikec.ir.profile.portable import passing
from spikec.targets.interop.adapter import NODES
from spikec.words import average_pools

#: Below this, float32 holds every multiple of 1/2. Needed, since membranes start 1/2 above an integer.
_HALVES = 2**23

Float32 = npt.NDArray[np.float32]

#: The initial membrane of a population as a plain ``nir.IF``, before :func:`from_nir` adds 1/2.
PLAIN_NEURONS: Implementations[Callable[[ig.Population], ig.Int64]] = Implementations(
    "plain NIR neuron",
    "spikec.targets.interop.plain.PLAIN_NEURONS",
    of=Kind,
    otherwise=lambda name: DoesNotFit(f"simulators that read NIR have no neuron like {name}"),
)


@PLAIN_NEURONS.register(IF)
def _start(node: ig.Population) -> ig.Int64:
    if node.neuron.multiplied:
        most = node.neuron.emission[1]
        raise DoesNotFit(
            f"{node.name}: up to {most} spikes in a step; simulators that read NIR have neurons that fire once"
        )
    return node.v_init


@dataclass(frozen=True)
class PlainNetwork:
    """A network that importers can read, and its initial membranes.

    ``graph``: nodes without metadata, in topological order, with names that every importer accepts; its output is the
    readout's input. ``layers``: the name in ``graph`` of every population, by its name in the deployment.
    ``membranes``: the initial membranes of each population. ``readout``: those of the integrator.

    Importers differ in whether a membrane exactly on the threshold fires. ``membranes`` are 1/2 above ``v_init``, so
    this never occurs and both sorts of importers give the spikes of the deployment.
    """

    graph: nir.NIRGraph
    layers: dict[str, str]
    membranes: dict[str, Float32]
    readout: npt.NDArray[np.int64]

    def from_zero(self) -> PlainNetwork:
        """The same network with every membrane at 0, as importers start without help."""
        return replace(self, membranes={name: np.zeros_like(value) for name, value in self.membranes.items()})


def plain(graph: ig.IntegerGraph) -> PlainNetwork:
    """The plain network of a deployment.

    Raises ``DoesNotFit`` for neurons, operations and several outputs, which importers do not know, and if float32 might
    round a sum.
    """
    if len(graph.readouts) > 1:
        listed = ", ".join(readout.output for readout in graph.readouts)
        raise DoesNotFit(f"the network has several outputs ({listed}); simulators that read NIR give one")
    starts = {p.name: PLAIN_NEURONS(p.neuron)(p) for p in graph.populations}
    reach = max(bounds(graph).magnitudes.values())
    if reach >= _HALVES:
        raise DoesNotFit(
            f"a sum may reach {reach}, beyond the exact halves of float32 (2^23): these simulators would round it; "
            "use fewer weight bits or timesteps"
        )
    for node in graph:
        if isinstance(node, ig.MaxPool):
            raise DoesNotFit(f"{node.name}: simulators that read NIR have no max pool; use {average_pools()}")
        if isinstance(node, ig.Unflatten):
            raise DoesNotFit(f"{node.name}: simulators that read NIR make no image of the outputs of an Affine")
    built = build(graph)
    for name, held in built.nodes.items():
        if not isinstance(held, (*NODES, nir.Input, nir.I, nir.Output)):
            raise DoesNotFit(f"{name}: simulators that read NIR have no operation like {type(held).__name__}")
    return from_nir(built, order=list(graph.nodes), v_init=starts, readout=graph.readout.v_init)


def from_nir(
    graph: nir.NIRGraph, *, order: list[str], v_init: dict[str, ig.Int64], readout: npt.NDArray[np.int64]
) -> PlainNetwork:
    """The plain network of any flat NIR graph.

    ``order``: its node names, sources first. No importer knows the integrator (I) of the readout, so it is left out.
    What it reads becomes the output, and whoever runs the network sums that over the steps.
    """
    edges = [(str(a), str(b)) for a, b in graph.edges]
    nodes: dict[str, nir.NIRNode] = {}
    names: dict[str, str] = {}
    end = next(name for name in order if isinstance(graph.nodes[name], nir.I | nir.Output))
    for number, name in enumerate(order):
        if isinstance(graph.nodes[name], nir.I | nir.Output):
            continue
        # Importers replace dots and Python keywords in names, and not all of them avoid clashes.
        names[name] = "input" if isinstance(graph.nodes[name], nir.Input) else f"node{number}"
        nodes[names[name]] = _bare(graph.nodes[name])
    renamed = [(names[a], names[b]) for a, b in edges if a in names and b in names]
    ends = [names[a] for a, b in edges if b == end]
    if len(ends) > 1:
        # Importers sum what enters a node, but not what enters the output.
        nodes["sum"] = passing(readout.shape)
        renamed += [(end, "sum") for end in ends]
        ends = ["sum"]
    nodes[OUTPUT] = nir.Output(output_type={"output": np.array(readout.shape)})
    return PlainNetwork(
        graph=nir.NIRGraph(nodes=nodes, edges=[*renamed, (ends[0], OUTPUT)], metadata={}, type_check=False),
        layers={name: names[name] for name in v_init},
        membranes={names[name]: (value + 0.5).astype(np.float32) for name, value in v_init.items()},
        readout=readout,
    )


def _bare(node: nir.NIRNode) -> nir.NIRNode:
    fields = node.to_dict()
    fields.pop("metadata", None)
    bare: nir.NIRNode = nir.dict2NIRNode(fields)
    return bare

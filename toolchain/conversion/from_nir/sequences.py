"""NIR files with leaky neurons, cycles or inputs that change in time: the float network that lowering starts from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import nir
import numpy as np
import numpy.typing as npt

from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.delays import without_delays
from spikec.conversion.from_nir.dynamics import (
    FIRING,
    INTEGRATIONS,
    SILENT,
    Dynamics,
    Integration,
    dynamics,
    needs_dt,
    problems,
)
from spikec.conversion.from_nir.feedback import Edge, feedback_edges
from spikec.conversion.from_nir.flattening import flattened
from spikec.conversion.from_nir.naming import legal_names
from spikec.conversion.from_nir.shapes import output_shapes
from spikec.conversion.network import Provenance
from spikec.errors import ConversionError, DataError, GraphError
from spikec.ir.coding import InputRange, highest, lowest
from spikec.ir.metadata import metadata_of
from spikec.ir.profile.reading import read_nir
from spikec.ir.profile.hashes import content_sha256
from spikec.ir.profile.portable import NOTE

Float64 = npt.NDArray[np.float64]
Reading = Literal["last", "sum", "maximum"]

#: What a graph may hold between neurons.
LINEAR = (nir.Affine, nir.Linear, nir.Scale, nir.Conv1d, nir.Conv2d, nir.SumPool2d, nir.AvgPool2d, nir.Flatten)
_KNOWN = (nir.Input, nir.Output, *LINEAR, *FIRING, *SILENT)
_SHOWN, _EXAMPLES = 5, 32


@dataclass(frozen=True)
class SequenceNetwork:
    """A spiking network that runs on sequences, in float.

    ``nodes`` by name, in an order in which every node comes after its sources, but for the edges ``delays``, which
    carry what was sent so many steps before; ``sources`` and output ``shapes`` of each; ``neurons``: the step of each
    layer of neurons. ``readout``: the integrator at the end, None if the output sums up what its sources send.
    ``reading`` of its membrane. ``example``: sequences float64 [N, steps, *input shape] that lowering measures on.
    """

    nodes: Mapping[str, nir.NIRNode]
    sources: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    delays: Mapping[Edge, int]
    neurons: Mapping[str, Dynamics]
    readout: str | None
    reading: Reading
    coding: InputRange
    example: Float64
    provenance: Provenance

    @property
    def input(self) -> str:
        return next(name for name, node in self.nodes.items() if isinstance(node, nir.Input))

    @property
    def output(self) -> str:
        return next(name for name, node in self.nodes.items() if isinstance(node, nir.Output))


def needs_sequences(graph: nir.NIRGraph) -> bool:
    """Whether a NIR graph holds what only runs on sequences: leaky or memoryless neurons, graphs inside, a cycle."""
    inside = (nir.LIF, nir.CubaLIF, nir.LI, nir.CubaLI, nir.Threshold, nir.NIRGraph, nir.Delay)
    if any(isinstance(node, inside) for node in graph.nodes.values()):
        return True
    edges = {(str(a), str(b)) for a, b in graph.edges}
    firing = {str(name) for name, node in graph.nodes.items() if isinstance(node, FIRING)}
    return bool(feedback_edges(list(map(str, graph.nodes)), edges, firing))


def import_sequences(
    source: nir.NIRGraph | str | os.PathLike[str],
    *,
    example: npt.ArrayLike,
    dt: float | None = None,
    integration: Integration = "euler",
    subtract: bool = False,
    reading: Reading = "last",
    coding: InputRange | None = None,
) -> SequenceNetwork:
    """The network of a NIR graph that runs on sequences.

    ``example``: sequences, numbers [N, steps, *input shape] in the units the file expects. They fix the 8-bit
    ``coding`` of the input, if that is not given: whole numbers that fit stay as they are. ``dt``: the length of a step
    in the units of tau, needed wherever there is one. ``integration``: ``euler``, as the frameworks step, or
    ``exponential``.
    ``subtract``: spikes subtract the threshold; NIR itself sets the membrane to v_reset. ``reading`` of an integrator
    at the end: its ``last`` membrane, or their ``sum`` or ``maximum`` over the steps.

    Membranes and currents start at 0. In a cycle, what a neuron emits reaches the others one step later. A graph that
    ends in neurons is read out by counting their spikes, one that ends in weights by summing up their output.
    Raises :class:`GraphError`, naming every node that stands in the way, ``ConversionError`` and ``DataError``.
    """
    if integration not in INTEGRATIONS:
        raise ConversionError(f"integration must be one of {', '.join(INTEGRATIONS)}, not {integration!r}")
    if reading not in ("last", "sum", "maximum"):
        raise ConversionError(f"reading must be last, sum or maximum, not {reading!r}")
    if dt is not None and not (isinstance(dt, int | float | np.number) and np.isfinite(dt) and dt > 0):
        raise ConversionError(f"dt must be a positive number, not {dt!r}")
    graph = source if isinstance(source, nir.NIRGraph) else read_nir(source)
    if metadata_of(graph):
        raise GraphError("it is a deployment file already; load it with tc.load")
    if NOTE in graph.metadata:
        raise GraphError("it is the portable form of a deployment, for other simulators; load the deployment itself")
    held, edges = flattened(graph)
    held, edges, waits = without_delays(held, edges, dt)
    back = _feedback(held, edges - waits.keys())
    found = _obstacles(held, edges, back, dt, integration)
    if found:
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        raise GraphError(f"{REFUSED}{'; '.join(found[:_SHOWN])}{more}")
    assert back is not None
    late = {**dict.fromkeys(back, 1), **waits}
    order = _order(held, edges - late.keys())
    names = legal_names(held)
    renamed = {(names[a], names[b]) for a, b in edges}
    nodes = {names[name]: held[name] for name in order}
    sources = {name: tuple(sorted((a for a, b in renamed if b == name), key=list(nodes).index)) for name in nodes}
    delays = {(names[a], names[b]): steps for (a, b), steps in late.items()}
    shapes = output_shapes(nodes, sources)
    neurons = {
        name: dynamics(node, shapes[name], dt, integration, subtract=subtract)
        for name, node in nodes.items()
        if isinstance(node, FIRING + SILENT)
    }
    sequences = _sequences(example, next(shapes[n] for n, node in nodes.items() if isinstance(node, nir.Input)))
    settings = {"method": "nir", "integration": integration, "reset": "subtract" if subtract else "as in the file"}
    settings |= {} if dt is None else {"dt": f"{dt:g}"}
    return SequenceNetwork(
        nodes=nodes,
        sources=sources,
        shapes=shapes,
        delays=delays,
        neurons=neurons,
        readout=next((name for name, node in nodes.items() if isinstance(node, SILENT)), None),
        reading=reading,
        coding=coding or sequence_range(sequences),
        example=sequences[-_EXAMPLES:],
        provenance=Provenance("nir", content_sha256(graph), settings),
    )


def sequence_obstacles(graph: nir.NIRGraph, dt: float | None, integration: Integration = "euler") -> list[str]:
    """What keeps a graph from being imported for sequences, one phrase each; shapes are not looked at.

    Raises :class:`GraphError` where graphs inside it cannot be written flat, and for Delay nodes that cannot be told.
    """
    held, edges, waits = without_delays(*flattened(graph), dt)
    return _obstacles(held, edges, _feedback(held, edges - waits.keys()), dt, integration)


def _feedback(nodes: Mapping[str, nir.NIRNode], edges: set[Edge]) -> frozenset[Edge] | None:
    firing = {name for name, node in nodes.items() if isinstance(node, FIRING)}
    return feedback_edges(list(nodes), edges, firing)


def sequence_range(sequences: Float64) -> InputRange:
    """The 8-bit coding of a sequence's frames: whole numbers that fit stay as they are, up to twice the largest; others
    are scaled by the largest."""
    low, high = float(sequences.min(initial=0)), float(sequences.max(initial=0))
    kind: Literal["int8", "uint8"] = "int8" if low < 0 else "uint8"
    if (sequences == np.rint(sequences)).all() and lowest(kind) <= low and high <= highest(kind):
        return InputRange(kind, 1.0, min(max(2 * int(max(high, -low)), 1), -lowest(kind) or highest(kind)))
    return InputRange(kind, max(high, -low) / highest(kind))


def _sequences(example: npt.ArrayLike, shape: tuple[int, ...]) -> Float64:
    try:
        found = np.asarray(example, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("example: not an array of numbers; give sequences [N, steps, *input shape]") from error
    if len(shape) == 3 and shape[1] == 1 and found.ndim == 4:
        found = found[:, :, :, None, :]  # signals run as maps of height one
    if found.ndim != len(shape) + 2 or found.shape[2:] != shape or 0 in found.shape:
        wanted = f"[N, steps, {', '.join(map(str, shape))}]"
        raise DataError(f"example has shape {list(found.shape)}, the NIR graph takes sequences {wanted}")
    if not np.isfinite(found).all():
        raise DataError("example holds values that are not finite")
    return found


def _obstacles(
    nodes: Mapping[str, nir.NIRNode],
    edges: set[Edge],
    back: frozenset[Edge] | None,
    dt: float | None,
    integration: Integration,
) -> list[str]:
    """What keeps a flat graph from being imported, one phrase each."""
    found = []
    for kind in (nir.Input, nir.Output):
        count = sum(isinstance(node, kind) for node in nodes.values())
        if count != 1:
            found.append(f"it has {count} {kind.__name__} nodes, it must have one")
    if not any(isinstance(node, FIRING) for node in nodes.values()):
        found.append("it has no neurons that fire")
    if back is None:
        found.append(
            "its edges form a cycle without neurons, or one whose delay cannot be placed on a layer of neurons"
        )
    timed = [name for name, node in nodes.items() if needs_dt(node)]
    if timed and dt is None:
        found.append(f"{timed[0]}: its time constants need the length of a step: give dt (--dt), in the same unit")
    silent = [name for name, node in nodes.items() if isinstance(node, SILENT)]
    if len(silent) > 1:
        found.append(f"it has {len(silent)} integrators ({', '.join(silent[:3])}); only one can be the readout")
    found += sorted({f"{a}: it feeds {b!r}, which does not exist" for a, b in edges if b not in nodes})
    for name, node in nodes.items():
        if not isinstance(node, _KNOWN):
            found.append(f"{name}: {type(node).__name__} has no counterpart here")
        else:
            found += [f"{name}: {phrase}" for phrase in problems(node, dt, integration)]
        sources = [a for a, b in edges if b == name]
        readers = [nodes.get(b) for a, b in edges if a == name]
        if isinstance(node, nir.Output) and readers:
            found.append(f"{name}: an Output node feeds others")
        if isinstance(node, nir.Output) and len(sources) > 1 and set(sources) & set(silent):
            found.append(f"{name}: it reads an integrator and other nodes; an integrator is the readout alone")
        if isinstance(node, FIRING + SILENT) and not readers:
            found.append(f"{name}: nothing reads these neurons; leave them out")
        elif isinstance(node, SILENT) and not all(isinstance(reader, nir.Output) for reader in readers):
            found.append(
                f"{name}: {type(node).__name__} sends its membrane at every step; that can only be the readout"
            )
        found += [f"{name}: its source {a!r} does not exist" for a in sources if a not in nodes]
        if bool(sources) == isinstance(node, nir.Input):
            found.append(f"{name}: an Input node has sources" if sources else f"{name}: nothing feeds this node")
    return found


def _order(nodes: Mapping[str, nir.NIRNode], edges: set[Edge]) -> list[str]:
    """Names with every source before its readers; ties by name."""
    waiting = {name: {a for a, b in edges if b == name} for name in nodes}
    order: list[str] = []
    while waiting:
        chosen = min(name for name, needs in waiting.items() if not needs)
        order.append(chosen)
        del waiting[chosen]
        for needs in waiting.values():
            needs.discard(chosen)
    return order

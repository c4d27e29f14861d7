"""NIR files with leaky neurons, cycles or inputs that change in time: the float network that lowering starts from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikec.calls import named_arguments, outside
from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.connections import (
    Connected,
    Edge,
    connected,
    end_obstacles,
    in_order,
    opened,
    refuse,
)
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
from spikec.conversion.from_nir.feedback import feedback_edges
from spikec.conversion.from_nir.naming import legal_names
from spikec.conversion.from_nir.shapes import LINEAR, output_shapes
from spikec.conversion.input_scale import choose_range
from spikec.conversion.network import Provenance
from spikec.errors import ConversionError, DataError, GraphError, InputWarning
from spikec.ir.coding import InputRange, highest, lowest
from spikec.ir.delays import Steps, least
from spikec.ir.input_statistics import InputStatistics
from spikec.ir.profile.hashes import content_sha256
from spikec.words import option

Float64 = npt.NDArray[np.float64]
Reading = Literal["last", "sum", "maximum"]

_KNOWN = (nir.Input, nir.Output, *LINEAR, *FIRING, *SILENT)
_EXAMPLES = 32


@dataclass(frozen=True)
class SequenceNetwork:
    """A spiking network that runs on sequences, in float.

    ``nodes`` by name, in an order in which every node comes after its sources, but for the edges ``delays``, which
    carry what was sent so many steps before, by all senders or by each; ``sources`` and output ``shapes`` of each;
    ``neurons``: the step of each layer of neurons. ``reading`` of the membranes of integrators at the end.
    ``example``: sequences float64 [N, steps, *input shape] that lowering measures on; ``calibrated``: what they were
    like.
    """

    nodes: Mapping[str, nir.NIRNode]
    sources: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    delays: Mapping[Edge, Steps]
    neurons: Mapping[str, Dynamics]
    reading: Reading
    coding: InputRange
    example: Float64
    provenance: Provenance
    calibrated: InputStatistics | None = None

    @property
    def input(self) -> str:
        return next(name for name, node in self.nodes.items() if isinstance(node, nir.Input))

    @property
    def outputs(self) -> dict[str, str | None]:
        """By the name of the output: the integrator before it, None if it sums up what its sources send."""
        ends = [name for name, node in self.nodes.items() if isinstance(node, nir.Output)]
        return {name: next((s for s in self.sources[name] if isinstance(self.nodes[s], SILENT)), None) for name in ends}


def needs_sequences(graph: nir.NIRGraph) -> bool:
    """Whether a NIR graph holds what only runs on sequences: leaky or memoryless neurons, graphs inside, a cycle.
    What no output depends on does not count."""
    if any(isinstance(node, nir.NIRGraph) for node in graph.nodes.values()):
        return True
    part = connected(graph)
    timed = (nir.LIF, nir.CubaLIF, nir.LI, nir.CubaLI, nir.Threshold, nir.Delay)
    return any(isinstance(node, timed) for node in part.nodes.values()) or bool(_feedback(part.nodes, part.edges, {}))


@named_arguments
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

    >>> network = tc.import_sequences("leaky.nir", example=frames, dt=1e-4)   # frames [N, steps, *input shape]
    >>> graph = tc.lower(network)
    """
    if integration not in INTEGRATIONS:
        raise ConversionError(f"integration must be one of {', '.join(INTEGRATIONS)}, not {integration!r}")
    if reading not in ("last", "sum", "maximum"):
        raise ConversionError(f"reading must be last, sum or maximum, not {reading!r}")
    if dt is not None and not (isinstance(dt, int | float | np.number) and np.isfinite(dt) and dt > 0):
        raise ConversionError(f"dt must be a positive number, not {dt!r}")
    graph = opened(source)
    part = connected(graph)
    laid = _laid_out(part, dt, integration)
    if part.remark:
        warnings.warn(part.remark, stacklevel=outside())
    nodes, shapes = laid.nodes, laid.shapes
    neurons = {
        name: dynamics(node, shapes[name], dt, integration, subtract=subtract)
        for name, node in nodes.items()
        if isinstance(node, FIRING + SILENT)
    }
    sequences = _sequences(example, next(shapes[n] for n, node in nodes.items() if isinstance(node, nir.Input)))
    chosen = choose_range(torch.from_numpy(sequences), rule=sequence_range, channels=2, what="sequence")
    if coding is None:
        for sentence in chosen.remarks:
            warnings.warn(sentence, InputWarning, stacklevel=outside())
        sequences = chosen.held(torch.from_numpy(sequences)).numpy()
    settings = {"method": "nir", "integration": integration, "reset": "subtract" if subtract else "as in the file"}
    settings |= {} if dt is None else {"dt": f"{dt:g}"}
    return SequenceNetwork(
        nodes=nodes,
        sources=laid.sources,
        shapes=shapes,
        delays=laid.delays,
        neurons=neurons,
        reading=reading,
        coding=coding or chosen.coding,
        example=sequences[-_EXAMPLES:],
        provenance=Provenance("nir", content_sha256(graph), settings),
        calibrated=chosen.statistics if coding is None else None,
    )


def sequence_obstacles(graph: nir.NIRGraph, dt: float | None, *, whole: bool = True) -> list[str]:
    """What keeps a graph from being imported for sequences, one phrase each. ``whole``: look at its shapes too where
    nothing else is in the way.

    Raises :class:`GraphError` where graphs inside it cannot be written flat, for Delay nodes that cannot be told, and
    for the first shape that does not fit.
    """
    part = connected(graph)
    held, edges, waits = without_delays(part.nodes, part.edges, dt)
    found = _obstacles(held, edges, _feedback(held, edges, waits), dt, "euler")
    if whole and not found:
        _laid_out(part, dt, "euler")
    return found


@dataclass(frozen=True)
class _Layout:
    """Fields of the same names of :class:`SequenceNetwork`."""

    nodes: dict[str, nir.NIRNode]
    sources: dict[str, tuple[str, ...]]
    shapes: dict[str, tuple[int, ...]]
    delays: dict[Edge, Steps]


def _laid_out(part: Connected, dt: float | None, integration: Integration) -> _Layout:
    """Nodes in order under legal names. Raises :class:`GraphError` with everything that stands in the way."""
    held, edges, waits = without_delays(part.nodes, part.edges, dt)
    back = _feedback(held, edges, waits)
    refuse(_obstacles(held, edges, back, dt, integration))
    assert back is not None
    late = {**dict.fromkeys(back, 1), **waits}
    names = legal_names(held)
    renamed = {(names[a], names[b]) for a, b in edges}
    now = {edge for edge in edges if not (edge in late and least(late[edge]))}
    nodes = {names[name]: held[name] for name in in_order(held, now)}
    sources = {name: tuple(sorted((a for a, b in renamed if b == name), key=list(nodes).index)) for name in nodes}
    delays = {(names[a], names[b]): steps for (a, b), steps in late.items()}
    shapes = output_shapes(nodes, sources)
    _check_delays(delays, shapes)
    return _Layout(nodes, sources, shapes, delays)


def _feedback(
    nodes: Mapping[str, nir.NIRNode], edges: set[Edge], waits: Mapping[Edge, Steps]
) -> frozenset[Edge] | None:
    """Edges that close a cycle, beside those whose delay breaks it. Raises :class:`GraphError` where one has a delay
    that is 0 for some senders."""
    firing = {name for name, node in nodes.items() if isinstance(node, FIRING)}
    found = feedback_edges(list(nodes), {e for e in edges if not (e in waits and least(waits[e]))}, firing)
    for source, target in sorted((found or frozenset()) & waits.keys()):
        raise GraphError(
            f"{REFUSED}the edge from {source} to {target} lies on a cycle, and its delay is 0 for some neurons; there "
            "each must be a step at least"
        )
    return found


def _check_delays(delays: Mapping[Edge, Steps], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise :class:`GraphError` unless there is one delay for all, or one for each sender."""
    for (source, _), steps in delays.items():
        if not isinstance(steps, int) and len(steps) != int(np.prod(shapes[source])):
            raise GraphError(
                f"{REFUSED}{source} sends {int(np.prod(shapes[source]))} numbers, with {len(steps)} delays"
            )


def sequence_range(sequences: Tensor) -> InputRange:
    """The 8-bit coding of a sequence's frames: whole numbers that fit stay as they are, up to twice the largest; others
    are scaled by the largest."""
    low, high = min(float(sequences.min()), 0.0), max(float(sequences.max()), 0.0)
    kind: Literal["int8", "uint8"] = "int8" if low < 0 else "uint8"
    if bool((sequences == sequences.round()).all()) and lowest(kind) <= low and high <= highest(kind):
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
        number, *place = index = tuple(int(i) for i in np.argwhere(~np.isfinite(found))[0])
        raise DataError(
            f"example holds values that are not finite: {found[index]} at {place} of sequence {number}; leave such "
            "sequences out or mend them"
        )
    return found


def _obstacles(
    nodes: Mapping[str, nir.NIRNode],
    edges: set[Edge],
    back: frozenset[Edge] | None,
    dt: float | None,
    integration: Integration,
) -> list[str]:
    """What keeps a flat graph from being imported, one phrase each."""
    found = end_obstacles(nodes, edges)
    if not any(isinstance(node, FIRING) for node in nodes.values()):
        found.append("it has no neurons that fire")
    if back is None:
        found.append(
            "its edges form a cycle without neurons, or one whose delay cannot be placed on a layer of neurons"
        )
    timed = [name for name, node in nodes.items() if needs_dt(node)]
    if timed and dt is None:
        found.append(f"{timed[0]}: its time constants need the length of a step: give {option('dt')}, in the same unit")
    silent = [name for name, node in nodes.items() if isinstance(node, SILENT)]
    for name, node in nodes.items():
        if not isinstance(node, _KNOWN):
            found.append(f"{name}: {type(node).__name__} has no counterpart here")
        else:
            found += [f"{name}: {phrase}" for phrase in problems(node, dt, integration)]
        sources = [a for a, b in edges if b == name]
        readers = [nodes.get(b) for a, b in edges if a == name]
        if isinstance(node, nir.Output) and len(sources) > 1 and set(sources) & set(silent):
            found.append(f"{name}: it reads an integrator and other nodes; an integrator is the readout alone")
        if isinstance(node, SILENT) and not all(isinstance(reader, nir.Output) for reader in readers):
            found.append(
                f"{name}: {type(node).__name__} sends its membrane at every step; that can only be the readout"
            )
    return found

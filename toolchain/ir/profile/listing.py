"""A stable, readable listing of a deployment graph: what ``spikec inspect`` prints and golden tests compare."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from spikec.errors import GraphError
from spikec.ir.coding import InputNode
from spikec.ir.delays import in_words
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.leak import Leak
from spikec.ir.measured import STAGES, Measured
from spikec.ir.operations import Operation, Synapse
from spikec.ir.operations.fields import span
from spikec.ir.profile.build import settings_of
from spikec.ir.profile.decode import as_integer
from spikec.ir.types import Int64, Shape
from spikec.words import columns

#: The output, by the way a readout is decoded.
_DECODED = {"membrane": "output", "sum": "sum over steps", "maximum": "maximum over steps"}


def text(
    graph: nir.NIRGraph | IntegerGraph,
    layer: str | None = None,
    worst: Mapping[str, tuple[int, int]] | None = None,
) -> str:
    """The listing of a graph, or of one node in full when ``layer`` names it.

    ``worst``: worst-case range per node (``spikec.analysis.ranges``), a column if given.
    The same graph gives the same text, byte for byte, on every machine. Raises :class:`GraphError` for an unknown name.
    """
    integer = as_integer(graph)
    if layer is not None:
        if layer not in integer.nodes:
            raise GraphError(f"there is no node {layer!r}; nodes: {', '.join(integer.nodes)}")
        return _detail(integer, integer.nodes[layer])
    lines = rows(integer)
    if worst is not None:
        shown = {name: f"[{low}, {high}]" for name, (low, high) in worst.items()}
        extra = ["worst case", *(shown.get(node.name, "") for node in integer)]
        lines = [(*row, cell) for row, cell in zip(lines, extra, strict=True)]
    return "\n".join([*header(integer), "", *columns(lines), "", *totals(integer)]) + "\n"


def rows(graph: IntegerGraph) -> list[tuple[str, ...]]:
    """The head of the table, and a line for each node."""
    found = [(n.name, _kind(n), _shape(n.output_shape), " + ".join(n.sources), _numbers(n)) for n in graph]
    return [("node", "kind", "shape", "from", "numbers"), *found]


def header(graph: IntegerGraph) -> list[str]:
    """A line each: the profile; T and schedule; what goes in and comes out; how it was made."""
    drain = f", drain {graph.drain}" if graph.drain else ""
    lines = [
        "spikec.nir/1",
        f"T {graph.timesteps}, {graph.schedule}{drain}",
        *_ends(graph),
    ]
    lines += [f"{key} {value}" for key, value in settings_of(graph).items()]
    if graph.measured is not None:
        lines += _measured(graph.measured)
    lines.append(f"deployment {graph.deployment_sha256}")
    if graph.content_sha256:
        lines.append(f"content {graph.content_sha256}")
    if graph.source_sha256:
        lines.append(f"source  {graph.source_sha256}")
    return lines


def _measured(found: Measured) -> list[str]:
    """What was measured at export: images that are right, and other measures of all of them."""
    number, lines = len(found.images), []
    if found.correct:
        right = {stage: int(hits.sum()) for stage, hits in found.correct.items()}
        listed = ", ".join(f"{stage} {right[stage]}" for stage in STAGES if stage in right)
        lines.append(f"measured at export, of {number} images of {found.data}: {listed}")
    for key, scores in found.quality.items():
        values = ", ".join(f"{stage} {scores.values[stage]:.4g}" for stage in STAGES if stage in scores.values)
        lines.append(f"measured at export, {key} on {number} images of {found.data}: {values}")
    return lines


def _ends(graph: IntegerGraph) -> list[str]:
    """What the input is, and what the outputs are."""
    taken = f"input {graph.input.dtype} = clip(round(real / {graph.input.scale:.9g})), {_input(graph)}"
    given = [f"{_DECODED[readout.decode]} * {readout.scale:.9g}" for readout in graph.readouts]
    if len(given) == 1:
        return [f"{taken}; logits = {given[0]}"]
    return [taken, *(f"{r.output} = {each} of {r.name}" for r, each in zip(graph.readouts, given, strict=True))]


def _input(graph: IntegerGraph) -> str:
    limit = "" if graph.input.limit is None else f" of at most {graph.input.limit}"
    return f"{graph.input.encoding}{limit}"


def totals(graph: IntegerGraph) -> list[str]:
    """Numbers of layers, neurons and weights, and the memory they take."""
    neurons = sum(int(np.prod(p.shape)) for p in graph.populations)
    weights = sum(s.weight_count for s in graph.synapses)
    biases = sum(int(s.bias.size) for s in graph.synapses)
    return [
        f"{len(graph.populations)} layers, {neurons} neurons, {weights} weights (int8), {biases} biases (int32)",
        f"memory: weights {weights} B, biases {4 * biases} B, state {4 * neurons} B, v_init {4 * neurons} B",
    ]


def _kind(node: Node) -> str:
    match node:
        case InputNode():
            return f"input {node.dtype}"
        case Operation():
            return node.title
        case Population():
            return node.neuron.name
        case Readout():
            return "integrator" if node.leak is None else "leaky integrator"
        case Delayed():
            return "delay"


def _numbers(node: Node) -> str:
    match node:
        case InputNode():
            return ""
        case Operation():
            return node.numbers
        case Population():
            return _population_numbers(node)
        case Readout():
            leak = "" if node.leak is None else f", {_leak_numbers(node.leak)}"
            return f"v_init {span(node.v_init)}{leak}"
        case Delayed():
            return f"{node.of}, {in_words(node.steps)} before"


def _leak_numbers(leak: Leak) -> str:
    return f"du {span(leak.du)}, dv {span(leak.dv)}, bias {span(leak.bias)}"


def _population_numbers(node: Population) -> str:
    parts = [f"theta {span(node.theta)}", f"v_init {span(node.v_init)}"]
    fields = node.neuron.stored_fields()
    for name, value in node.neuron.given_fields().items():
        parts.append(f"{name} {span(value) if fields[name].per == 'neuron' else value}")
    if node.scale is not None:
        low, high = float(node.scale.min()), float(node.scale.max())
        parts.append(f"1 = {low:.6g}" if low == high else f"1 = [{low:.6g}, {high:.6g}]")
    return ", ".join(parts)


def _detail(graph: IntegerGraph, node: Node) -> str:
    lines = [f"{node.name}: {_kind(node)} {_shape(node.output_shape)}"]
    lines += [f"from  {', '.join(node.sources) or '-'}"]
    lines += [f"to    {', '.join(n.name for n in graph.consumers(node.name)) or '-'}"]
    if _numbers(node):
        lines.append(_numbers(node))
    arrays: dict[str, Int64] = {}
    if isinstance(node, Synapse):
        arrays = {"weight": node.weight, "bias": node.bias}
        zero = float((node.narrow_weight == 0).mean())
        lines.append(f"zero weights {zero:.1%}, fan-in {int(np.prod(node.weight_shape[1:]))}")
    elif isinstance(node, Population):
        arrays = {"theta": node.theta, "v_init": node.v_init}
    for name, values in arrays.items():
        shown = np.array2string(values.reshape(-1), threshold=24, edgeitems=8, max_line_width=100)
        lines.append(f"{name} {_shape(values.shape)} {shown}")
    return "\n".join(lines) + "\n"


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))

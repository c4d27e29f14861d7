"""Rules about shapes: what really disagrees, and what only nir's own type check refuses."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from spikec.nir.findings import Finding
from spikec.nir.graph import RawNode
from spikec.nir.nodes import CONVOLUTIONS, DENSE
from spikec.nir.shapes import Shape, Shapes, flatten_dims, nir_shape_of, parameter_shape, per_axis, spreads
from spikec.words import listed, shown


def along_edges(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """What a node gives against what its reader wants."""
    sources: dict[str, list[str]] = {}
    for a, b in dict.fromkeys(graph.edges):
        if a in graph.nodes and b in graph.nodes:
            sources.setdefault(b, []).append(a)
    for name in graph.nodes:
        given = {source: shapes.of[source].out for source in sources.get(name, [])}
        known = {source: shape for source, shape in given.items() if shape is not None}
        if len(set(known.values())) > 1:
            told = ", ".join(f"{shown(source)} {shape}" for source, shape in known.items())
            yield Finding("shape_mismatch", shown(name), "error", f"its sources have different shapes: {told}", _FIX)
            continue
        wants = shapes.of[name].wants
        for source, shape in known.items():
            if wants is not None and wants != shape:
                yield _disagree(graph, shapes, source, name)
                break
        if sources.get(name) and not known and shapes.of[name].out is None:
            yield Finding("shape_unknown", shown(name), "note", "no shape reaches this node", "")


_FIX = "the file is wrong, or written for another layout; export it again"


def _disagree(graph: RawNode, shapes: Shapes, source: str, name: str) -> Finding:
    node, shape, wants = graph.nodes[name], shapes.of[source].out or (), shapes.of[name].wants or ()
    where = f"{shown(source)} -> {shown(name)}"
    if batch_axis(graph, shapes, name if node.kind == "Output" else source):
        message = f"{shape} meets {wants}: a leading axis of 1 for the batch, which shapes in NIR do not have"
        return Finding("batch_axis", where, "error", message, "leave it out of the shape", True)
    message = f"{shown(source)} gives {shape}, {shown(name)} ({node.kind}) wants {wants}"
    hint = _FIX
    if node.kind in DENSE and prod(shape) == prod(wants):
        hint = "a Flatten(start_dim=0) is missing between them, or its start_dim is wrong"
    return Finding("shape_mismatch", where, "error", message, hint)


def batch_axis(graph: RawNode, shapes: Shapes, name: str) -> bool:
    """Whether ``name``, an Input or Output, states a batch axis of 1 that all its neighbours do without."""
    node, stated = graph.nodes[name], shapes.of[name].out
    if node.kind == "Input":
        beside = [shapes.of[b].wants for a, b in graph.edges if a == name and b in graph.nodes]
    elif node.kind == "Output":
        beside = [shapes.of[a].out for a, b in graph.edges if b == name and a in graph.nodes]
    else:
        return False
    return bool(beside) and all(shape is not None and stated == (1, *shape) for shape in beside)


def inside(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """Kernels that do not fit, and nodes whose own numbers contradict each other."""
    for name, node in graph.nodes.items():
        found = shapes.of[name]
        if found.problem:
            rule = "kernel_too_large" if found.too_large else "shape_mismatch"
            yield Finding(rule, shown(name), "error", found.problem, "export the file again")
        padding = node.fields.get("padding")
        same = padding is not None and isinstance(padding.data, str) and padding.data == "same"
        if same and per_axis(node, "stride", 2) not in (None, (1, 1)):
            message = "padding 'same' with a stride: PyTorch refuses it and other tools pad differently"
            yield Finding("shape_mismatch", shown(name), "error", message, "write the padding as numbers")


def type_check(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """Convolutions that are right and that nir's type check takes for wrong."""
    from spikec.nir.dense import why_not_dense

    for name, node in graph.nodes.items():
        right = shapes.of[name]
        if node.kind not in CONVOLUTIONS or right.wants is None or right.out is None:
            continue
        theirs = nir_shape_of(node, right.wants)
        if theirs.out is None or (theirs.wants, theirs.out) == (right.wants, right.out):
            continue
        grouped = theirs.wants != right.wants
        what = "a grouped convolution" if grouped else "a rectangular kernel"
        message = (
            f"{what}: it takes {right.wants} to {right.out}, which is right; nir takes it for "
            f"{theirs.wants} to {theirs.out}"
        )
        why = why_not_dense(node)
        hint = f"read the file with type_check=False; {why}" if why else "read the file with type_check=False"
        yield Finding("type_check_wrong", shown(name), "error", message, hint, not why)


def broadcasting(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """One parameter for many neurons."""
    for name, node in graph.nodes.items():
        own, arrives = parameter_shape(node), shapes.arrives.get(name)
        if own is None or arrives is None or own == arrives or not spreads(own, arrives):
            continue
        message = f"its parameters have shape {own} for {arrives} neurons, and nir refuses that"
        yield Finding("broadcast_parameter", shown(name), "error", message, "write one value per neuron", True)


def flattens(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """Flattens that leave the first axis, as NIR's default does."""
    for name, node in graph.nodes.items():
        arrives = shapes.arrives.get(name)
        dims = flatten_dims(node, arrives) if node.kind == "Flatten" else None
        if dims is None or arrives is None or len(arrives) < 2 or dims == (0, len(arrives) - 1):
            continue
        certain = meant_flat(graph, shapes, name, arrives)
        message = f"it joins axes {dims[0]} to {dims[1]} of {arrives} and gives {shapes.of[name].out}"
        if certain:
            message += f"; its readers want {(prod(arrives),)}"
        severity = "error" if certain else "warning"
        hint = "NIR counts no batch axis: start_dim = 0 flattens everything"
        yield Finding("flatten_start_dim", shown(name), severity, message, hint, certain)  # type: ignore[arg-type]


def meant_flat(graph: RawNode, shapes: Shapes, name: str, arrives: Shape) -> bool:
    """Whether all that read a Flatten want every number of ``arrives`` on one axis."""
    readers = [b for a, b in graph.edges if a == name and b in graph.nodes]
    flat = (prod(arrives),)
    return bool(readers) and all(shapes.of[reader].wants == flat for reader in readers)


def average_pools(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    padded = [
        name
        for name, node in graph.nodes.items()
        if node.kind == "AvgPool2d" and any(per_axis(node, "padding", 2) or ())
    ]
    if padded:
        message = f"{listed(padded)}: NIR does not say whether an average counts its padding"
        yield Finding("avgpool_padding", "", "warning", message, "use no padding, or SumPool2d and a scale")


RULES = (along_edges, inside, type_check, broadcasting, flattens, average_pools)

"""``spikec inspect``: a deployment file as stable text."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser, UsageError
from spikec.words import unknown


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "inspect",
        "stable text of a NIR file",
        "spikec inspect net.nir",
        "spikec inspect net.nir --layer readout",
    )
    parser.add_graph(command)
    command.add_argument("--layer", metavar="NAME", help="one node in full")
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.analysis.ranges import bounds
    from spikec.cli.inputs import read_graph
    from spikec.ir import text

    nir_graph, graph = read_graph(args.graph)
    if args.layer is not None and args.layer not in graph.nodes:
        raise UsageError(f"--layer: {unknown(args.layer, graph.nodes)}")
    nodes = [graph.nodes[args.layer]] if args.layer else list(graph)
    document = {
        "file": args.graph,
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "timesteps": graph.timesteps,
        "schedule": graph.schedule,
        "drain": graph.drain,
        "nodes": [_node(node, full=args.layer is not None) for node in nodes],
    }
    ranges = bounds(graph)  # of membranes; for a node without one, of the sum of one step
    worst = {name: (bound.low, bound.high) for name, bound in {**ranges.sums, **ranges.membranes}.items()}
    emit(args, document, text(nir_graph, layer=args.layer, worst=worst))
    return 0


def _node(node: Any, full: bool) -> dict[str, Any]:
    """A node's fields. Arrays are given as shape, minimum and maximum, or with ``full`` as all their values."""
    found: dict[str, Any] = {"type": type(node).__name__, "output_shape": node.output_shape}
    for name, value in _values(node):
        if full or not hasattr(value, "dtype"):
            found[name] = value
        else:
            found[name] = {"shape": value.shape, "min": value.min(), "max": value.max()}
    return found


def _values(node: Any) -> Iterator[tuple[str, Any]]:
    """Fields and values. A neuron kind is given by its name and the fields of all kinds, None for those it lacks."""
    from spikec.ir.kinds import Kind, kinds

    for each in fields(node):
        name, value = each.name, getattr(node, each.name)
        if not isinstance(value, Kind):
            yield name, value
            continue
        yield "kind", value.name
        for field in dict.fromkeys(field for kind in kinds().values() for field in kind.stored_fields()):
            yield field, getattr(value, field, None)

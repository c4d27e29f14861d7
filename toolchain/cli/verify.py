"""``spikec verify``: the golden model against a target, every spike of every layer, image and step."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolchain.cli import parser
from toolchain.cli.output import emit
from toolchain.cli.parser import Parser

if TYPE_CHECKING:
    from models.data import Dataset
    from targets.base import Program
    from toolchain.ir import IntegerGraph
    from toolchain.simulation import Difference


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "verify", "golden model against a target: the first difference, or 'identical'")
    parser.add_graph(command)
    command.add_argument("--target", default="lava", metavar="TARGET", help="lava (default)")
    parser.add_data(command, limit=20)
    return command


def run(args: argparse.Namespace) -> int:
    from toolchain.cli.inputs import find_target, open_images, read_graph

    target = find_target(args.target)
    nir_graph, graph = read_graph(args.graph)
    dataset = open_images(args, graph)
    difference = first_difference(target.compile(nir_graph), dataset, nir_graph, graph, f"golden and {args.target}")
    layers = len(graph.populations) + 1  # and the readout
    document = {
        "file": args.graph,
        "content_sha256": graph.content_sha256,
        "target": args.target,
        "data": args.data,
        "images": len(dataset),
        "layers": layers,
        "timesteps": graph.timesteps,
        "identical": difference is None,
        "difference": difference,
    }
    what = f"{len(dataset)} images, {layers} layers, {graph.timesteps} steps"
    emit(
        args,
        document,
        f"{what}: identical" if difference is None else f"{what}: golden and {args.target} differ: {difference}",
    )
    return 0 if difference is None else 3


def first_difference(
    program: Program, dataset: Dataset, nir_graph: Any, graph: IntegerGraph, label: str
) -> Difference | None:
    """Run both a batch at a time and stop at the first difference; its image counts from the first of ``dataset``."""
    from toolchain.cli.evaluate import batches
    from toolchain.simulation import compare, simulate

    done = 0
    for images, labels in batches(dataset, graph, label):
        expected = simulate(nir_graph, images, record="spikes")
        found = compare(expected, program.run(images, record="spikes"))
        if found is not None:
            return replace(found, image=found.image + done)
        done += len(labels)
    return None

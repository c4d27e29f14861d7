"""``spikec verify``: the golden model against a target, every spike of every layer, image and step."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolchain.cli import parser
from toolchain.cli.golden_options import add_golden, golden_options
from toolchain.cli.lava_options import Speed, add_lava, lava_options
from toolchain.cli.output import emit
from toolchain.cli.parser import Parser

if TYPE_CHECKING:
    import nir

    from models.data import Dataset
    from toolchain.ir import IntegerGraph
    from toolchain.report import Verification


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "verify", "golden model against a target: the first difference, or 'identical'")
    parser.add_graph(command)
    command.add_argument("--target", default="lava", metavar="TARGET", help="lava (default)")
    parser.add_data(command)
    parser.add_limit(command, 20)
    add_golden(command)
    add_lava(command)
    return command


def run(args: argparse.Namespace) -> int:
    from toolchain.cli.inputs import find_target, open_images, read_graph

    options, speed = lava_options(args), Speed()
    nir_graph, graph = read_graph(args.graph)
    find_target(args.target)
    dataset = open_images(args, graph)
    result = verification(args.target, nir_graph, graph, dataset, options, speed, golden_options(args))
    document = {
        "file": args.graph,
        "content_sha256": graph.content_sha256,
        "data": args.data,
        **vars(result),
        "identical": result.identical,
        **speed.document,
    }
    emit(args, document, "\n".join([says(result), *(speed.lines if speed.steps else [])]))
    return 0 if result.identical else 3


def says(result: Verification) -> str:
    """``20 images, 6 layers, 4 steps: identical``, or the first difference."""
    what = f"{result.images} images, {result.layers} layers, {result.timesteps} steps"
    return f"{what}: {result.difference or 'identical'}"


def verification(
    target: str,
    nir_graph: nir.NIRGraph,
    graph: IntegerGraph,
    dataset: Dataset,
    options: Mapping[str, Any] | None = None,
    speed: Speed | None = None,
    golden_options: Mapping[str, Any] | None = None,
) -> Verification:
    """Golden model against ``target`` on ``dataset``: every emission of every layer, image and step, and the outputs.

    Stops at the first batch with a difference; its image counts from the first of ``dataset``. ``options`` are those
    of the target, ``golden_options`` of ``tc.simulate``; ``speed`` takes its times.
    """
    from toolchain.cli.evaluate import batches
    from toolchain.cli.inputs import find_target
    from toolchain.report import Verification
    from toolchain.simulation import compare

    options = dict(options or {})
    golden, program = find_target("golden").compile(nir_graph), find_target(target).compile(nir_graph, **options)
    done, difference = 0, None
    for images, labels in batches(dataset, graph, target, options.get("chunk")):
        trace = program.run(images, record="spikes")
        if speed is not None:
            speed.add(trace)
        found = compare(golden.run(images, record="spikes", **(golden_options or {})), trace)
        if found is not None:
            difference = str(replace(found, image=found.image + done))
            break
        done += len(labels)
    return Verification(
        target=target,
        images=len(dataset),
        layers=len(graph.populations),
        timesteps=graph.timesteps,
        difference=difference,
    )

"""``spikec verify``: the golden model against a target, every spike of every layer, image and step."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser
from spikec.cli.speed import Speed
from spikec.cli.target_options import add_targets, golden_options, target_options

if TYPE_CHECKING:
    import nir

    from spikec.evidence.crosscheck import Crosscheck
    from spikec.models.data import Dataset


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "verify", "golden model against a target: the first difference, or 'identical'")
    parser.add_graph(command)
    command.add_argument("--target", default="lava", metavar="TARGET", help="lava (default)")
    parser.add_data(command)
    parser.add_limit(command, 20)
    add_targets(command, running=False)
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import find_target, open_images, read_graph

    (options, _), speed = target_options(args, running=False), Speed()
    nir_graph, graph = read_graph(args.graph)
    find_target(args.target)
    dataset = open_images(args, graph)
    result = crosscheck(args.target, nir_graph, dataset, options, golden_options(args), speed)
    document = {
        "file": args.graph,
        "content_sha256": graph.content_sha256,
        "data": args.data,
        **result.to_json(),
        **speed.document,
    }
    emit(args, document, "\n".join([str(result), *(speed.lines if speed.steps else [])]))
    return 0 if result.identical else 3


def crosscheck(
    target: str,
    graph: nir.NIRGraph,
    dataset: Dataset,
    options: Mapping[str, Any] | None = None,
    golden: Mapping[str, Any] | None = None,
    speed: Speed | None = None,
) -> Crosscheck:
    """:func:`spikec.crosscheck` with progress on stderr; ``speed`` takes the target's times."""
    from spikec.cli.evaluate import progressing
    from spikec.evidence import crosscheck as evidence

    with progressing(target, len(dataset)) as progress:
        return evidence.crosscheck(
            graph,
            target,
            dataset,
            options=options,
            golden=golden,
            progress=progress,
            watch=None if speed is None else speed.add,
        )

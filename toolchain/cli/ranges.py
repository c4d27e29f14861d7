"""``spikec ranges``: what is proven, measured or seen to overflow of every accumulator and membrane."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.names import known_or_file
from spikec.cli.output import emit
from spikec.cli.parser import Parser, UsageError
from spikec.cli.progress import Progress


def add_format(command: Parser) -> None:
    """``--format``, a number format or a file of one."""
    command.add_argument(
        "--format", metavar="F", help="generic24, loihi1, loihi2, netx or a .toml file (default: the file's own)"
    )


def check_format(name: str | None) -> None:
    """Refuse a name that no number format has."""
    if name is not None:
        known_or_file("--format", "number format", name)


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "ranges",
        "accumulators and membranes of a NIR file: proven, measured, overflow",
        "spikec ranges net.nir",
        "spikec ranges net.nir --data digits --format loihi1",
    )
    parser.add_graph(command)
    parser.add_data(command, "nothing is measured")
    parser.add_limit(command, defaults.MEASURED_IMAGES)
    add_format(command)
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import open_images, read_graph
    from spikec.evidence.range_report import check_ranges, summary
    from spikec.models.data import Dataset
    from spikec.simulation.registers import format_of

    check_format(args.format)
    _, graph = read_graph(args.graph)
    form = format_of(graph, args.format)
    if graph.sequences and args.data is not None:
        raise UsageError(f"{args.graph} reads sequences; their ranges are proven, not measured: leave out --data")
    dataset = open_images(args, graph) if args.data is not None else None
    layers = check_ranges(graph, format=form)
    if isinstance(dataset, Dataset) and any(layer.status == "unproven" for layer in layers):
        with Progress("ranges", len(dataset)) as progress:

            def batches() -> Any:
                for images, _ in dataset.batches(100):
                    yield images.numpy()
                    progress.advance(len(images))

            layers = check_ranges(graph, batches(), format=form)
    lines = [*map(str, layers), f"{summary(layers)} ({form.title})"]
    emit(
        args,
        lambda: {
            "file": args.graph,
            "deployment_sha256": graph.deployment_sha256,
            "content_sha256": graph.content_sha256,
            "format": form.name,
            "data": args.data,
            "layers": [{**asdict(layer), "margin": layer.margin} for layer in layers],
        },
        "\n".join(lines),
    )
    return 2 if any(layer.status == "overflows" for layer in layers) else 0

"""``spikec check``: everything that keeps a deployment off a chip, at once."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser, UsageError
from spikec.words import unknown


def add_chip(command: Parser) -> None:
    """``--target``, a chip with known limits."""
    command.add_argument(
        "--target",
        default=defaults.CHIP,
        metavar="CHIP",
        help=f"loihi1, loihi2 or cortex-m4 (default {defaults.CHIP})",
    )


def known_chip(name: str) -> str:
    """``name``; refused if no chip of that name has known limits."""
    from spikec.targets.chips import chip_names

    if name not in chip_names():
        raise UsageError(f"--target: {unknown(name, chip_names())}")
    return name


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "check", "limits of a chip a NIR file exceeds, all at once")
    parser.add_graph(command)
    add_chip(command)
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import read_graph
    from spikec.targets.chips import check

    chip = known_chip(args.target)
    _, graph = read_graph(args.graph)
    violations = check(graph, chip)
    fits = not any(v.severity == "error" for v in violations)
    lines = [str(violation) for violation in violations]
    lines.append(f"fits {chip}" if fits else f"does not fit {chip}")
    document = {
        "file": args.graph,
        "deployment_sha256": graph.deployment_sha256,
        "target": chip,
        "fits": fits,
        "violations": [asdict(violation) for violation in violations],
    }
    emit(args, document, "\n".join(lines))
    return 0 if fits else 2

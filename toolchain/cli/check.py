"""``spikec check``: everything that keeps a deployment off a chip, at once."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.names import known
from spikec.cli.output import emit
from spikec.cli.parser import Parser
from spikec.words import columns

if TYPE_CHECKING:
    from spikec.analysis.violations import Violation


def add_chip(command: Parser) -> None:
    """``--target``, a chip with known limits."""
    command.add_argument(
        "--target",
        "--chip",
        dest="target",
        default=defaults.CHIP,
        metavar="CHIP",
        help=f"loihi1, loihi2 or cortex-m4 (default {defaults.CHIP})",
    )


def known_chip(name: str) -> str:
    """``name``; refused if no chip of that name has known limits."""
    return known("--target", "chip", name)


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands, "check", "limits of a chip a NIR file exceeds, all at once", "spikec check net.nir --target loihi2"
    )
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
    lines = [*listed(violations), f"fits {chip}" if fits else f"does not fit {chip}"]
    emit(
        args,
        lambda: {
            "file": args.graph,
            "deployment_sha256": graph.deployment_sha256,
            "target": chip,
            "fits": fits,
            "violations": [asdict(violation) for violation in violations],
        },
        "\n".join(lines),
    )
    return 0 if fits else 2


def listed(violations: list[Violation]) -> list[str]:
    """A line for each violation, in columns, and then what to do: a line for each hint, with the rules it is for."""
    if not violations:
        return []
    rows = [
        (one.severity, one.layer or "whole network", one.rule, _number(one.actual), f"limit {_number(one.limit)}")
        for one in violations
    ]
    hints: dict[str, list[str]] = {}
    for one in violations:
        rules = hints.setdefault(" ".join(one.hint.split()), [])
        rules += [] if one.rule in rules else [one.rule]
    width = max(map(len, (", ".join(rules) for rules in hints.values())))
    told = [f"  {', '.join(rules):<{width}}  {hint}" for hint, rules in hints.items()]
    return [*columns(rows, right=(3,)), "what to do:", *told]


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"

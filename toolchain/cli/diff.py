"""``spikec diff``: what changed between two deployment files."""

from __future__ import annotations

import argparse
from typing import Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "diff", "what changed between two NIR files", "spikec diff a.nir b.nir")
    parser.add_graph(command, "a")
    parser.add_graph(command, "b")
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import read_graph
    from spikec.ir import diff

    changes = diff(read_graph(args.a)[0], read_graph(args.b)[0])
    document = {"a": args.a, "b": args.b, "identical": not changes, "changes": changes}
    emit(args, document, "\n".join(changes) or "identical")
    return 0

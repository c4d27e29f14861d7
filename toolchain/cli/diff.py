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

    (a, first), (b, second) = read_graph(args.a), read_graph(args.b)
    changes, identities = diff(a, b), [first.deployment_sha256, second.deployment_sha256]
    document = {
        "a": args.a,
        "b": args.b,
        "deployment_sha256": dict(zip("ab", identities, strict=True)),
        "identical": not changes,
        "changes": changes,
    }
    if identities[0] != identities[1]:
        said = f"deployment sha256 {identities[0]} -> {identities[1]}"
    else:
        said = f"{'both compute the same: ' if changes else ''}deployment sha256 {identities[0]}"
    emit(args, document, "\n".join([*(changes or ["identical"]), said]))
    return 0

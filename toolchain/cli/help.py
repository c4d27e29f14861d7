"""``spikec help``: the help of all commands, or of one."""

from __future__ import annotations

import argparse
from typing import Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser, UsageError
from spikec.words import unknown


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "help", "help, of all commands or of one", "spikec help", "spikec help export")
    command.add_argument("about", nargs="*", metavar="COMMAND", help="such as export, or nir doctor")
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli import build_parser

    found = build_parser()
    for name in args.about:
        known = parser.subcommands(found)
        if not known:
            raise UsageError(f"{found.prog} has no actions, such as {name!r} (see {found.prog} --help)")
        if name not in known:
            raise UsageError(f"{found.prog} help: {unknown(name, known)}")
        found = known[name]
    text = found.complete().format_help()
    emit(args, {"about": " ".join(args.about), "text": text}, text.rstrip("\n"))
    return 0

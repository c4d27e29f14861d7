"""``spikec completion``: a script that lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser, output_path

SHELLS = ("bash", "zsh", "tcsh")


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "completion",
        "a script for bash, zsh or tcsh that completes commands, options and files",
        'eval "$(spikec completion bash)"   # in ~/.bashrc',
        'eval "$(spikec completion zsh)"    # in ~/.zshrc, after compinit',
        "spikec completion tcsh > ~/.spikec.tcsh   # source it in ~/.tcshrc",
    )
    command.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or tcsh")
    return command


def run(args: argparse.Namespace) -> int:
    import shtab

    from spikec.cli import build_parser

    root = build_parser()
    _prepare(root)
    script = shtab.complete(root, args.shell)
    emit(args, {"shell": args.shell, "script": script}, script)
    return 0


def _prepare(command: Parser) -> None:
    """Add what comes later, and say which arguments are files and folders."""
    import shtab

    for action in command.complete()._actions:
        if action.type in (Path, output_path) or getattr(action.type, "__qualname__", "").startswith("file_like"):
            folder = action.metavar == "DIR"
            action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    for each in parser.subcommands(command).values():
        _prepare(each)

"""``spikec completion``: a script that lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser
from spikec.cli.paths import output_folder, output_path

if TYPE_CHECKING:
    from spikec.targets.told_apart import Sort

#: What arguments of this name, or shown as this word, take. Not all they take: ``--format`` takes files as well.
_SORTS: dict[str, Sort] = {
    "TARGET": "executor",
    "CHIP": "chip",
    "profile": "energy profile",
    "format": "number format",
}
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
    if args.shell == "tcsh":
        _merge(root)
    script = shtab.complete(root, args.shell)
    emit(args, {"shell": args.shell, "script": script}, script)
    return 0


def _merge(root: Parser) -> None:
    """tcsh tells options apart by their names alone, whatever the command: each takes what it takes in any of them."""
    import shtab

    actions: dict[str, list[Any]] = {}
    for command in _all(root):
        for action in command._actions:
            for word in action.option_strings:
                actions.setdefault(word, []).append(action)
    for same in actions.values():
        choices = list(dict.fromkeys(name for action in same for name in action.choices or ()))
        files = any(getattr(action, "complete", None) == shtab.FILE for action in same)
        for action in same:
            action.choices = choices or None
            if files:
                action.complete = shtab.FILE


def _all(command: Parser) -> Iterator[Parser]:
    yield command
    for each in parser.subcommands(command).values():
        yield from _all(each)


def _names() -> dict[str, list[str]]:
    """The names that an argument takes, by its own name or by the word that help shows for it."""
    from spikec.cli import COMMANDS
    from spikec.cli.train import method_names
    from spikec.cluster import EXECUTORS
    from spikec.models.data import NAMES
    from spikec.targets.told_apart import names_of

    found = {word: names_of(sort) for word, sort in _SORTS.items()}
    found |= {"lava": ["lava"], "WHERE": list(EXECUTORS), "COMMAND": list(COMMANDS)}
    return {**found, "data": list(NAMES), "method": sorted(method_names()), "device": ["cpu", "cuda"]}


def _prepare(command: Parser) -> None:
    """Add what comes later; say which arguments are files and folders, and which names the others take."""
    import shtab

    names = _names()
    for action in command.complete()._actions:
        taken = names.get(action.dest) or names.get(str(action.metavar))
        if action.choices is None and taken:
            action.choices = taken
        elif action.type in (Path, output_path, output_folder) or "." in str(action.metavar):
            folder = action.metavar == "DIR"
            action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    for each in parser.subcommands(command).values():
        _prepare(each)

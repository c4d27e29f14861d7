"""Options of commands that run the golden model: memory, threads, early exit."""

from __future__ import annotations

import argparse
from typing import Any

from toolchain.cli.parser import Parser, UsageError, at_least

_OPTIONS = ("memory", "threads", "early_exit")


def add_golden(command: Parser, *, early_exit: bool = False) -> None:
    group = command.add_argument_group("options of the golden model")
    group.add_argument(
        "--memory", type=_memory, metavar="SIZE", help="bounds the working set of a batch, e.g. 2GB (default 1GB)"
    )
    group.add_argument("--threads", type=at_least(1), metavar="N", help="torch threads (default: torch's choice)")
    if early_exit:
        group.add_argument(
            "--early-exit",
            type=_early_exit,
            metavar="margin[:X]",
            help="stop an image when no further step can change its class (proven); with X, also when its largest "
            "logit leads by X",
        )


def golden_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options given, as ``tc.simulate`` takes them; refused for another target."""
    given = {name: value for name in _OPTIONS if (value := getattr(args, name, None)) is not None}
    target = getattr(args, "target", "golden")
    if given and args.command == "run" and target != "golden":
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} is an option of --target golden, not of {target}")
    return given


def _memory(text: str) -> str:
    from toolchain.errors import DataError
    from toolchain.simulation.golden import parse_memory

    try:
        parse_memory(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _early_exit(text: str) -> str | float:
    name, _, number = text.partition(":")
    try:
        value = float(number) if number else None
    except ValueError:
        value = float("nan")
    if name != "margin" or (value is not None and not 0 < value < float("inf")):
        raise argparse.ArgumentTypeError(f"{text!r}: write margin, or margin:X with X logits, e.g. margin:1.5")
    return name if value is None else value

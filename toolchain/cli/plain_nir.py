"""Plain NIR on the command line: what ``spikec export`` adds for reading it and for writing it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec.cli.parser import Parser, UsageError
from spikec.deployment.configuration import SETTINGS
from spikec.deployment.settings import flag

if TYPE_CHECKING:
    import nir

#: Options a plain file needs, and those that belong to trained networks.
_NEEDED = ("reset", "v_init", "timesteps")
_FOR_NETWORKS = ("weights", "method", "options", "schedule", "spike_budget", "max_pool", "fidelity")
_FOR_PLAIN = tuple(name for name, about in SETTINGS.items() if about.group)


def add_portable(command: Parser) -> None:
    command.add_argument(
        "--portable",
        action="store_true",
        help="write plain NIR that other simulators read; spikec itself only reads deployment files",
    )


def check(args: argparse.Namespace) -> bool:
    """Whether MODEL is a plain NIR file; refuses options that do not apply then, or that are missing."""
    plain = Path(args.model).suffix == ".nir"
    if plain:
        if not Path(args.model).is_file():
            raise UsageError(f"no file {args.model}")
        missing = [_flag(name) for name in _NEEDED if getattr(args, name) is None]
        if missing:
            raise UsageError(f"{args.model}: NIR does not say how it is meant to run; give {' and '.join(missing)}")
    useless = [name for name in (_FOR_NETWORKS if plain else _FOR_PLAIN) if _given(args, name)]
    if useless:
        only = "for trained networks, not for a NIR file" if plain else "for a plain NIR file as MODEL"
        raise UsageError(f"{', '.join(map(_flag, useless))}: only {only}")
    return plain


def save(graph: nir.NIRGraph, args: argparse.Namespace) -> Any:
    """Write the deployment to ``args.out``; with ``--portable``, in its portable form."""
    from spikec.ir import save as save_deployment
    from spikec.ir.profile.files import write_nir
    from spikec.ir.profile.portable import portable

    return write_nir(portable(graph), args.out) if args.portable else save_deployment(graph, args.out)


def _given(args: argparse.Namespace, name: str) -> bool:
    """Whether an option differs from its default."""
    return bool(getattr(args, name) != args.parser.get_default(name))


def _flag(name: str) -> str:
    return flag(name, SETTINGS[name]) if name in SETTINGS else f"--{name}"

"""Plain NIR on the command line: what ``spikec export`` adds for reading it and for writing it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec.cli.parser import Parser, UsageError

if TYPE_CHECKING:
    import nir

#: Options a plain file of images needs, those for sequences alone, and those that belong to trained networks.
_NEEDED = ("reset", "v_init", "timesteps")
_FOR_SEQUENCES = ("integration", "reading")
_FOR_NETWORKS = (
    "weights", "weights_entry", "method", "options", "schedule", "frames", "spike_budget", "max_pool", "calibrate",
)  # fmt: skip


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
        if not os.path.isfile(args.model):
            raise UsageError(f"no file {args.model}")
        _check_plain(args)
    useless = [name for name in (_FOR_NETWORKS if plain else _for_plain()) if _given(args, name)]
    if plain and args.measure and _given(args, "measure"):
        useless.append("measure")
    if useless:
        only = "for trained networks, not for a NIR file" if plain else "for a plain NIR file as MODEL"
        raise UsageError(f"{', '.join(map(_flag, useless))}: only {only}")
    return plain


def _check_plain(args: argparse.Namespace) -> None:
    from spikec.conversion.from_nir.sequences import needs_sequences
    from spikec.ir.metadata import metadata_of
    from spikec.ir.profile.reading import read_nir

    graph = read_nir(args.model)
    if metadata_of(graph):
        raise UsageError(f"{args.model} is a deployment already; spikec run, verify and report take it as it is")
    if needs_sequences(graph):
        useless = [_flag(name) for name in ("v_init", "timesteps") if getattr(args, name) is not None]
        if useless:
            raise UsageError(
                f"{args.model} has leaky neurons or a cycle, so it runs on sequences: T is their length and membranes "
                f"start at 0; leave out {' and '.join(useless)}"
            )
        return
    if args.fidelity:
        raise UsageError("--fidelity: for trained networks and for NIR files that run on sequences")
    missing = [_flag(name) for name in _NEEDED if getattr(args, name) is None]
    if missing:
        raise UsageError(f"{args.model}: NIR does not say how it is meant to run; give {' and '.join(missing)}")
    useless = [_flag(name) for name in _FOR_SEQUENCES if getattr(args, name) is not None]
    if useless:
        raise UsageError(f"{args.model} runs on images; {', '.join(useless)}: only for files that run on sequences")


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
    from spikec.deployment.configuration import SETTINGS
    from spikec.deployment.settings import flag

    return flag(name, SETTINGS[name]) if name in SETTINGS else f"--{name}"


def _for_plain() -> tuple[str, ...]:
    """Options of plain files alone."""
    from spikec.deployment.configuration import SETTINGS

    return tuple(name for name, about in SETTINGS.items() if about.group)

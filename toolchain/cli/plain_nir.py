"""Plain NIR on the command line: what ``spikec export`` adds for reading it and for writing it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.cli.parser import Parser, UsageError

if TYPE_CHECKING:
    import nir
    import torch

    from toolchain.conversion import SpikingNetwork

#: Options a plain file needs, and those that belong to trained networks, with their defaults.
_NEEDED = ("reset", "v_init", "timesteps")
_FOR_NETWORKS: dict[str, object] = {
    "weights": None,
    "method": "qcfs",
    "option": [],
    "schedule": None,
    "max_pool": None,
    "fidelity": False,
}


def add_arguments(command: Parser) -> None:
    """``--reset``, ``--v-init``, ``--dt`` for plain NIR in; ``--portable`` for plain NIR out."""
    group = command.add_argument_group("plain NIR instead of a trained network (MODEL is FILE.nir)")
    group.add_argument("--reset", choices=("subtract",), help="how its neurons reset: subtract the threshold")
    group.add_argument("--v-init", choices=("half", "zero"), help="where its membranes start: half the threshold, or 0")
    group.add_argument("--dt", type=float, metavar="S", help="length of a step, needed where r is not 1")
    command.add_argument(
        "--portable",
        action="store_true",
        help="write plain NIR that other simulators read; spikec itself only reads deployment files",
    )


def is_plain(args: argparse.Namespace) -> bool:
    """Whether MODEL is a plain NIR file; refuses options that then mean nothing, or are missing."""
    plain = Path(args.model).suffix == ".nir"
    if plain:
        if not Path(args.model).is_file():
            raise UsageError(f"no file {args.model}")
        missing = [_flag(name) for name in _NEEDED if getattr(args, name) is None]
        if missing:
            raise UsageError(f"{args.model}: NIR does not say how it is meant to run; give {' and '.join(missing)}")
        useless = [_flag(name) for name, default in _FOR_NETWORKS.items() if getattr(args, name) != default]
        if useless:
            raise UsageError(f"{', '.join(useless)}: only for trained networks, not for a NIR file")
    else:
        useless = [_flag(name) for name in ("reset", "v_init", "dt") if getattr(args, name) is not None]
        if useless:
            raise UsageError(f"{', '.join(useless)}: only for a plain NIR file as MODEL")
    return plain


def network(args: argparse.Namespace, images: torch.Tensor) -> SpikingNetwork:
    """The spiking network of the plain NIR file MODEL."""
    from toolchain.ir.foreign import import_nir

    return import_nir(
        args.model, reset=args.reset, v_init=args.v_init, timesteps=args.timesteps, example=images, dt=args.dt
    )


def save(graph: nir.NIRGraph, args: argparse.Namespace) -> Any:
    """Write the deployment to ``args.out``, in its portable form where that is asked for."""
    from toolchain.ir import save as save_deployment
    from toolchain.ir.files import write_nir
    from toolchain.ir.portable import portable

    return write_nir(portable(graph), args.out) if args.portable else save_deployment(graph, args.out)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"

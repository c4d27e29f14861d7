"""``spikec doctor``: what is installed, what works with it, and what to do about the rest."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from toolchain.cli import parser
from toolchain.cli.output import emit
from toolchain.cli.parser import Parser

REQUIRED = ("torch", "numpy", "nir", "h5py", "safetensors", "scikit-learn", "pillow")
LAVA = ("lava-nc", "lava-dl")


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "doctor", "what is installed, what works, what to do")
    command.add_argument("--target", metavar="TARGET", help="exit with code 4 if this target cannot run here")
    return command


def run(args: argparse.Namespace) -> int:
    from targets.base import get_target, target_names

    if args.target is not None and args.target not in target_names():
        raise parser.UsageError(f"target: {parser.unknown(args.target, target_names())}")
    versions = {name: _version(name) for name in ("spikec", *REQUIRED, *LAVA)}
    missing = {name: get_target(name).available() for name in target_names()}
    advice = [f"pip install {name}" for name in REQUIRED if versions[name] is None]
    advice += [sentence for sentence in missing.values() if sentence]
    document = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "targets": {name: {"available": not why, "reason": why} for name, why in missing.items()},
        "to_do": advice,
    }
    lines = [f"python        {platform.python_version()} ({sys.executable})"]
    lines += [f"{name:<13} {found or 'not installed'}" for name, found in versions.items()]
    lines += [f"target {name:<6} {'cannot run here' if why else 'works'}" for name, why in missing.items()]
    lines += [f"to do: {sentence}" for sentence in advice] or ["nothing to do"]
    emit(args, document, "\n".join(lines))
    return 4 if args.target and missing[args.target] else 0


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

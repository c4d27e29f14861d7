"""Packages that only some people need, imported when they are."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spikec.errors import PackageMissing


def needed(module: str, purpose: str, install: str) -> Any:
    """The module. Raises :class:`PackageMissing` where it cannot be imported: ``purpose`` needs it, and the command
    ``install`` brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise PackageMissing(f"{purpose} needs the package {package}: {install} ({error})") from error

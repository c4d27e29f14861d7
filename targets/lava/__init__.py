"""Lava as a CPU target: see ``docs/lava.md``.

The names below are loaded on first use: the worker imports this package, and must not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.targets.lava.launch import LavaError
    from spikec.targets.lava.options import LavaOptions
    from spikec.targets.lava.program import LavaProgram
    from spikec.targets.lava.target import LavaTarget

__all__ = ["LavaError", "LavaOptions", "LavaProgram", "LavaTarget"]

_PLACES = {"LavaError": "launch", "LavaOptions": "options", "LavaProgram": "program", "LavaTarget": "target"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)

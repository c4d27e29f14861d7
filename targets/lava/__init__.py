"""Lava as a CPU target: see ``docs/lava.md``.

The names below are loaded on first use: the worker imports this package, and must not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.targets.lava.launch import LavaError
    from spikec.targets.lava.target import LavaOptions, LavaProgram, LavaTarget

__all__ = ["LavaError", "LavaOptions", "LavaProgram", "LavaTarget"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spikec.targets.lava import launch, target

    return getattr(launch if name == "LavaError" else target, name)

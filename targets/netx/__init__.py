"""lava-dl HDF5 files (netx) of integer graphs: write, read, run; see ``docs/lava.md``.

The names below are loaded on first use: the worker imports this package, and must not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikec.targets.netx.chain import as_chain as as_chain
    from spikec.targets.netx.file import write as write
    from spikec.targets.netx.hard_reset import HardReset as HardReset
    from spikec.targets.netx.hard_reset import simulate_hard_reset as simulate_hard_reset
    from spikec.targets.netx.hard_reset import write_hard_reset as write_hard_reset
    from spikec.targets.netx.program import NetxProgram as NetxProgram
    from spikec.targets.netx.program import run_hard_reset as run_hard_reset
    from spikec.targets.netx.reading import read as read
    from spikec.targets.netx.stock import run_stock as run_stock
    from spikec.targets.netx.stock import write_stock as write_stock

_MODULES = {
    "HardReset": "hard_reset",
    "NetxProgram": "program",
    "as_chain": "chain",
    "read": "reading",
    "run_hard_reset": "program",
    "run_stock": "stock",
    "simulate_hard_reset": "hard_reset",
    "write": "file",
    "write_hard_reset": "hard_reset",
    "write_stock": "stock",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"spikec.targets.netx.{_MODULES[name]}"), name)

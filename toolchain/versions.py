"""Versions of the software in use, read without importing any of it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("spikec", "torch", "numpy", "nir", "lava-nc", "lava-dl")


def versions() -> dict[str, str]:
    """Interpreter, machine and packages by name; absent packages are left out."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

"""Versions of the software in use, read without importing any of it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from spikec.version import __version__

_PACKAGES = ("torch", "numpy", "nir", "lava-nc", "lava-dl")


def versions() -> dict[str, str]:
    """Interpreter, machine and packages by name; absent packages are left out."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    found["spikec"] = __version__
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

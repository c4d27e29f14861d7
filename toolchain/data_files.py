"""Finds the TOML files that describe chips. They lie beside the code of a chip; that code is not imported."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spikec.guarded import read_toml_file
from spikec.installed import entry_points


def chip_files(prefix: str, own: Path) -> dict[str, Path]:
    """All files called ``<prefix>_<name>.toml``, as a dict from name to path.

    Files that belong to no chip lie in ``own``. Those of chips lie in the folders of ``spikec.targets`` and, for other
    packages, beside the modules that entry points in the group ``spikec.chips`` name.
    """
    folders = [own, *_foreign_folders(tuple(sys.path))]
    spec = find_spec("spikec.targets")  # imports spikec alone, which runs already
    for location in (spec.submodule_search_locations or []) if spec else []:
        folders += sorted(p for p in Path(location).iterdir() if os.path.isdir(p))
    found = [file for folder in folders for file in sorted(folder.glob(f"{prefix}_*.toml"))]
    return {file.stem.removeprefix(f"{prefix}_"): file for file in found}


@lru_cache(maxsize=4)
def _foreign_folders(path: tuple[str, ...]) -> tuple[Path, ...]:
    """Folders of the modules in which other packages define chips. ``path``: ``sys.path``, used as cache key only."""
    found = []
    for entry in entry_points(group="spikec.chips"):
        top, *inner = entry.module.split(".")
        spec = None if top == "spikec" else find_spec(top)
        if spec is not None:
            for location in spec.submodule_search_locations or [str(Path(spec.origin or "").parent)]:
                module = Path(location, *inner)
                found.append(module if os.path.isdir(module) else module.parent)
    return tuple(dict.fromkeys(found))


def read_toml(file: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file. Raises :class:`spikec.errors.DataError` that names ``what`` where it cannot be
    read."""
    return read_toml_file(file, what)

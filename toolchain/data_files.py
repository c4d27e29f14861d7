"""Where data that describes chips lies: TOML files in the folders of ``targets``, found without importing it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolchain.errors import ToolchainError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def chip_files(prefix: str, own: Path) -> dict[str, Path]:
    """Files ``<prefix>_<name>.toml`` by name: chip independent ones in ``own``, those of chips in targets."""
    folders = [own]
    spec = find_spec("targets")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folders += sorted(p for p in Path(location).iterdir() if p.is_dir())
    found = [file for folder in folders for file in sorted(folder.glob(f"{prefix}_*.toml"))]
    return {file.stem.removeprefix(f"{prefix}_"): file for file in found}


def read_toml(file: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file; raises :class:`ToolchainError` that names ``what`` where it is none."""
    try:
        data: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ToolchainError(f"{what} {str(file)!r} cannot be read: {error}") from error
    return data

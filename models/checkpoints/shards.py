"""Weights in several files, beside an index that says which tensor is in which: ``model.safetensors.index.json``."""

from __future__ import annotations

import json
from pathlib import Path

from spikec.errors import DataError

SUFFIX = ".index.json"


def is_index(path: Path) -> bool:
    return path.name.endswith(SUFFIX)


def shards(path: Path) -> dict[Path, list[str]]:
    """The files that an index names, and the tensors it says are in each. Raises :class:`DataError`."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        named = {str(tensor): str(file) for tensor, file in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no index of weights: {type(error).__name__}: {error}") from error
    outside = sorted({file for file in named.values() if Path(file).name != file or file in ("", ".", "..")})
    if outside:
        raise DataError(f"{path} names files outside its folder: {', '.join(outside)}")
    files = sorted(set(named.values()))
    absent = [file for file in files if not (path.parent / file).is_file()]
    if not files:
        raise DataError(f"{path} names no files")
    if absent:
        raise DataError(f"{path} names files that are not beside it: {', '.join(absent)}")
    return {path.parent / file: [tensor for tensor, place in named.items() if place == file] for file in files}


def files_of(path: Path) -> list[Path]:
    """All files that the weights ``path`` are made of, ``path`` first."""
    return [path, *shards(path)] if is_index(path) else [path]

"""Weights in several files, beside an index that says which tensor is in which: ``model.safetensors.index.json``."""

from __future__ import annotations

import os
from pathlib import Path

from spikec.errors import DataError
from spikec.guarded import read_json

SUFFIX = ".index.json"


def is_index(path: Path) -> bool:
    return path.name.endswith(SUFFIX)


def shards(path: Path) -> dict[Path, list[str]]:
    """The files that an index names, and the tensors it says are in each. Raises :class:`DataError`."""
    whole = read_json(path, "the index of weights")
    table = whole.get("weight_map") if isinstance(whole, dict) else None
    if not isinstance(table, dict) or not all(isinstance(file, str) for file in table.values()):
        raise DataError(f"{path} is no index of weights: it has no weight_map from tensors to files")
    named: dict[str, str] = table
    outside = sorted({file for file in named.values() if Path(file).name != file or file in ("", ".", "..")})
    if outside:
        raise DataError(f"{path} names files outside its folder: {', '.join(outside)}")
    files = sorted(set(named.values()))
    absent = [file for file in files if not os.path.isfile(path.parent / file)]
    if not files:
        raise DataError(f"{path} names no files")
    if absent:
        raise DataError(f"{path} names files that are not beside it: {', '.join(absent)}")
    return {path.parent / file: [tensor for tensor, place in named.items() if place == file] for file in files}


def files_of(path: Path) -> list[Path]:
    """All files that the weights ``path`` are made of, ``path`` first."""
    return [path, *shards(path)] if is_index(path) else [path]

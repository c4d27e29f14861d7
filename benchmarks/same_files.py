"""Whether two runs of one command left the same: every byte of every file, but for the times that files record.

``TIMES`` is the whole list of what may differ; ``docs/cli.md`` says why.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikec.training.checkpoint import read_state

#: Keys of JSON documents and columns of tables: when something ended, how long it took, and the hash over these.
TIMES = frozenset(("finished", "seconds", "deploy_seconds", "seconds_per_image", "sha256"))


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two folders, by the names of files; empty where nothing does."""
    files = [_files(folder) for folder in (one, other)]
    found = [f"only in one: {name}" for name in sorted(files[0] ^ files[1])]
    return found + [name for name in sorted(files[0] & files[1]) if not same(one / name, other / name)]


def same(one: Path, other: Path) -> bool:
    """Whether two files are equal but for times."""
    if one.read_bytes() == other.read_bytes():
        return True
    read = next((found for ending, found in _READERS.items() if one.name.endswith(ending)), None)
    return read is not None and _equal(without_times(read(one)), without_times(read(other)))


def without_times(value: Any) -> Any:
    """Nested dictionaries and lists without the keys of ``TIMES``."""
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list | tuple) else value


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor | np.ndarray):
        return (
            type(one) is type(other)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and _bytes(one) == _bytes(other)
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and bool(one == other)


def _bytes(array: Any) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> Any:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _csv(path: Path) -> Any:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def _checkpoint(path: Path) -> Any:
    return read_state(path)


def _lava_chunk(path: Path) -> Any:
    with np.load(path) as file:
        return {name.rstrip(":"): file[name] for name in file.files}


#: How the files that record times are read. A file of any other kind has to be equal in every byte.
_READERS: dict[str, Callable[[Path], Any]] = {
    ".log.jsonl": _json_lines,
    ".json": _json,
    "summary.csv": _csv,
    ".checkpoint": _checkpoint,
    ".npz": _lava_chunk,
}

"""A checkpoint as the state dictionaries in it, by where they stand. Runs no code that stands in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from spikec.errors import DataError
from spikec.guarded import parse_json, reading, regular_file
from spikec.models.checkpoints.formats import SAFETENSORS, file_format
from spikec.models.checkpoints.inert import read_inert
from spikec.models.checkpoints.shards import is_index, shards

#: The key under which :func:`spikec.models.save_weights` keeps its ``info`` in a safetensors header.
METADATA_KEY = "spikec"
#: How deep a state dictionary may lie: ``callbacks/EMA/state``.
_DEPTH = 4


@dataclass(frozen=True)
class Checkpoint:
    """``states``: by where it stands (``()``: the file itself), each dictionary that holds tensors by name. Its other
    entries are kept, since quantised networks have such. ``info``: what ``spikec train`` wrote, else empty."""

    path: Path
    states: Mapping[tuple[str, ...], Mapping[str, Any]] = field(repr=False)
    info: Mapping[str, Any] = field(repr=False)


def read_checkpoint(path: Path) -> Checkpoint:
    """All state dictionaries of a file: safetensors, PyTorch's own format, or the index of several such files.

    Raises :class:`DataError` where it holds none, or could only be loaded by running code from it.
    """
    _check(path)
    if is_index(path):
        return Checkpoint(path, {(): _joined(path)}, {})
    if file_format(path) == SAFETENSORS:
        with _safetensors(path) as file:
            state, info = {name: file.get_tensor(name) for name in file.keys()}, _info(path, file)  # noqa: SIM118
        if not state:
            raise DataError(f"{path} holds no tensors")
        return Checkpoint(path, {(): state}, info)
    content = read_inert(path)
    states = dict(_states(content, (), set()))
    if not states:
        raise DataError(f"{path} {_without_states(content)}")
    return Checkpoint(path, states, {})


def read_info(path: Path) -> dict[str, Any]:
    """The ``info`` of a safetensors file, empty for other files. Reads no tensors. Raises :class:`DataError`."""
    _check(path)
    if is_index(path) or path.suffix != ".safetensors":
        return {}
    with _safetensors(path) as file:
        return _info(path, file)


def _check(path: Path) -> None:
    if os.path.isdir(path):  # which does not raise for names that are too long
        inside = sorted(p.name for p in path.glob("*.index.json")) or sorted(
            p.name for p in path.iterdir() if p.suffix in (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
        )
        raise DataError(f"{path} is a folder; give the file of the weights{': ' * bool(inside)}{', '.join(inside[:5])}")
    regular_file(path)


def _joined(path: Path) -> dict[str, Any]:
    """The tensors of all files that an index names. Raises if one has fewer than it should."""
    state: dict[str, Any] = {}
    for file, tensors in shards(path).items():
        found = read_checkpoint(file).states.get((), {})
        absent = [name for name in tensors if name not in found]
        if absent:
            raise DataError(f"{path} says that {file.name} holds {absent[0]}, which it does not")
        state |= {name: found[name] for name in tensors}
    return state


def _states(
    content: Any, place: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if not isinstance(content, Mapping) or id(content) in seen:
        return
    seen.add(id(content))
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    if any(isinstance(value, Tensor) for value in named.values()):
        yield place, named
    if len(place) < _DEPTH:
        for key, value in named.items():
            yield from _states(value, (*place, key), seen)


def _without_states(content: Any) -> str:
    way_out = 'write one with torch.save(model.state_dict(), "weights.pt")'
    if isinstance(content, Mapping) and content:
        entries = ", ".join(f"{key} ({type(value).__name__})" for key, value in list(content.items())[:8])
        return f"holds no state dictionary, only {entries}; {way_out}"
    what = "an empty dictionary" if isinstance(content, Mapping) else f"a {type(content).__name__}"
    return f"holds {what}, not a state dictionary; {way_out}"


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    """The open file. Raises :class:`DataError` if opening it fails, or reading it inside the ``with`` block."""
    with reading(path, "safetensors"), safe_open(path, framework="pt") as file:
        yield file


def _info(path: Path, file: Any) -> dict[str, Any]:
    info: Any = parse_json((file.metadata() or {}).get(METADATA_KEY, "{}"), f"{path}: its header")
    if not isinstance(info, dict):
        raise DataError(f"{path}: its header holds {type(info).__name__} in place of a table; write the weights again")
    return info

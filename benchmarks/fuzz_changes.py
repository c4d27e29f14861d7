"""Random changes to files: of bytes, of the tree of a NIR file, of words in a text. All follow from a seed."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from spikec.hdf5.seal import sealed
from spikec.ir.metadata import KEY
from spikec.ir.profile.hashes import CONTENT_KEY, HASH_KEY, content_sha256, metadata_sha256

Rng = np.random.Generator
#: Numbers at which something may wrap, round or run for ever.
_NUMBERS = (
    0, 1, -1, 2, 127, 128, -128, -129, 255, 2**15, 2**23, 2**24, 2**24 + 1, 2**31 - 1, -(2**31), 2**31, 2**32, 2**53,
    2**61, 2**62, 2**63 - 1, -(2**63),
)  # fmt: skip
_WORDS = (*map(str, _NUMBERS), "nan", "inf", "1e999", "true", "null", '"x"', "[", "]", "{", "}", "\x1b[2J", "\u202e")
_REALS = (0.5, -0.0, 1e-40, 1e30, -1e300, float("nan"), float("inf"))


def changed_bytes(rng: Rng, content: bytes) -> bytes:
    """One to four changes: a bit, a byte, a stretch of zeros, a piece cut out, doubled or moved, an early end."""
    data = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        at = int(rng.integers(len(data)))
        piece = slice(at, at + int(rng.integers(1, 65)))
        match int(rng.integers(7)):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at] = int(rng.choice([0, 1, 3, 127, 128, 255]))
            case 2:
                data[piece] = bytes(len(data[piece]))
            case 3:
                del data[piece]
            case 4:
                data[at:at] = data[piece]
            case 5:
                data[piece] = rng.bytes(len(data[piece]))
            case 6:
                del data[at:]
        if not data:
            break
    return bytes(data)


def changed_text(rng: Rng, text: str) -> str:
    """A number, a word or a bracket replaced by another, or doubled very often."""
    places = list(re.finditer(r"[-+.\w]+|[][{}:,=\"]", text))
    if not places:
        return text
    for _ in range(int(rng.integers(1, 4))):
        place = places[int(rng.integers(len(places)))]
        word = str(rng.choice(_WORDS)) if rng.random() < 0.8 else place.group() * int(rng.choice([2, 100, 10_000]))
        text = text[: place.start()] + word + text[place.end() :]
        places = [each for each in places if each.end() <= place.start()] or places[:1]
    return text


@lru_cache(maxsize=16)
def _read(source: Path, changed: int) -> Any:
    """The graph of a file, read once while it stays as it is."""
    return nir.read(source)


def changed_tree(rng: Rng, source: Path, target: Path) -> None:
    """A NIR file with a changed node, edge or entry of its metadata, written by ``nir``; in half of them the hashes are
    made right again, as somebody would who means harm."""
    graph = copy.deepcopy(_read(source, source.stat().st_mtime_ns))
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        _TREE[int(rng.integers(len(_TREE)))](rng, graph)
    about = graph.metadata.get(KEY, {})
    if rng.random() < 0.5 and isinstance(about, dict):
        about[CONTENT_KEY] = content_sha256(graph)
        about[HASH_KEY] = metadata_sha256(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nir.write(target, graph)
    _seal(rng, target)


def _seal(rng: Rng, path: Path) -> None:
    if rng.random() < 0.5:
        path.write_bytes(sealed(path.read_bytes()))


def _number(rng: Rng, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array with another number at one place, or of another type or shape."""
    value = rng.choice(_NUMBERS) if rng.random() < 0.7 else rng.choice(_REALS)
    found = np.array(array)
    match int(rng.integers(5)):
        case 0:
            return found.reshape(-1)
        case 1:
            return found[None]
        case 2:
            return found.astype(rng.choice(["int8", "int64", "uint64", "float32", "float64"]))
        case _:
            wide = found.astype(np.float64 if isinstance(value, float | np.floating) else np.int64)
            if wide.size:
                wide.reshape(-1)[int(rng.integers(wide.size))] = value
            return wide


def _node(rng: Rng, graph: Any) -> Any:
    names = list(graph.nodes)
    return graph.nodes[names[int(rng.integers(len(names)))]]


def _field(rng: Rng, graph: Any) -> None:
    node = _node(rng, graph)
    fields = [name for name, value in vars(node).items() if isinstance(value, np.ndarray | int | float | tuple)]
    if fields:
        name = fields[int(rng.integers(len(fields)))]
        setattr(node, name, _number(rng, np.asarray(getattr(node, name))))


def _entry(rng: Rng, graph: Any) -> None:
    about = (graph if rng.random() < 0.4 else _node(rng, graph)).metadata.get(KEY, {})
    if not isinstance(about, dict) or not about:
        return
    key = list(about)[int(rng.integers(len(about)))]
    value = about[key]
    match int(rng.integers(5)):
        case 0:
            del about[key]
        case 1:
            about[key[:-1] + chr(97 + int(rng.integers(26)))] = about.pop(key)
        case 2:
            about[key] = str(rng.choice(["", "x", "if", "layerwise", "\x1b[2J", "sequence", "9" * 400]))
        case _:
            numbers = (
                isinstance(value, np.ndarray | int | float | np.generic) and np.asarray(value).dtype.kind in "iufb"
            )
            about[key] = _number(rng, np.asarray(value)) if numbers else int(rng.choice(_NUMBERS[:-4]))


def _edge(rng: Rng, graph: Any) -> None:
    edges, names = list(graph.edges), list(graph.nodes)
    at = int(rng.integers(len(edges)))
    pair = tuple(names[int(n)] for n in rng.integers(len(names), size=2))
    graph.edges = (
        [*edges[:at], *edges[at + 1 :]] if rng.random() < 0.3 else [*edges, pair, *edges[:1] * int(rng.integers(3))]
    )


_TREE: tuple[Callable[[Rng, Any], None], ...] = (_field, _field, _entry, _entry, _entry, _edge)


def changed_datasets(rng: Rng, source: Path, target: Path) -> None:
    """A NIR file with changed datasets, groups and links, below what ``nir`` can write."""
    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        items: list[str] = []
        file.visit(items.append)
        for _ in range(int(rng.choice([1, 1, 2]))):
            name = items[int(rng.integers(len(items)))]
            if name not in file:
                continue
            match int(rng.integers(8)):
                case 0:
                    del file[name]
                case 1:
                    file.move(name, name + str(rng.choice(["x", "é", " ", "\x1b"])))
                case 2:
                    file[f"{name}_again"] = file[name]
                case 3:
                    del file[name]
                    file[name] = h5py.SoftLink(str(rng.choice(["/", "/node", "/nowhere", name])))
                case 4:
                    del file[name]
                    file[name] = h5py.ExternalLink("/dev/zero", "/")
                case 5:
                    del file[name]
                    most = int(rng.choice([10, 2**20, 2**34, 2**40]))
                    file.create_dataset(name, (most,), "f4", chunks=(min(most, 1024),), compression="gzip")
                case 6:
                    del file[name]
                    file[name] = np.zeros(3, [("a", "f4"), ("b", "i8")]) if rng.random() < 0.5 else h5py.Empty("f4")
                case 7:
                    del file[name]
                    file[name] = str(rng.choice(["", "Conv2d", "IF", "NIRGraph", "x" * 5000]))
    _seal(rng, target)

"""How a tree travels from the process that reads files: JSON that describes it, then the bytes of its arrays.

No pickles: a process that a file took over must not be able to run anything in the one that asked. The receiver
believes nothing: types are listed, sizes are computed and bounded before memory is taken.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from spikec.hdf5.tree import DEPTH_MAX, FileTree, Problem, Tree, Value

_LENGTH = struct.Struct("<Q")
#: Bytes of the description: names, texts and problems.
_TEXT_MAX = 2**29


#: Numbers of an array from which on it is worth looking at, and how many are looked at together.
_LARGE, _PIECE = 2**14, 2**16


@dataclass(frozen=True)
class Narrowed:
    """An array of ``kind`` as ``values``, which may be narrower integers: each is exactly what it was."""

    values: npt.NDArray[Any]
    kind: np.dtype[Any]


def narrowed(array: npt.NDArray[Any]) -> npt.NDArray[Any] | Narrowed:
    """A large array of whole numbers in 8 or 16 bits, where it comes back the same in every bit; any other one as it
    is. Weights of a deployment are such numbers, written in 32 bits."""
    if array.size < _LARGE or array.dtype.kind not in "iuf" or array.dtype.itemsize not in (2, 4, 8):
        return array
    flat = array.reshape(-1)
    for kind in (np.int8, np.int16):
        if np.dtype(kind).itemsize < array.dtype.itemsize and _survives(flat[:_PIECE], kind):
            values = np.empty(array.shape, kind)
            held = values.reshape(-1)
            for first in range(0, len(flat), _PIECE):
                piece = flat[first : first + _PIECE]
                if not _survives(piece, kind):
                    break
                held[first : first + _PIECE] = piece
            else:
                return Narrowed(values, array.dtype)
    return array


def _survives(piece: npt.NDArray[Any], kind: type[np.integer[Any]]) -> bool:
    with np.errstate(invalid="ignore"):
        back = piece.astype(kind).astype(piece.dtype)
    return bool((back.view(f"u{piece.dtype.itemsize}") == piece.view(f"u{piece.dtype.itemsize}")).all())


class Broken(Exception):
    """What arrives is cut off, or is nothing that the other process sends."""


def send_tree(out: BinaryIO, tree: FileTree) -> None:
    arrays: list[Any] = []
    content = {
        "node": _described(tree.node, arrays),
        "version": _described(tree.version, arrays),
        "extra": tree.extra,
        "problems": [asdict(problem) for problem in tree.problems],
        "safe": tree.safe,
        "asked": _described(tree.asked, arrays),
    }
    send(out, content)
    for array in arrays:
        out.write(memoryview(array).cast("B"))
    out.flush()


def send(out: BinaryIO, content: Any) -> None:
    """One JSON value."""
    words = json.dumps(content).encode()
    out.write(_LENGTH.pack(len(words)) + words)
    out.flush()


def _described(held: Tree | Value | None, arrays: list[Any]) -> Any:
    if held is None:
        return None
    if isinstance(held, dict):
        return {"tree": {name: _described(inner, arrays) for name, inner in held.items()}}
    described: dict[str, Any] = {"shape": held.shape, "dtype": held.dtype}
    if held.data is None:
        described["why"] = held.why
    elif held.text:
        described["text"] = held.data if isinstance(held.data, str) else held.data.reshape(-1).tolist()
    else:
        array = held.data if isinstance(held.data, Narrowed) else Narrowed(held.data, held.data.dtype)
        described["as"], described["sent"] = array.kind.str, array.values.dtype.str
        if array.values.size:
            arrays.append(np.ascontiguousarray(array.values))
    return described


def receive_tree(fill: Callable[[memoryview], None], limit: int) -> FileTree:
    """The tree that :func:`send_tree` sent. ``fill(view)`` fills memory with the next bytes or raises :class:`Broken`;
    ``limit``: bytes of all arrays together. Raises :class:`Broken`."""
    arrays: list[Any] = []
    content = receive(fill)
    try:
        left = [limit]
        tree = FileTree(
            _taken(content["node"], arrays, left, 0),
            _taken(content["version"], arrays, left, 0),
            [str(name) for name in content["extra"]],
            [Problem(**problem) for problem in content["problems"]],
            bool(content["safe"]),
            _taken(content["asked"], arrays, left, -1),
        )
        if not isinstance(tree.asked, dict):
            raise ValueError("no tree")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Broken(str(error)) from error
    for value, array in arrays:
        fill(memoryview(array.reshape(-1)).cast("B"))
        value.data = array.astype(value.data.dtype, copy=False)  # widened one by one
    return tree


def receive(fill: Callable[[memoryview], None]) -> Any:
    """One JSON value. Raises :class:`Broken`."""
    length = bytearray(_LENGTH.size)
    fill(memoryview(length))
    (count,) = _LENGTH.unpack(length)
    if count > _TEXT_MAX:
        raise Broken(f"{count} bytes of text")
    words = bytearray(count)
    fill(memoryview(words))
    try:
        return json.loads(words)
    except (ValueError, RecursionError) as error:
        raise Broken(str(error)) from error


def _taken(content: Any, arrays: list[Any], left: list[int], depth: int) -> Any:
    if content is None:
        return None
    if "tree" in content:
        if depth > DEPTH_MAX:
            raise ValueError("too deep")
        found = ((str(name), _taken(inner, arrays, left, depth + 1)) for name, inner in content["tree"].items())
        return {name: inner for name, inner in found if inner is not None}
    shape = tuple(int(n) for n in content["shape"])
    value = Value(shape, str(content["dtype"]), why=str(content.get("why", "")))
    if "text" in content:
        value.data = content["text"] if isinstance(content["text"], str) else _texts(content["text"], shape)
    elif "as" in content:
        kind = np.dtype(content["as"])
        sent = np.dtype(content["sent"])
        left[0] -= math.prod(shape) * kind.itemsize
        same = sent == kind or (sent.kind == "i" and kind.kind in "iuf" and sent.itemsize < kind.itemsize)
        if kind.kind not in "biufc" or not same or min(shape, default=0) < 0 or left[0] < 0:
            raise ValueError("an array that nobody asked for")
        value.data = np.broadcast_to(np.zeros((), kind), shape)  # takes no memory until the numbers are here
        if value.data.size:
            arrays.append((value, np.empty(shape, sent)))
        else:
            value.data = np.empty(shape, kind)
    return value


def _texts(items: list[Any], shape: tuple[int, ...]) -> Any:
    found = np.empty(len(items), dtype=object)
    found[:] = [str(item) for item in items]
    return found.reshape(shape)

"""How a tree travels from the process that reads files: arrays as they are read, then JSON that describes the tree.

No pickles: a process that a file took over must not be able to run anything in the one that asked. The receiver
believes nothing: types are listed, sizes are computed and bounded before memory is taken. Arrays come in parts, those
of whole numbers in 8 or 16 bits where these hold them, and go where they stay, so that neither side holds one twice.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from spikec.hdf5.tree import DEPTH_MAX, OBJECTS_MAX, FileTree, Problem, Tree, Value

_LENGTH = struct.Struct("<Q")
#: Bytes of the description: names, texts and problems.
_TEXT_MAX = 2**29
#: What comes next: an array, or the description of the tree, which is the last.
_ARRAY, _TREE = b"A", b"T"
#: How a part of an array comes, and how many numbers it is: as they are, in 8 or in 16 bits, as one number that all of
#: them are; or not at all, since the array could not be read to its end.
_PART = struct.Struct("<cQ")
_PLAIN, _SAME, _NONE = b"p", b"s", b"x"
_NARROW: dict[bytes, np.dtype[Any]] = {b"b": np.dtype(np.int8), b"h": np.dtype("<i2")}
#: Numbers in a part that comes narrow, at most.
_PIECE = 2**16


Fill = Callable[[memoryview], None]


@dataclass(frozen=True)
class Sent:
    """An array that is on its way already: which one, from 0 on."""

    number: int


class Sender:
    """Sends arrays, one after the other, then the tree that they belong to."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._arrays = out, 0

    def array(self, shape: tuple[int, ...], kind: np.dtype[Any], parts: Iterable[npt.NDArray[Any]]) -> Sent:
        """An array whose ``parts``, one after the other, are its numbers in C order."""
        self._out.write(_ARRAY)
        send(self._out, {"shape": shape, "dtype": kind.str})
        self._arrays += 1
        left = math.prod(shape)
        try:
            for part in parts:
                flat = np.ascontiguousarray(part).reshape(-1)
                for first in range(0, flat.size, _PIECE):
                    self._part(flat[first : first + _PIECE])
                left -= flat.size
        except Exception:
            if left:
                self._out.write(_PART.pack(_NONE, 0))
            raise
        return Sent(self._arrays - 1)

    def _part(self, numbers: npt.NDArray[Any]) -> None:
        bits = _bits(numbers)
        if bits is not None and bits[0] == bits[-1] and bool((bits == bits[0]).all()):
            self._write(_SAME, numbers.size, numbers[:1])
            return
        for how, kind in _NARROW.items():
            if _narrows(kind, numbers.dtype):
                with np.errstate(invalid="ignore"):
                    made = numbers.astype(kind)
                back = made.astype(numbers.dtype)
                if bool((_bits(back) == bits).all()):
                    self._write(how, numbers.size, made)
                    return
        self._write(_PLAIN, numbers.size, numbers)

    def _write(self, how: bytes, count: int, numbers: npt.NDArray[Any]) -> None:
        self._out.write(_PART.pack(how, count))
        self._out.write(numbers.view(np.uint8).data)

    def tree(self, tree: FileTree) -> None:
        """The last of it. Arrays that are still held by the tree are sent first."""
        content = {
            "node": self._described(tree.node),
            "version": self._described(tree.version),
            "extra": tree.extra,
            "problems": [asdict(problem) for problem in tree.problems],
            "safe": tree.safe,
            "asked": self._described(tree.asked),
        }
        self._out.write(_TREE)
        send(self._out, content)

    def _described(self, held: Tree | Value | None) -> Any:
        if held is None:
            return None
        if isinstance(held, dict):
            return {"tree": {name: self._described(inner) for name, inner in held.items()}}
        described: dict[str, Any] = {"shape": held.shape, "dtype": held.dtype}
        if held.data is None:
            described["why"] = held.why
        elif held.text:
            described["text"] = held.data if isinstance(held.data, str) else held.data.reshape(-1).tolist()
        else:
            data = held.data
            sent = data if isinstance(data, Sent) else self.array(data.shape, data.dtype, [data])
            described["array"] = sent.number
        return described


def _bits(numbers: npt.NDArray[Any]) -> Any:
    """The bits of numbers of up to 8 bytes as an array, which compare equal only where they are the same; None of
    larger ones."""
    size = numbers.dtype.itemsize
    return numbers.view(f"u{size}") if size <= 8 else None


def _narrows(narrow: np.dtype[Any], kind: np.dtype[Any]) -> bool:
    """Whether numbers of ``kind`` may travel as narrower integers."""
    return kind.kind in "iuf" and narrow.itemsize < kind.itemsize <= 8


class Broken(Exception):
    """What arrives is cut off, or is nothing that the other process sends."""


def send(out: BinaryIO, content: Any) -> None:
    """One JSON value."""
    words = json.dumps(content).encode()
    out.write(_LENGTH.pack(len(words)) + words)
    out.flush()


def receive_tree(fill: Fill, limit: int) -> FileTree:
    """The tree that a :class:`Sender` sent. ``fill(view)`` fills memory with the next bytes or raises :class:`Broken`;
    ``limit``: bytes of all arrays together. Raises :class:`Broken`."""
    arrays: list[npt.NDArray[Any] | None] = []
    try:
        while (what := bytes(_filled(fill, 1))) == _ARRAY:
            array, limit = _announced(receive(fill), limit)
            arrays.append(array if _received(array.reshape(-1), fill) else None)
            if len(arrays) > OBJECTS_MAX:
                raise ValueError("more arrays than a tree holds")
        if what != _TREE:
            raise ValueError("neither an array nor a tree")
        content = receive(fill)
        tree = FileTree(
            _taken(content["node"], arrays, 0),
            _taken(content["version"], arrays, 0),
            [str(name) for name in content["extra"]],
            [Problem(**problem) for problem in content["problems"]],
            bool(content["safe"]),
            _taken(content["asked"], arrays, -1),
        )
        if not isinstance(tree.asked, dict):
            raise ValueError("no tree")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise Broken(str(error)) from error
    return tree


def _filled(fill: Fill, count: int) -> bytearray:
    content = bytearray(count)
    fill(memoryview(content))
    return content


def _announced(content: Any, limit: int) -> tuple[npt.NDArray[Any], int]:
    """Memory for an array, and what is left of ``limit`` bytes. It takes none before numbers arrive."""
    shape, kind = tuple(int(n) for n in content["shape"]), np.dtype(content["dtype"])
    limit -= math.prod(shape) * kind.itemsize
    if kind.kind not in "biufc" or min(shape, default=0) < 0 or limit < 0:
        raise ValueError("an array that nobody asked for")
    return np.zeros(shape, kind), limit


def _received(flat: npt.NDArray[Any], fill: Fill) -> bool:
    """Fill an array of zeros with the parts that come. False where the other side could not read it to its end."""
    done = 0
    while done < flat.size:
        how, count = _PART.unpack(_filled(fill, _PART.size))
        if how == _NONE:
            return False
        if not 0 < count <= flat.size - done:
            raise ValueError("a part that is not of this array")
        part = flat[done : done + count]
        if how == _PLAIN:
            fill(part.view(np.uint8).data)
        elif how == _SAME:
            number = np.zeros(1, flat.dtype)
            fill(number.view(np.uint8).data)
            if number.view(np.uint8).any():  # else it is there, and memory of zeros is not taken
                part[:] = number
        elif how in _NARROW and _narrows(_NARROW[how], flat.dtype) and count <= _PIECE:
            made = np.empty(count, _NARROW[how])
            fill(made.view(np.uint8).data)
            part[:] = made
        else:
            raise ValueError("a part of a kind that is not known")
        done += count
    return True


def receive(fill: Fill) -> Any:
    """One JSON value. Raises :class:`Broken`."""
    (count,) = _LENGTH.unpack(_filled(fill, _LENGTH.size))
    if count > _TEXT_MAX:
        raise Broken(f"{count} bytes of text")
    words = _filled(fill, count)
    try:
        return json.loads(words)
    except (ValueError, RecursionError) as error:
        raise Broken(str(error)) from error


def _taken(content: Any, arrays: list[npt.NDArray[Any] | None], depth: int) -> Any:
    if content is None:
        return None
    if "tree" in content:
        if depth > DEPTH_MAX:
            raise ValueError("too deep")
        found = ((str(name), _taken(inner, arrays, depth + 1)) for name, inner in content["tree"].items())
        return {name: inner for name, inner in found if inner is not None}
    shape = tuple(int(n) for n in content["shape"])
    value = Value(shape, str(content["dtype"]), why=str(content.get("why", "")))
    if "text" in content:
        value.data = content["text"] if isinstance(content["text"], str) else _texts(content["text"], shape)
    elif "array" in content:
        array = arrays[content["array"]]
        if array is None or array.shape != shape:
            raise ValueError("an array that has not come")
        value.data, arrays[content["array"]] = array, None  # each belongs to one place
    return value


def _texts(items: list[Any], shape: tuple[int, ...]) -> Any:
    found = np.empty(len(items), dtype=object)
    found[:] = [str(item) for item in items]
    return found.reshape(shape)

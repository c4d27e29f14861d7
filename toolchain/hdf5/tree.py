"""An HDF5 file as a tree of plain values, read with h5py alone.

It takes whatever an HDF5 file may hold: what a dataset declares is looked at before its data are read, links to other
files are never followed, each group is entered once. It runs in a process of its own (:mod:`spikec.hdf5.child`), since
the HDF5 library itself may crash or never end on a damaged file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from spikec.hdf5.datasets import Allowance, Refused, strings_of, values_of
from spikec.hdf5.question import NIR
from spikec.hdf5.unpacking import parts_of
from spikec.words import shown

OBJECTS_MAX = 50_000
DEPTH_MAX = 32
_LINKS_MAX = 8

Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass
class Value:
    """A dataset: ``data`` is an array of numbers, a string, or an object array of strings; None where it was not read
    (``why`` says for what reason)."""

    shape: tuple[int, ...]
    dtype: str
    data: Any = None
    why: str = ""

    @property
    def text(self) -> bool:
        """Whether it holds strings."""
        return isinstance(self.data, str) or (isinstance(self.data, np.ndarray) and self.data.dtype == object)


Tree: TypeAlias = "dict[str, Value | Tree]"


@dataclass(frozen=True)
class Problem:
    """Something wrong with the outer form of a file; ``rule`` is one of :data:`spikec.nir.findings.RULES`."""

    rule: str
    where: str
    severity: Severity
    message: str
    hint: str = ""


@dataclass
class FileTree:
    """``node`` and ``version`` of the file, ``asked``: by name, what else was asked for, ``extra``: names of other
    content, and what went wrong on the way.

    ``safe``: nothing was left out that ``nir.read`` would follow or load.
    """

    node: Tree | Value | None = None
    version: Value | None = None
    extra: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    safe: bool = True
    asked: Tree = field(default_factory=dict)


#: What the HDF5 library says then, ``Not a file id``, says nothing.
UNOPENED = "the file begins as HDF5 does, and cannot be opened"

#: What becomes of an array of numbers, from its shape, its type and its parts: each as many numbers as come next in C
#: order, in any shape.
Keep: TypeAlias = Callable[[tuple[int, ...], np.dtype[Any], Iterable[npt.NDArray[Any]]], Any]
#: HDF5 reads the bytes where they are and does not free them (H5LTpublic.h); it would copy them otherwise.
_DONT_COPY, _DONT_RELEASE = 2, 4


def whole(shape: tuple[int, ...], kind: np.dtype[Any], parts: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """An array of its parts."""
    array, done = np.zeros(shape, kind), 0
    flat = array.reshape(-1)
    for part in parts:
        flat[done : done + part.size] = part.reshape(-1)
        done += part.size
    return array


def read_tree(content: bytes, limit: int, names: Sequence[str] = NIR, *, keep: Keep = whole) -> FileTree:
    """Read the bytes of a file; ``limit``: bytes of data that are read at most, all datasets together. ``names``: what
    is read at the root; anything else there is only listed. ``keep``: what becomes the data of an array of numbers."""
    reader = _Reader(Allowance(limit, len(content)), names)
    reader.keep = keep
    try:
        with h5py.File(h5py.h5f.open_file_image(content, _DONT_COPY | _DONT_RELEASE)) as file:
            reader.file(file)
    except Exception as error:  # h5py raises many kinds for damaged files
        why = " ".join(str(error).split())
        if not reader.opened:
            reader.report("damaged", "", "error", f"{UNOPENED}: it is cut off or damaged", "get it again")
        else:
            reader.report("damaged", "", "error", f"the file breaks off while it is read: {why}", "get it again")
    return reader.found


class _Reader:
    keep: Keep

    def __init__(self, allowance: Allowance, wanted: Sequence[str]) -> None:
        self.found = FileTree()
        self.opened = False
        self._wanted = wanted
        self._allowance, self._objects, self._full = allowance, 0, False
        self._groups: dict[int, str] = {}  # address of each group that was entered -> its place

    def report(self, rule: str, where: str, severity: Severity, message: str, hint: str = "") -> None:
        self.found.problems.append(Problem(rule, where, severity, message, hint))
        if severity == "error":
            self.found.safe = False

    def file(self, file: h5py.File) -> None:
        self.opened = True
        self._groups[_address(file.id)] = "/"
        names = list(file)
        self.found.extra = [name for name in names if name not in self._wanted]
        self.found.extra += [f"attribute {name}" for name in file.attrs]
        for name in self._wanted:
            if name not in names:
                continue
            value = self._child(file, name, f"/{name}", 1)
            if name == "node":
                self.found.node = value
            elif name != "version" and value is not None:
                self.found.asked[name] = value
            elif isinstance(value, Value):
                self.found.version = value

    def _child(self, group: h5py.Group, name: str, where: str, depth: int) -> Value | Tree | None:
        self._objects += 1
        if self._objects > OBJECTS_MAX:
            if not self._full:
                self._full = True
                self.report("too_large", "", "error", f"more than {OBJECTS_MAX} objects; the rest is not looked at")
            return None
        if depth > DEPTH_MAX:
            self.report("too_large", shown(where), "error", f"more than {DEPTH_MAX} groups inside each other")
            return None
        try:
            held = self._follow(group, name, where)
            if held is None:
                return None
            if isinstance(held, h5py.h5d.DatasetID):
                return self._dataset(held, where)
            if not isinstance(held, h5py.h5g.GroupID):
                self.report("unreadable_object", shown(where), "error", "it is a named type, neither data nor a group")
                return None
            place = _address(held)
            if place in self._groups:
                before = self._groups[place]
                itself = before == "/" or where.startswith(f"{before}/")
                message = "this group contains itself" if itself else f"it is the same group as {shown(before)}"
                self.report("link_cycle", shown(where), "error", message, "write the file anew")
                return None
            self._groups[place] = where
            inside = h5py.Group(held)
            if len(inside) > OBJECTS_MAX:
                self.report("too_large", shown(where), "error", f"it holds more than {OBJECTS_MAX} objects")
                return None
            names = list(inside)
        except Exception as error:
            why = " ".join(f"{error}".split()) or type(error).__name__
            self.report("unreadable_object", shown(where), "error", f"it cannot be read: {why}", "get the file again")
            return None
        tree: Tree = {}
        for inner in names:
            value = self._child(inside, inner, f"{where}/{inner}", depth + 1)
            if value is not None:
                tree[inner] = value
        return tree

    def _follow(self, group: h5py.Group, name: str, where: str) -> Any:
        """The object behind a name. Soft links are followed step by step, so that none leads out of the file."""
        raw = name.encode("utf-8", "surrogateescape")
        if group.id.links.get_info(raw).type == h5py.h5l.TYPE_HARD:
            return h5py.h5o.open(group.id, raw)
        names, base, followed = [name], group, 0
        while names:
            first = names.pop(0)
            link = base.get(first, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                message = f"it is a link into the file {shown(link.filename)}"
                self.report("external_link", shown(where), "error", message, "copy the data into this file")
                return None
            if isinstance(link, h5py.SoftLink):
                followed += 1
                base = base.file if link.path.startswith("/") else base
                names = [part for part in link.path.split("/") if part not in ("", ".")] + names
                if followed > _LINKS_MAX:
                    self.report("soft_link", shown(where), "error", "its links never end", "write the file anew")
                    return None
                continue
            if link is None:
                message = "it is a link to nothing" if followed else "it is gone"
                self.report("soft_link", shown(where), "error", message, "write the file anew")
                return None
            base = base[first]
            if names and not isinstance(base, h5py.Group):
                self.report("soft_link", shown(where), "error", "it is a link to nothing", "write the file anew")
                return None
        if followed:
            message = "it is a link to another place of the file, which repair writes out"
            self.report("soft_link", shown(where), "note", message)
        return base.id

    def _dataset(self, data: h5py.h5d.DatasetID, where: str) -> Value:
        space = data.get_space()
        if space.get_simple_extent_type() == h5py.h5s.NULL:
            return Value((), "empty", why="it is empty")
        shape, kind = tuple(space.get_simple_extent_dims()), data.dtype
        text = h5py.check_string_dtype(kind)
        value = Value(shape, "text" if text else str(kind))
        if not text and (kind.kind not in "biufc" or kind.subdtype is not None):
            value.why = "it holds neither numbers nor text"
            return value
        try:
            size = self._allowance.granted(data, shape, max(kind.itemsize, 16 if text else 1))
            if text:
                value.data = strings_of(values_of(data, shape), self._allowance)
            else:
                value.data = self.keep(shape, kind, parts_of(data, shape))
            self._allowance.spend(size)
        except Refused as refused:
            self.report(refused.rule, shown(where), refused.severity, str(refused), refused.hint)
            self.found.safe = False
            value.data, value.why = None, refused.why
        return value


def _address(held: h5py.h5g.GroupID) -> int:
    """Where an object lies in the file: the same under each of its names."""
    return int(h5py.h5o.get_info(held).addr)

"""A NIR file as a tree of plain values, read with h5py alone.

It takes whatever an HDF5 file may hold: each dataset's shape is looked at before its data are read, links to other
files are never followed, groups that contain themselves end. It runs in a process of its own (:mod:`spikec.nir.child`),
since the HDF5 library itself may crash or never end on a damaged file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import h5py
import numpy as np

from spikec.nir.findings import Finding, Severity, shown

OBJECTS_MAX = 50_000
DEPTH_MAX = 32
_LINKS_MAX = 8


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


@dataclass
class FileTree:
    """``node`` and ``version`` of the file, names of other content, what went wrong on the way.

    ``safe``: nothing was left out that ``nir.read`` would follow or load.
    """

    node: Tree | Value | None = None
    version: Value | None = None
    extra: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    safe: bool = True


def read_tree(path: str, limit: int) -> FileTree:
    """Read a file; ``limit``: bytes of data that are read at most, all datasets together."""
    reader = _Reader(limit)
    try:
        with h5py.File(path, "r") as file:
            reader.file(file)
    except Exception as error:  # h5py raises many kinds for damaged files
        why = " ".join(str(error).split())
        if not reader.opened:
            reader.report("damaged", "", "error", f"the file cannot be opened as HDF5: {why}", "get it again")
        else:
            reader.report("damaged", "", "error", f"the file breaks off while it is read: {why}", "get it again")
        reader.found.safe = False
    return reader.found


class _Reader:
    def __init__(self, limit: int) -> None:
        self.found = FileTree()
        self.opened = False
        self._left, self._objects, self._full = limit, 0, False

    def report(self, rule: str, where: str, severity: Severity, message: str, hint: str = "") -> None:
        self.found.findings.append(Finding(rule, where, severity, message, hint))
        if severity == "error":
            self.found.safe = False

    def file(self, file: h5py.File) -> None:
        self.opened = True
        names = list(file)
        self.found.extra = [name for name in names if name not in ("node", "version")]
        self.found.extra += [f"attribute {name}" for name in file.attrs]
        for name in ("version", "node"):
            if name in names:
                value = self._child(file, name, f"/{name}", (file.id,))
                if name == "node":
                    self.found.node = value
                elif isinstance(value, Value):
                    self.found.version = value

    def _child(self, group: h5py.Group, name: str, where: str, above: tuple[Any, ...]) -> Value | Tree | None:
        self._objects += 1
        if self._objects > OBJECTS_MAX:
            if not self._full:
                self._full = True
                self.report("too_large", "", "error", f"more than {OBJECTS_MAX} objects; the rest is not looked at")
            return None
        if len(above) > DEPTH_MAX:
            self.report("too_large", shown(where), "error", f"more than {DEPTH_MAX} groups inside each other")
            return None
        try:
            held = self._follow(group, name, where)
            if held is None:
                return None
            if isinstance(held, h5py.Dataset):
                return self._dataset(held, where)
            if not isinstance(held, h5py.Group):
                self.report("unreadable_object", shown(where), "error", "it is a named type, neither data nor a group")
                return None
            if any(held.id == one for one in above):
                self.report("link_cycle", shown(where), "error", "this group contains itself", "write the file anew")
                return None
            names = list(islice(held, OBJECTS_MAX + 1))
        except Exception as error:
            why = " ".join(f"{error}".split()) or type(error).__name__
            self.report("unreadable_object", shown(where), "error", f"it cannot be read: {why}", "get the file again")
            return None
        tree: Tree = {}
        for inner in names:
            value = self._child(held, inner, f"{where}/{inner}", (*above, held.id))
            if value is not None:
                tree[inner] = value
        return tree

    def _follow(self, group: h5py.Group, name: str, where: str) -> Any:
        """The object behind a name. Soft links are followed step by step, so that none leads out of the file."""
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
        return base

    def _dataset(self, data: h5py.Dataset, where: str) -> Value:
        if data.shape is None:
            return Value((), "empty", why="it is empty")
        shape, kind = tuple(int(n) for n in data.shape), data.dtype
        text = h5py.check_string_dtype(kind)
        value = Value(shape, "text" if text else str(kind))
        if data.is_virtual or data.external:
            message = "its data lie in another file"
            self.report("external_link", shown(where), "error", message, "copy the data into this file")
            value.why = message
            return value
        if not text and (kind.kind not in "biufc" or kind.subdtype is not None):
            value.why = "it holds neither numbers nor text"
            return value
        count = int(np.prod(shape, dtype=object))
        size = count * max(kind.itemsize, 16 if text else 1)
        if size > self._left:
            message = f"{shape} {value.dtype} would need {size} bytes, {self._left} are left"
            self.report("too_large", shown(where), "warning", f"{message}; its values are not looked at")
            self.found.safe = False
            value.why = "it is too large to look at"
            return value
        self._left -= size
        value.data = _read(data, bool(text))
        return value


def _read(data: h5py.Dataset, text: bool) -> Any:
    held = data[()]
    if not text:
        return np.asarray(held)
    if isinstance(held, bytes | str):
        return _decoded(held)
    strings = np.empty(np.shape(held), dtype=object)
    for place, item in np.ndenumerate(np.asarray(held)):
        strings[place] = _decoded(item)
    return strings


def _decoded(item: Any) -> str:
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)

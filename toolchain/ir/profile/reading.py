"""Any NIR file as a graph: also one of an older nir, whose nodes lack fields that NIR leaves open."""

from __future__ import annotations

import os
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import nir

from spikec.errors import GraphError
from spikec.hdf5.opening import named
from spikec.hdf5.process import LIMIT, read
from spikec.hdf5.tree import UNOPENED, FileTree, Tree
from spikec.words import either, printable, shown

_SHOWN = 5
#: Bytes of data that a file may declare for each of its own, beside ``LIMIT``.
_UNPACKED = 100
#: Seconds of work that reading may take, and bytes of the file for which it may take one more.
_SECONDS, _PER_SECOND = 2.0, 1e6


def read_nir(path: str | os.PathLike[str], *, seconds: float | None = None) -> nir.NIRGraph:
    """Any NIR graph, unchecked.

    HDF5 runs in a process of its own, whose memory and time (``seconds`` of work, by default more for larger files) are
    bounded (:mod:`spikec.hdf5`). A field that NIR allows to be unknown, such as ``input_shape`` of a convolution, may
    be missing, as in early files; it is None then. Raises :class:`GraphError`, in one sentence, for what is no regular
    file, for a damaged one, for one that holds a single node or what no graph needs, such as links to other files, and
    with the names of nodes and fields for what NIR does not take.
    """
    source = named(path)
    try:
        size = source.stat().st_size
    except OSError:
        size = 0  # read() says what is wrong
    limit = LIMIT + _UNPACKED * size
    try:
        tree, _ = read(source, limit=limit, seconds=_SECONDS + size / _PER_SECOND if seconds is None else seconds)
        return _graph_of_tree(source, tree)
    except MemoryError as error:
        raise GraphError(f"{source} does not fit into the memory of this machine") from error


def _doctor() -> str:
    return either("tc.nir.diagnose", "spikec nir doctor")


def _graph_of_tree(source: Path, tree: FileTree) -> nir.NIRGraph:
    serious = [problem for problem in tree.problems if problem.severity != "note"]
    foreign = f"{source} is damaged or holds no NIR graph: export it again, or ask {_doctor()}"
    for problem in serious:
        if problem.message.startswith(UNOPENED):
            raise GraphError(foreign)
        where = f"{problem.where}: " if problem.where else ""
        hint = f"; {problem.hint}" if problem.hint else ""
        raise GraphError(printable(f"{source} cannot be read: {where}{problem.message}{hint}"))
    if not isinstance(tree.node, dict):
        raise GraphError(foreign)
    try:
        entries = _entries(tree.node, "/node")
    except ValueError as error:
        raise GraphError(f"{source} cannot be read: {error}; export it again, or ask {_doctor()}") from error
    stated = entries.get("type")
    if not isinstance(stated, str) or stated != "NIRGraph":
        raise GraphError(foreign)
    try:  # type_check: an argument of nir.read that some writers store; it means nothing in a file
        graph: nir.NIRGraph = nir.dict2NIRNode({**entries, "type_check": False})
        return graph
    except Exception:  # nir raises many kinds; what is said here names nodes and fields
        try:
            return graph_of(_entries(tree.node, "/node"))  # nir took fields out of the first
        except GraphError as error:
            message = f"{source} cannot be read: {error}; export it again, or ask {_doctor()}"
            raise GraphError(printable(" ".join(message.split()))) from error


def _entries(tree: Tree, place: str) -> dict[str, Any]:
    """The tree as ``nir.dict2NIRNode`` takes it. Raises ``ValueError`` for names and texts that are none, and for
    values that were not read."""
    entries: dict[str, Any] = {}
    for name, held in tree.items():
        where = f"{place}/{name}"
        if not name.isprintable():
            raise ValueError(f"{shown(where)} is a name that cannot be printed")
        if isinstance(held, dict):
            entries[name] = _entries(held, where)
        elif held.data is None:
            raise ValueError(f"{shown(where)} cannot be used: {held.why}")
        elif isinstance(held.data, str):
            entries[name] = _sound(held.data, where)
        elif held.data.dtype == object:
            for text in held.data.reshape(-1):
                _sound(text, where)
            entries[name] = held.data
        else:
            entries[name] = held.data if held.data.ndim else held.data[()]
    return entries


def _sound(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shown(where)} holds text that is no UTF-8") from None
    return text


def graph_of(entries: dict[str, Any]) -> nir.NIRGraph:
    """The graph of a tree of fields, as ``nir.dict2NIRNode`` takes it; fields that may be unknown may be missing.

    Raises :class:`GraphError` with every node that NIR does not take, by name, and why.
    """
    problems: list[str] = []
    made = _graph(entries, "", problems)
    if problems or made is None:
        raise GraphError.listing("", problems, most=_SHOWN)
    return made


def _graph(entries: dict[str, Any], place: str, problems: list[str]) -> nir.NIRGraph | None:
    inner, given = entries.get("nodes"), {key: value for key, value in entries.items() if key not in ("nodes", "type")}
    if not isinstance(inner, dict):
        problems.append(f"{place or 'the graph'} has no group of nodes")
        return None
    nodes = {}
    for name, each in inner.items():
        full = f"{place}.{name}" if place else str(name)
        stated = each.get("type") if isinstance(each, dict) else None
        if isinstance(stated, str) and stated == "NIRGraph":
            nodes[name] = _graph(each, full, problems)
        else:
            nodes[name] = _node(each, full, problems)
    if "edges" not in given:
        problems.append(f"{place or 'the graph'} has no list of edges")
        return None
    try:
        edges = [tuple(end.decode() if isinstance(end, bytes) else str(end) for end in edge) for edge in given["edges"]]
        if any(len(edge) != 2 for edge in edges):
            raise ValueError("an edge joins two nodes")
        rest = {key: value for key, value in given.items() if key not in ("edges", "type_check")}
        return (
            None if None in nodes.values() else nir.NIRGraph(nodes, edges, type_check=False, **{"metadata": {}} | rest)
        )
    except Exception as error:  # numbers where names have to be, fields NIR does not know
        problems.append(f"{place or 'the graph'}: {_why(error)}")
        return None


def _node(entries: Any, name: str, problems: list[str]) -> nir.NIRNode | None:
    """One node that is no graph; what NIR has against it goes into ``problems``."""
    try:
        kind = nir.ir.str2NIRNode(entries["type"])
    except Exception:  # no type, or none that NIR has
        stated = entries.get("type") if isinstance(entries, dict) else None
        problems.append(f"{name} has no type" if stated is None else f"{name}: NIR has no node {stated!s:.40}")
        return None
    needed = {each.name: each for each in fields(kind) if _needed(each)}
    hints = get_type_hints(kind)
    absent = [key for key in needed if key not in entries]
    unknown = {key: None for key in absent if NoneType in get_args(hints[key])}
    try:
        return nir.dict2NIRNode({**entries, **unknown})
    except Exception as error:  # nir raises many kinds
        lacking = [key for key in absent if key not in unknown]
        if isinstance(error, KeyError):
            lacking = [str(error.args[0])]  # under its name in the file
        phrase = f"it has no {' and no '.join(lacking)}" if lacking else _why(error)
        problems.append(f"{name} ({entries['type']}): {phrase}")
        return None


def _needed(field: Field[Any]) -> bool:
    """Whether a node cannot be made without a field."""
    return field.init and field.default is MISSING and field.default_factory is MISSING


def _why(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]

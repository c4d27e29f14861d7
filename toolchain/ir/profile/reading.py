"""Any NIR file as a graph: also one of an older nir, whose nodes lack fields that NIR leaves open."""

from __future__ import annotations

import os
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import h5py
import nir
from nir.serialization import hdf2dict

from spikec.errors import GraphError

_SHOWN = 5


def read_nir(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """Any NIR graph, unchecked.

    A field that NIR allows to be unknown, such as ``input_shape`` of a convolution, may be missing, as in early
    files; it is None then. Raises :class:`GraphError`, in one sentence, for a missing or damaged file, for one that
    holds a single node, and with the names of nodes and fields for what NIR does not take.
    """
    try:
        source = Path(path)
    except TypeError as error:
        raise GraphError(f"a NIR file is named by its path, not by {type(path).__name__}") from error
    if not source.exists():
        raise GraphError(f"there is no file {source}")
    if source.is_dir():
        raise GraphError(f"{source} is a folder, not a NIR file")
    try:
        graph: nir.NIRGraph = nir.read(str(source), type_check=False)
    except PermissionError as error:
        raise GraphError(f"cannot read {source}: {error.strerror}") from error
    except Exception as error:  # h5py and nir raise many kinds for damaged files
        graph = _built(source, error)
    return graph


def _built(source: Path, refusal: Exception) -> nir.NIRGraph:
    """The graph of a file that ``nir.read`` refuses."""
    try:
        with h5py.File(source, "r") as file:
            entries = hdf2dict(file["node"])
        if entries["type"] != "NIRGraph":
            raise ValueError("not a graph")
    except Exception:  # what nir said first counts
        raise GraphError(
            f"{source} is damaged or holds no NIR graph: export it again, or ask spikec nir doctor"
        ) from refusal
    entries.pop("type_check", None)  # an argument of nir.read that some writers store; it means nothing in a file
    try:
        return graph_of(entries)
    except GraphError as error:
        raise GraphError(f"{source} cannot be read: {error}; export it again, or ask spikec nir doctor") from error


def graph_of(entries: dict[str, Any]) -> nir.NIRGraph:
    """The graph of a tree of fields, as ``nir.dict2NIRNode`` takes it; fields that may be unknown may be missing.

    Raises :class:`GraphError` with every node that NIR does not take, by name, and why.
    """
    problems: list[str] = []
    made = _graph(entries, "", problems)
    if problems or made is None:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise GraphError(f"{'; '.join(problems[:_SHOWN])}{more}")
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

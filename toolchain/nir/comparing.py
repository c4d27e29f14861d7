"""``compare``: are two NIR files the same graph up to the names and the order of their nodes?"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from spikec.arguments import real_number
from spikec.calls import named_arguments
from spikec.errors import ConversionError, GraphError
from spikec.hdf5.process import LIMIT, SECONDS
from spikec.nir.diagnosing import open_file
from spikec.nir.flat import flatten
from spikec.nir.graph import RawNode
from spikec.nir.matching import Labelled, Undecided, match
from spikec.nir.nodes import CONVOLUTIONS, GRAPH, POOLS, nodes, per_neuron
from spikec.words import either, listed, printable, shown

#: Fields that may be one number or one per axis.
_PER_AXIS = ("stride", "padding", "dilation", "kernel_size")


@dataclass(frozen=True)
class Comparison:
    """``same``: whether the graphs are one up to names and order. ``names``: node of a -> node of b, as far as known.
    ``differences``: one sentence each, empty where they are the same."""

    same: bool
    names: dict[str, str] = field(default_factory=dict)
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.same:
            return printable("\n".join(["different", *self.differences]))
        renamed = {a: b for a, b in self.names.items() if a != b}
        if not renamed:
            return "same graph"
        return "\n".join(["same graph up to names", *(f"  {shown(a)} = {shown(b)}" for a, b in renamed.items())])


@named_arguments
def compare(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    tolerance: float = 0.0,
    limit: int = LIMIT,
    seconds: float = SECONDS,
) -> Comparison:
    """Compare two NIR files: kinds, fields and edges, whatever the nodes are called and in whatever order they are.

    Numbers are compared by value, whatever type holds them; ``tolerance`` is the largest difference that counts as
    equal. What nir fills in (``v_reset``, ``w_in``) equals what is written; one number for all axes equals one number
    for each; graphs inside graphs are compared flat. Metadata are not compared. Raises :class:`GraphError` for a file
    that cannot be read whole, and where the search for a match ends without an answer.
    """
    try:
        enough = real_number("tolerance", tolerance) >= 0
    except ConversionError:
        enough = False
    if not enough:
        raise GraphError(f"tolerance must be a number of at least 0, not {tolerance!r:.80}")
    first, second = (_readable(path, limit, seconds) for path in (a, b))
    return compare_graphs(first, second, tolerance)


def compare_graphs(a: RawNode, b: RawNode, tolerance: float = 0.0) -> Comparison:
    """The same for graphs that were read."""
    forms = [{name: _Form(node) for name, node in graph.nodes.items()} for graph in (a, b)]
    same_numbers = lru_cache(maxsize=None)(lambda x, y: not _differences(forms[0][x], forms[1][y], tolerance))

    def labelled(graph: RawNode, form: dict[str, _Form], exact: bool) -> Labelled:
        labels = {name: (one.outline, one.digest if exact else "") for name, one in form.items()}
        return Labelled(labels, [pair for pair in graph.edges if set(pair) <= labels.keys()])

    def nearest(x: str, y: str) -> tuple[bool, bool]:
        return (forms[0][x].digest != forms[1][y].digest, x != y)

    try:
        exact = [labelled(graph, form, tolerance == 0) for graph, form in zip((a, b), forms, strict=True)]
        found = match(exact[0], exact[1], same_numbers, nearest)
        if found is not None:
            return Comparison(True, dict(sorted(found.items())))
        outlines = [labelled(graph, form, False) for graph, form in zip((a, b), forms, strict=True)]
        found = match(outlines[0], outlines[1], prefer=nearest)
    except Undecided:
        raise GraphError("these graphs are too regular to be compared: the search for a match was given up") from None
    if found is not None:
        told = [
            f"{shown(x)} = {shown(y)}: {phrase}"
            for x, y in sorted(found.items())
            for phrase in _differences(forms[0][x], forms[1][y], tolerance)
        ]
        return Comparison(False, found, tuple(told))
    return Comparison(False, {}, tuple(_without_partner(a, b, *forms)))


class _Form:
    """A node as it is compared: its fields with defaults filled in."""

    def __init__(self, node: RawNode) -> None:
        self.kind, self.fields = node.kind, _normal(node)
        self.outline = (self.kind, tuple((key, getattr(v, "shape", v)) for key, v in sorted(self.fields.items())))
        digest = hashlib.sha256()
        for key, value in sorted(self.fields.items()):
            text = key if not isinstance(value, str) else f"{key}\0{value}"
            digest.update(f"{text}\0".encode("utf-8", "surrogatepass"))
            digest.update(b"" if isinstance(value, str) else np.ascontiguousarray(value).tobytes())
        self.digest = digest.hexdigest()


def _normal(node: RawNode) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in node.fields.items():
        if value.text:
            text = value.data if isinstance(value.data, str) else repr(value.data.tolist())
            fields[key] = np.zeros(_axes(node)) if key == "padding" and text == "valid" else text
            continue
        array = np.asarray(value.data)
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64) + 0  # no negative zero
        if key in _PER_AXIS and array.size == 1 and node.kind in (*CONVOLUTIONS, *POOLS):
            array = np.full(_axes(node), array.reshape(-1)[0])
        fields[key] = array
    models = [fields[key] for key in ("v_threshold", "v_leak", *per_neuron(node.kind)) if key in fields]
    for key, rule in nodes().get(node.kind, {}).items():
        if key not in fields and isinstance(rule.missing, int):
            shape = models[0].shape if rule.neuron and models else ()
            fields[key] = np.full(shape, float(rule.missing))
    if node.kind == "Flatten":
        fields.pop("input_type", None)  # follows from what arrives
    return fields


def _axes(node: RawNode) -> int:
    return 1 if node.kind == "Conv1d" else 2


def _differences(x: _Form, y: _Form, tolerance: float) -> list[str]:
    """What differs between two nodes, one phrase a field."""
    if x.digest == y.digest and x.outline == y.outline:
        return []
    if x.kind != y.kind:
        return [f"{x.kind} against {y.kind}"]
    found = []
    for key in sorted(x.fields.keys() | y.fields.keys()):
        if key not in x.fields or key not in y.fields:
            found.append(f"{key} is in {'b' if key in y.fields else 'a'} only")
            continue
        one, other = x.fields[key], y.fields[key]
        if isinstance(one, str) or isinstance(other, str):
            if not (isinstance(one, str) and isinstance(other, str) and one == other):
                found.append(f"{key} {_brief(one)} against {_brief(other)}")
        elif one.shape != other.shape:
            found.append(f"{key} of shape {one.shape} against {other.shape}")
        else:
            with np.errstate(all="ignore"):
                apart = np.abs(one - other)
            alike = (one == other) | ((one != one) & (other != other))
            apart = np.where(alike, 0, np.where(apart == apart, apart, np.inf))
            if (apart > tolerance).any():
                place = np.unravel_index(int(np.argmax(apart)), apart.shape)
                where = f" at {tuple(int(n) for n in place)}" if apart.ndim else ""
                count = int((apart > tolerance).sum())
                numbers = f"{one[place]:g} against {other[place]:g}"
                found.append(f"{key} differs in {count} of {apart.size} numbers, most{where}: {numbers}")
    return found


def _brief(value: Any) -> str:
    return shown(value) if isinstance(value, str) else str(np.asarray(value).reshape(-1)[:4].tolist())


def _without_partner(a: RawNode, b: RawNode, forms_a: dict[str, _Form], forms_b: dict[str, _Form]) -> list[str]:
    """Nodes without a partner of the same kind and shapes; where all have one, edges that do not go together."""
    found = []
    outlines = [Counter(form.outline for form in forms.values()) for forms in (forms_a, forms_b)]
    for word, forms, (more, less) in (("a", forms_a, outlines), ("b", forms_b, outlines[::-1])):
        for outline, count in sorted((more - less).items(), key=repr):
            names = [name for name, form in forms.items() if form.outline == outline]
            which = "one of " if count < len(names) else ""
            shapes = ", ".join(f"{key} {shape}" for key, shape in outline[1] if shape != ())
            other = "b" if word == "a" else "a"
            found.append(f"{other} has no partner for {which}{listed(names)} of {word}: {outline[0]} {shapes}".rstrip())
    if found:
        return found
    if len(a.edges) != len(b.edges):
        found.append(f"a has {len(a.edges)} edges, b has {len(b.edges)}")
    by_name = Counter(a.edges) - Counter(b.edges), Counter(b.edges) - Counter(a.edges)
    if a.nodes.keys() == b.nodes.keys():
        for word, pairs in zip("ab", by_name, strict=True):
            found += [f"only {word} has the edge {shown(x)} -> {shown(y)}" for x, y in sorted(pairs)]
    return found or ["the nodes are alike, but they are connected differently"]


def _readable(path: str | os.PathLike[str], limit: int, seconds: float) -> RawNode:
    opened = open_file(path, limit=limit, seconds=seconds)
    losing = [finding for finding in opened.findings if finding.severity == "error" and not finding.mendable]
    if opened.graph is None or losing or not opened.tree.safe:
        why = losing[0] if losing else opened.findings[0]
        raise GraphError(
            f"{os.fspath(path)} cannot be compared: {why.message}; see {either('tc.nir.diagnose', 'spikec nir doctor')}"
        )
    graph = deepcopy(opened.graph)
    flatten(graph)
    for _, inner in graph.graphs():
        for name, node in inner.nodes.items():
            if node.kind == GRAPH:
                raise GraphError(
                    f"{os.fspath(path)} cannot be compared: the graph {shown(name)} cannot be written flat"
                )
            for key, value in node.fields.items():
                if value.data is None:
                    raise GraphError(f"{os.fspath(path)} cannot be compared: {shown(name)}.{key}: {value.why}")
        absent = {end for pair in inner.edges for end in pair if end not in inner.nodes}
        if absent:
            raise GraphError(f"{os.fspath(path)} cannot be compared: there is no node {listed(sorted(absent))}")
    return graph

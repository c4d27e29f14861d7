"""What changed between two deployment graphs, layer by layer."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import nir
import numpy as np

from spikec.ir.graph import IntegerGraph, Node, Population, Readout
from spikec.ir.integers import magnitude
from spikec.ir.kinds import kinds
from spikec.ir.leak import Leak
from spikec.ir.profile.build import settings_of
from spikec.ir.profile.decode import as_integer

_GRAPH_FIELDS = ("timesteps", "schedule", "drain", "source_sha256")


def diff(first: nir.NIRGraph | IntegerGraph, second: nir.NIRGraph | IntegerGraph) -> list[str]:
    """One line per difference, in network order; empty for graphs that compute the same."""
    a, b = as_integer(first), as_integer(second)
    lines = [f"graph: {n} {getattr(a, n)} -> {getattr(b, n)}" for n in _GRAPH_FIELDS if getattr(a, n) != getattr(b, n)]
    ours, theirs = settings_of(a), settings_of(b)
    settings = {key: (_said(ours.get(key)), _said(theirs.get(key))) for key in sorted(ours.keys() | theirs.keys())}
    lines += [
        f"graph: {key} {old} -> {new}"
        for key, (old, new) in settings.items()
        if old != new and not (key in _GRAPH_FIELDS and getattr(a, key) != getattr(b, key))
    ]
    lines += [f"{name}: removed" for name in a.nodes if name not in b.nodes]
    for name, node in b.nodes.items():
        if name not in a.nodes:
            lines.append(f"{name}: added")
        elif type(a.nodes[name]) is not type(node):
            lines.append(f"{name}: {type(a.nodes[name]).__name__} -> {type(node).__name__}")
        else:
            lines += [f"{name}: {change}" for change in _changes(a.nodes[name], node)]
    return lines


def _changes(a: Node, b: Node) -> list[str]:
    changes = []
    first, second = _values(a), _values(b)
    for name in first:
        old, new = first[name], second[name]
        if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
            if old.shape != new.shape:
                changes.append(f"{name} shape {old.shape} -> {new.shape}")
            elif (old != new).any():
                changed = old != new
                if old.dtype.kind == "f":
                    by = f"{np.abs(old - new).max():.4g}"
                else:  # in Python integers: a difference of two int64 may not be one
                    by = f"{magnitude(old[changed].astype(object) - new[changed]):d}"
                changes.append(f"{name}: {int(changed.sum())} of {old.size} values differ, by up to {by}")
        elif isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
            changes.append(f"{name} added" if old is None else f"{name} removed")
        elif old != new:
            changes.append(f"{name} {_said(old)} -> {_said(new)}")
    return changes


def _values(node: Node) -> dict[str, Any]:
    """The fields of a node by name. Of a population, ``neuron`` becomes the name of its kind, under ``kind``, and the
    fields of all known kinds come before ``scale``: what a file without one means where its kind lacks it."""
    found: dict[str, Any] = {}
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(node, Readout) and each.name == "leak":
            found |= {part.name: None if value is None else getattr(value, part.name) for part in fields(Leak)}
            continue
        if not isinstance(node, Population):
            found[each.name] = value
            continue
        if each.name == "scale":
            stored = {name: about for kind in kinds().values() for name, about in kind.stored_fields().items()}
            means = {name: about.default if about.per == "population" else None for name, about in stored.items()}
            found |= {name: getattr(node.neuron, name, default) for name, default in means.items()}
        found["kind" if each.name == "neuron" else each.name] = node.neuron.name if each.name == "neuron" else value
    return found


def _said(value: object) -> object:
    """A setting as it is shown. Settings of methods are stored as text, so None may be the text "None"."""
    return "not set" if value in (None, "None") else value

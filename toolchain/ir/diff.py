"""What changed between two deployment graphs, layer by layer."""

from __future__ import annotations

from dataclasses import fields

import nir
import numpy as np

import toolchain.ir.integer as ig
from toolchain.ir.decode import as_integer

_GRAPH_FIELDS = ("timesteps", "schedule", "drain", "source_sha256")


def diff(first: nir.NIRGraph | ig.IntegerGraph, second: nir.NIRGraph | ig.IntegerGraph) -> list[str]:
    """One line per difference, in network order; empty for graphs that compute the same."""
    a, b = as_integer(first), as_integer(second)
    lines = [f"graph: {n} {getattr(a, n)} -> {getattr(b, n)}" for n in _GRAPH_FIELDS if getattr(a, n) != getattr(b, n)]
    settings = {key: (_said(a.info.get(key)), _said(b.info.get(key))) for key in sorted(a.info.keys() | b.info.keys())}
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


def _changes(a: ig.Node, b: ig.Node) -> list[str]:
    changes = []
    for field in fields(a):
        old, new = getattr(a, field.name), getattr(b, field.name)
        if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
            if old.shape != new.shape:
                changes.append(f"{field.name} shape {old.shape} -> {new.shape}")
            elif (old != new).any():
                largest = np.abs(old - new).max()
                by = f"{largest:.4g}" if old.dtype.kind == "f" else f"{largest:d}"
                changes.append(f"{field.name}: {int((old != new).sum())} of {old.size} values differ, by up to {by}")
        elif isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
            changes.append(f"{field.name} added" if old is None else f"{field.name} removed")
        elif old != new:
            changes.append(f"{field.name} {_said(old)} -> {_said(new)}")
    return changes


def _said(value: object) -> object:
    """A setting as it is read out; those of methods are stored as text."""
    return "not set" if value in (None, "None") else value

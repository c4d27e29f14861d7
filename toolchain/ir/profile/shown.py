"""Graphs in notebooks: the listing as a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from spikec.display import Column, Table, shows
from spikec.errors import ToolchainError
from spikec.ir.graph import IntegerGraph
from spikec.ir.profile.decode import as_integer
from spikec.ir.profile.listing import header, rows, totals
from spikec.ir.profile.nir_graph import NIRGraph


@shows(NIRGraph)
def _of_nir(graph: NIRGraph) -> Table:
    try:
        return replace(table(as_integer(graph)), title=f"NIRGraph: {graph._headline()}")
    except ToolchainError:  # plain NIR, or a graph that somebody is working on
        return _plain(graph)


@shows(IntegerGraph)
def table(graph: IntegerGraph) -> Table:
    """What ``spikec inspect`` lists."""
    (heads, *lines) = rows(graph)
    columns = tuple(Column(head, head, left=True) for head in heads)
    notes = (header(graph)[2], *totals(graph))
    return Table(f"IntegerGraph: {graph._headline()}", columns, tuple(lines), notes)


def _plain(graph: nir.NIRGraph) -> Table:
    columns = (
        Column("node", "node", left=True),
        Column("type", "type", left=True),
        Column("from", "from", left=True),
        Column("weights", "weights"),
    )
    sources: dict[str, list[str]] = {}
    for source, node in graph.edges:
        sources.setdefault(str(node), []).append(str(source))
    lines = tuple(
        (name, type(node).__name__, ", ".join(sources.get(name, [])), _shape(getattr(node, "weight", None)))
        for name, node in graph.nodes.items()
    )
    return Table(f"NIR graph, no deployment of spikec: {len(lines)} nodes", columns, lines)


def _shape(weight: Any) -> str:
    return "" if weight is None else " x ".join(map(str, np.shape(weight)))

"""Every rule of the profile, as checks that collect all violations instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import nir

from spikec.calls import named_arguments
from spikec.errors import GraphError
from spikec.ir.profile import rules_graph, rules_keys, rules_leaky, rules_nodes, rules_types


@dataclass(frozen=True)
class Problem:
    """One violated rule: ``node`` is empty where the graph itself is at fault."""

    rule: str
    node: str
    message: str

    def __str__(self) -> str:
        return f"{self.node}: {self.message}" if self.node else self.message


Rule = Callable[[nir.NIRGraph], Iterator[tuple[str, str]]]

RULES: tuple[Rule, ...] = (
    rules_graph.schema,
    rules_types.types,
    rules_keys.known_keys,
    rules_graph.graph_fields,
    rules_graph.names,
    rules_graph.edges,
    rules_graph.delays,
    rules_graph.node_order,
    rules_graph.requires,
    rules_nodes.input_output,
    rules_nodes.linear_nodes,
    rules_nodes.exact_integers,
    rules_nodes.redundant,
    rules_nodes.neurons,
    rules_leaky.leaky,
    rules_nodes.maxima,
    rules_graph.combinations,
    rules_graph.fresh_hash,
)


@named_arguments
def verify(graph: nir.NIRGraph) -> list[Problem]:
    """All violations of the profile in a graph, in the order of :data:`RULES`; empty for a sound graph.

    Shapes along the edges are checked by :func:`spikec.ir.profile.decode`, which needs a graph that passes here.

    >>> tc.verify(graph)
    []
    """
    if not isinstance(graph, nir.NIRGraph):
        raise GraphError(f"expected a nir.NIRGraph, got {type(graph).__name__}")
    problems = []
    for rule in RULES:
        try:
            problems += [Problem(rule.__name__, node, message) for node, message in rule(graph)]
        except GraphError as error:
            problems.append(Problem(rule.__name__, "", str(error)))
        if problems and rule in (rules_graph.schema, rules_types.types):
            break  # a foreign graph would fail every other rule too, and nobody can compute with what is no number
    return problems

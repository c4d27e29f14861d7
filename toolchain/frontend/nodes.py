"""What the nodes of a canonical graph are."""

from __future__ import annotations

import operator

import torch
from torch import fx, nn

from spikec.frontend.modules import (
    AveragePool,
    ChannelAffine,
    Convolution,
    Dense,
    FlattenAll,
    Lift,
    LinearMap,
    MaxPool,
    Measured,
    Rectifier,
    Staircase,
)


def module_of(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The canonical module behind a node, if it is one."""
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def is_activation(module: nn.Module | None) -> bool:
    """Whether a canonical module becomes a population of neurons."""
    return module is not None and isinstance(module, Rectifier | Staircase)


def not_negative(graph: fx.GraphModule, node: fx.Node, known: dict[fx.Node, bool] | None = None) -> bool:
    """Whether the values of ``node`` cannot be negative, whatever the image. ``known``: answers for nodes that were
    asked before; more are added. Without them the time would double with every sum of two ways."""
    known = {} if known is None else known
    if node not in known:
        for each in graph.graph.nodes:  # in order, not by recursion: networks are deep
            if each not in known:
                known[each] = _not_negative(graph, each, known)
            if each is node:
                break
    return known[node]


def _not_negative(graph: fx.GraphModule, node: fx.Node, known: dict[fx.Node, bool]) -> bool:
    module = module_of(graph, node)
    if is_activation(module):
        return True
    if not node.all_input_nodes or not all(known[source] for source in node.all_input_nodes):
        return False
    if isinstance(module, Convolution | Dense):
        return bool((module.weight >= 0).all()) and bool((module.bias >= 0).all())
    if isinstance(module, LinearMap):
        return bool((module.values >= 0).all()) and bool((module.bias >= 0).all())
    if isinstance(module, Measured):
        return False
    if isinstance(module, ChannelAffine):
        return bool((module.scale >= 0).all()) and bool((module.shift >= 0).all())
    return isinstance(module, AveragePool | MaxPool | FlattenAll | Lift) or node.target in (operator.add, torch.cat)


def insert(graph: fx.GraphModule, module: nn.Module, name: str, source: fx.Node) -> fx.Node:
    """A node of ``module`` right behind ``source``, which it reads; nothing reads it yet. It is called ``name``, or has
    a number added where that is taken."""
    taken = {str(other.target) for other in graph.graph.nodes} | {key for key, _ in graph.named_modules()}
    chosen, number = name, 1
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    graph.add_submodule(chosen, module)
    with graph.graph.inserting_after(source):
        made: fx.Node = graph.graph.call_module(chosen, (source,))
    made.meta.update({key: source.meta[key] for key in ("shape", "where")})
    return made

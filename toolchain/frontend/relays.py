"""Gives neurons to average pools that cannot be merged with the layer that reads them into one synapse."""

from __future__ import annotations

import operator

import torch
from torch import fx

from spikec.frontend.modules import AveragePool, ChannelAffine, Convolution, Dense, FlattenAll, Lift, Rectifier
from spikec.frontend.tracing import is_trained_activation


def insert_relays(graph: fx.GraphModule) -> None:
    """Put a :class:`Rectifier` behind overlapping or padded average pools of activations that a padded layer reads.

    A pool whose windows overlap is a convolution. A padded convolution of it is not one convolution: the padding around
    the pool's output is zero, while pool windows that lie there would still reach into the image. A mean of activations
    is not negative, so the rectifier changes no value; in the spiking network it becomes a layer that fires.
    """
    positive: set[fx.Node] = set()
    for node in list(graph.graph.nodes):
        if not _non_negative(graph, node, positive):
            continue
        positive.add(node)
        module = _module(graph, node)
        if isinstance(module, Convolution) and module.weight.shape[2:] != (1, 1) and _padded_reader(graph, node):
            positive.add(_relay(graph, node))
    graph.recompile()


def _module(graph: fx.GraphModule, node: fx.Node) -> torch.nn.Module | None:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def _is_activation(module: torch.nn.Module | None) -> bool:
    return module is not None and (isinstance(module, Rectifier) or is_trained_activation(module))


def _non_negative(graph: fx.GraphModule, node: fx.Node, positive: set[fx.Node]) -> bool:
    """Whether the values of ``node`` cannot be negative; ``positive`` holds earlier nodes for which that is true."""
    module = _module(graph, node)
    if _is_activation(module):
        return True
    if not node.all_input_nodes or not positive.issuperset(node.all_input_nodes):
        return False
    if isinstance(module, Convolution | Dense):
        return bool((module.weight >= 0).all()) and bool((module.bias >= 0).all())
    if isinstance(module, ChannelAffine):
        return bool((module.scale >= 0).all()) and bool((module.shift >= 0).all())
    return isinstance(module, AveragePool | FlattenAll | Lift) or node.target in (operator.add, torch.cat)


def _padded_reader(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a padded convolution reads ``node``, directly or through operations without neurons."""
    for reader in node.users:
        module = _module(graph, reader)
        if isinstance(module, Convolution) and any(module.pads):
            return True
        if not _is_activation(module) and _padded_reader(graph, reader):
            return True
    return False


def _relay(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    name, number = f"{node.target}_neurons", 1
    taken = {str(other.target) for other in graph.graph.nodes}
    while name in taken:
        name, number = f"{node.target}_neurons_{number}", number + 1
    graph.add_submodule(name, Rectifier())
    with graph.graph.inserting_after(node):
        relay: fx.Node = graph.graph.call_module(name, (node,))
    relay.meta.update({key: node.meta[key] for key in ("shape", "where")})
    node.replace_all_uses_with(relay, delete_user_cb=lambda user: user is not relay)
    return relay

"""Puts activations before concatenations, so that every part has neurons and synapses of its own.

``act(cat(a, b) * scale + shift)`` equals ``cat(act(a * scale + shift), act(b * scale + shift))``, each part with its
channels of ``scale`` and ``shift``. Neurons over a whole concatenation would need, for every part, a synapse into all
channels, of which all but the part's are zero: in a DenseNet these zeros are most of the weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, fx, nn

from spikec.frontend.modules import AveragePool, ChannelAffine, Convolution, Dense, LinearMap, MaxPool
from spikec.frontend.nodes import is_activation, module_of


def activate_parts(graph: fx.GraphModule) -> None:
    """Move activations of concatenations, and normalisations between the two, before the concatenation, in place.

    The neurons of part k of layer ``relu`` are layer ``relu.k``. Left alone are activations that a max pool reads, that
    have a threshold for every channel, or of which a part would have no linear operation before its neurons.
    """
    for node in list(graph.graph.nodes):
        if is_activation(module_of(graph, node)):
            _activate(graph, node)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()


def _activate(graph: fx.GraphModule, node: fx.Node) -> None:
    activation = module_of(graph, node)
    assert activation is not None
    between: list[ChannelAffine] = []
    (joined,) = node.all_input_nodes
    while type(module := module_of(graph, joined)) is ChannelAffine:
        between.insert(0, module)
        (joined,) = joined.all_input_nodes
    parts = list(_parts(joined))
    threshold = getattr(activation, "threshold", None)
    if (
        len(parts) < 2
        or (isinstance(threshold, Tensor) and threshold.numel() > 1)
        or any(isinstance(module_of(graph, reader), MaxPool) for reader in node.users)
        or not (between or all(_has_weights(graph, part) for part in parts))
    ):
        return
    name, users = str(node.target), list(node.users)
    graph.delete_submodule(name)
    free = _free(graph, f"{name}_affine")
    scaled = [next(free) for _ in between]
    active, start = [], 0
    with graph.graph.inserting_before(node):
        for number, part in enumerate(parts):
            channels = slice(start, start + part.meta["shape"][0])
            start = channels.stop
            for layer, affine in enumerate(between):
                own = ChannelAffine(affine.scale[channels], affine.shift[channels])
                part = _call(graph, f"{scaled[layer]}.{number}", own, part, node)
            active.append(_call(graph, f"{name}.{number}", activation, part, node))
        whole = graph.graph.call_function(torch.cat, (active, 1))
    whole.meta.update(node.meta)
    for user in users:
        user.replace_input_with(node, whole)
    graph.graph.erase_node(node)


def _parts(node: fx.Node) -> Iterator[fx.Node]:
    """What a concatenation, or one of concatenations, joins; any other node is its own only part."""
    if node.target is torch.cat:
        for part in cast(list[fx.Node], node.args[0]):
            yield from _parts(part)
    else:
        yield node


def _has_weights(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a linear operation that always becomes a synapse stands here."""
    return isinstance(module_of(graph, node), Convolution | Dense | ChannelAffine | AveragePool | LinearMap)


def _free(graph: fx.GraphModule, wanted: str) -> Iterator[str]:
    """Names that no module has."""
    taken = {name for name, _ in graph.named_modules()}
    for number in itertools.count():
        name = f"{wanted}_{number}" if number else wanted
        if name not in taken:
            yield name


def _call(graph: fx.GraphModule, name: str, module: nn.Module, source: fx.Node, instead: fx.Node) -> fx.Node:
    """A call of ``module``, which keeps the shape, on ``source``; it stands on the user's line of ``instead``."""
    graph.add_submodule(name, module)
    call: fx.Node = graph.graph.call_module(name, (source,))
    call.meta.update(shape=source.meta["shape"], where=instead.meta["where"])
    return call

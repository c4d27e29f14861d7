"""Gives neurons to average pools that cannot be merged with the layer that reads them into one synapse."""

from __future__ import annotations

from torch import fx

from spikec.frontend.modules import Convolution, Rectifier
from spikec.frontend.nodes import insert, is_activation, module_of, not_negative


def insert_relays(graph: fx.GraphModule) -> None:
    """Put a :class:`Rectifier` behind overlapping or padded average pools of activations that a padded layer reads.

    A pool whose windows overlap is a convolution. A padded convolution of it is not one convolution: the padding around
    the pool's output is zero, while pool windows that lie there would still reach into the image. A mean of activations
    is not negative, so the rectifier changes no value; in the spiking network it becomes a layer that fires.
    """
    known: dict[fx.Node, bool] = {}
    for node in list(graph.graph.nodes):
        module = module_of(graph, node)
        if (
            isinstance(module, Convolution)
            and module.weight.shape[2:] != (1, 1)
            and not_negative(graph, node, known)
            and _padded_reader(graph, node)
        ):
            relay = insert(graph, Rectifier(), f"{node.target}_neurons", node)
            node.replace_all_uses_with(relay, delete_user_cb=lambda user, relay=relay: user is not relay)
    graph.recompile()


def _padded_reader(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a padded convolution reads ``node``, directly or through operations without neurons."""
    for reader in node.users:
        module = module_of(graph, reader)
        if isinstance(module, Convolution) and any(module.pads):
            return True
        if not is_activation(module) and _padded_reader(graph, reader):
            return True
    return False

"""Brings every max pool to a place where it can act on spikes: right behind neurons, or at the image.

A maximum of spike trains is exact (:class:`spikec.ir.operations.MaxPool`), one of currents is not possible: neurons
have to fire first. Activations and normalisations that keep the order commute with a maximum, and a maximum is taken
channel by channel, so pools can move. Where nothing fires on either side of a pool, neurons are put before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard, cast

import torch
from torch import Tensor, fx, nn

from spikec.frontend.modules import ChannelAffine, Convolution, Lift, MaxPool, Measured, Rectifier
from spikec.frontend.nodes import insert, is_activation, module_of, not_negative

#: Images run at once to measure the least value before a pool.
_BATCH = 64


class Raise(Measured):
    """``y = x + shift``, so that neurons can send what a max pool compares; undone behind it by ``lower``.

    ``shift`` [C] is what the channel lacks to be positive: minus its least value on the images measured.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.lower = Measured(channels)

    def set(self, least: Tensor) -> None:
        """Make ``least`` [C] the value that becomes zero."""
        self.shift, self.lower.shift = -least, least.clone()


def settle_max_pools(graph: fx.GraphModule, example: Tensor) -> None:
    """Move every max pool of a canonical graph to neurons or to the image, or put neurons before it.

    ``example`` [N, C, H, W]: images on which values before such neurons are measured. Without other activations, a pool
    whose channels hold negative values gets :class:`Raise` and :class:`Rectifier` before it.
    """
    for node in list(graph.graph.nodes):
        if isinstance(module_of(graph, node), MaxPool):
            _settle(graph, node)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()
    measure_lifts(graph, example)


def measure_lifts(graph: fx.GraphModule, images: Tensor) -> None:
    """Set the shifts of all :class:`Raise` modules from the least values on ``images`` [N, C, H, W]."""
    lifts = {str(n.target): m for n in graph.graph.nodes if isinstance(m := module_of(graph, n), Raise)}
    if not lifts:
        return
    for name, lift in lifts.items():  # in network order: a shift has no effect on what comes before it
        least: Tensor | None = None
        for batch in torch.split(images, _BATCH):
            found = _input_of(graph, name, batch).transpose(0, 1).flatten(1).amin(1)
            least = found if least is None else torch.minimum(least, found)
        assert least is not None
        lift.set(least)


def take_lifts(graph: fx.GraphModule, other: fx.GraphModule) -> None:
    """Give all :class:`Raise` modules of ``graph`` the shifts that they have in ``other``, another graph of the same
    network."""
    for node in graph.graph.nodes:
        lift = module_of(graph, node)
        if isinstance(lift, Raise):
            measured = other.get_submodule(str(node.target))
            assert isinstance(measured, Raise)
            lift.set(-measured.shift)


def _input_of(graph: fx.GraphModule, name: str, images: Tensor) -> Tensor:
    seen: list[Tensor] = []
    handle = graph.get_submodule(name).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        with torch.no_grad():
            graph(images)
    finally:
        handle.remove()
    return seen[0]


def _settle(graph: fx.GraphModule, pool: fx.Node) -> None:
    _drop_rectifiers(graph, pool)
    while _swap_with_source(graph, pool) or _swap_with_reader(graph, pool):
        pass
    (source,) = pool.all_input_nodes
    if _selects(graph, source):
        _settle(graph, _before_selection(graph, pool, source))
        return
    if _sends(graph, source) or _is_image(graph, source):
        _drop_rectifiers(graph, pool)
        return
    if source.target is torch.cat:
        _split(graph, pool, source)
        return
    if not_negative(graph, source):
        neurons = insert(graph, Rectifier(), f"{pool.target}_neurons", source)
        pool.args = (neurons,)
        return
    lift = Raise(source.meta["shape"][0])
    raised = insert(graph, lift, f"{pool.target}_raised", source)
    neurons = insert(graph, Rectifier(), f"{pool.target}_neurons", raised)
    pool.args = (neurons,)
    lowered = insert(graph, lift.lower, f"{pool.target}_lowered", pool)
    pool.replace_all_uses_with(lowered, delete_user_cb=lambda user: user is not lowered)


def _drop_rectifiers(graph: fx.GraphModule, pool: fx.Node) -> None:
    """Leave out ReLUs behind a pool of values that are not negative: they change nothing."""
    for reader in list(pool.users):
        module = module_of(graph, reader)
        if isinstance(module, Rectifier) and module.bound is None and not_negative(graph, pool):
            reader.replace_all_uses_with(pool)
            graph.graph.erase_node(reader)


def _sends(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node will be neurons that fire, or a max pool of some."""
    module = module_of(graph, node)
    return is_activation(module) or (isinstance(module, MaxPool) and _sends(graph, node.all_input_nodes[0]))


def _is_image(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node is the image, as it is or pooled."""
    passes = isinstance(module_of(graph, node), Lift | MaxPool)
    return node.op == "placeholder" or (passes and _is_image(graph, node.all_input_nodes[0]))


def _keeps_order(module: nn.Module | None) -> TypeGuard[ChannelAffine]:
    return isinstance(module, ChannelAffine) and bool((module.scale > 0).all())


def _swap_with_reader(graph: fx.GraphModule, pool: fx.Node) -> bool:
    """Move what keeps the order from behind the pool to before it, unless neurons are there already."""
    source, readers = pool.all_input_nodes[0], list(pool.users)
    if len(readers) != 1 or _sends(graph, source) or _is_image(graph, source):
        return False
    (reader,) = readers
    module = module_of(graph, reader)
    if not (is_activation(module) or _keeps_order(module)):
        return False
    pool.prepend(reader)
    reader.args, pool.args = (source,), (reader,)
    reader.replace_all_uses_with(pool, delete_user_cb=lambda user: user is not pool)
    reader.meta["shape"] = source.meta["shape"]
    return True


def _swap_with_source(graph: fx.GraphModule, pool: fx.Node) -> bool:
    """Move what keeps the order from before the pool to behind it, if neurons or the image come before that."""
    source = pool.all_input_nodes[0]
    module = module_of(graph, source)
    if not _keeps_order(module):
        return False
    (first,) = source.all_input_nodes
    if not (_sends(graph, first) or _is_image(graph, first)):
        return False
    affine = insert(graph, module, f"{source.target}", pool)
    pool.args = (first,)
    pool.replace_all_uses_with(affine, delete_user_cb=lambda user: user is not affine)
    return True


def _selects(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether each output channel of a node is one channel of neurons or of the image, times a number of at least 0, or
    zero: a slice of channels."""
    module = module_of(graph, node)
    if not isinstance(module, Convolution) or module.weight.shape[2:] != (1, 1) or module.groups > 1:
        return False
    plain = module.stride == (1, 1) and not any(module.pads) and not bool(module.bias.any())
    one = bool((module.weight >= 0).all()) and bool(((module.weight != 0).flatten(1).sum(1) <= 1).all())
    (first,) = node.all_input_nodes
    return plain and one and (_sends(graph, first) or _is_image(graph, first))


def _before_selection(graph: fx.GraphModule, pool: fx.Node, selection: fx.Node) -> fx.Node:
    """Take the maximum of all channels, then select some of them; returns the pool of all."""
    module, chosen = module_of(graph, pool), module_of(graph, selection)
    assert isinstance(module, MaxPool)
    assert isinstance(chosen, Convolution)
    (first,) = selection.all_input_nodes
    shape = first.meta["shape"]
    own = replace(module.window, input_shape=shape, output_shape=(shape[0], *module.window.output_shape[1:]))
    made = insert(graph, MaxPool(own), str(pool.target), first)
    made.meta.update(shape=own.output_shape, where=pool.meta["where"])
    selected = insert(graph, chosen, str(selection.target), made)
    selected.meta.update(pool.meta)
    pool.replace_all_uses_with(selected)
    graph.graph.erase_node(pool)
    return made


def _split(graph: fx.GraphModule, pool: fx.Node, source: fx.Node) -> None:
    """The pool of a concatenation as the concatenation of pools."""
    module = module_of(graph, pool)
    assert isinstance(module, MaxPool)
    parts = []
    for part in cast(list[fx.Node], source.args[0]):
        shape = part.meta["shape"]
        own = replace(module.window, input_shape=shape, output_shape=(shape[0], *module.window.output_shape[1:]))
        made = insert(graph, MaxPool(own), str(pool.target), part)
        made.meta.update(shape=own.output_shape, where=pool.meta["where"])
        parts.append(made)
    with graph.graph.inserting_after(pool):
        joined = graph.graph.call_function(torch.cat, (parts, source.args[1]))
    joined.meta.update(pool.meta)
    pool.replace_all_uses_with(joined)
    graph.graph.erase_node(pool)
    for made in parts:
        _settle(graph, made)

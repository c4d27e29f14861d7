"""A network whose activations and dropouts are layers, so that training can put others in their place."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from spikec.errors import ConversionError
from spikec.frontend.arithmetic import rectifier_of
from spikec.frontend.builder import Call, RefusalError
from spikec.frontend.final import drop_final
from spikec.frontend.modules import Rectifier
from spikec.frontend.tracing import own_copy, symbolic, trace

_DROPOUTS: dict[Any, type[nn.Module]] = {
    F.dropout: nn.Dropout,
    F.dropout1d: nn.Dropout1d,
    F.dropout2d: nn.Dropout2d,
    F.alpha_dropout: nn.AlphaDropout,
    F.feature_alpha_dropout: nn.FeatureAlphaDropout,
    torch.dropout: nn.Dropout,
}
_TOLERANCE = 1e-4


def with_layers(model: nn.Module, example: Tensor) -> nn.Module:
    """``model`` itself where each of its activations is a layer used once; else a traced ``torch.fx.GraphModule`` on a
    copy of its layers, in which that is so, and which ends in logits.

    Functional activations become the layers ``relu_1``, ``relu_2``, ... in the order of the network; the second use of
    a layer ``relu`` becomes ``relu_2``, the third ``relu_3``. Functional dropouts become layers too, since tracing
    freezes them. A softmax or sigmoid at the very end is left out, with a warning: losses take logits. Parameters keep
    their names. ``example``: float [N, C, H, W]. Raises what tracing raises, and :class:`ConversionError` where the
    twin computes something else.
    """
    traced = trace(model, example)
    left_out = drop_final(traced)
    activations = _activations(traced)
    if not left_out and not any(needed for _, _, needed in activations):
        return model
    if left_out:
        warnings.warn(
            f"left out at the end of the network: {', '.join(left_out)}; training and spikes take logits", stacklevel=2
        )
    if not _same_in_training(model, traced, bool(left_out)):
        warnings.warn("the network computes something else in training: its evaluation form is trained", stacklevel=2)
    with torch.no_grad():
        expected = traced(example.clone())
    _give_layers(traced, activations)
    dropouts_as_layers(traced)
    with torch.no_grad():
        found = traced(example.clone())
    if float((found - expected).abs().max()) > _TOLERANCE * float(expected.abs().max().clamp(min=1e-30)):
        raise ConversionError(
            "an in-place activation acts on a tensor that is read under another name; write the activations of the "
            "network as layers (nn.ReLU), one for each place"
        )
    traced.train(model.training)
    return traced


def _activations(traced: fx.GraphModule) -> list[tuple[fx.Node, Rectifier, bool]]:
    """Nodes that rectify, in order, and whether each needs a layer of its own."""
    found = []
    seen: set[int] = set()
    for node in traced.graph.nodes:
        module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        try:
            rectifier = rectifier_of(Call(node, tuple(node.args), dict(node.kwargs), module))
        except RefusalError:
            continue  # conversion says what is wrong with it
        if rectifier is None:
            continue
        again = module is not None and id(module) in seen
        seen.add(id(module))
        found.append((node, rectifier, module is None or again or bool(_later_readers(node))))
    return found


def _later_readers(node: fx.Node) -> list[tuple[fx.Node, fx.Node]]:
    """(tensor, reader) of tensors that ``node`` changed in place, and that are read after it."""
    overwritten = node.meta.get("overwrites", ())
    if not overwritten:
        return []
    after = set(itertools.dropwhile(lambda other: other is not node, node.graph.nodes)) - {node}
    return [(other, user) for other in overwritten for user in other.users if user in after]


def _give_layers(traced: fx.GraphModule, activations: list[tuple[fx.Node, Rectifier, bool]]) -> None:
    uses: dict[str, int] = {}
    functional = 0
    for node, rectifier, _ in activations:
        readers = _later_readers(node)
        if node.op == "call_module":
            target = str(node.target)
            uses[target] = uses.get(target, 0) + 1
            name = target if uses[target] == 1 else f"{target}_{uses[target]}"
        else:
            functional += 1
            name = f"relu_{functional}"
        while name != node.target and _has(traced, name):
            name += "_"
        with traced.graph.inserting_after(node):
            traced.add_submodule(name, layer_of(rectifier))
            layer = traced.graph.call_module(name, (node.args[0] if node.args else node.kwargs["input"],))
        for other, reader in readers:
            reader.replace_input_with(other, layer)
        node.replace_all_uses_with(layer)
        layer.meta.update(node.meta)
        traced.graph.erase_node(node)
    traced.recompile()


def layer_of(rectifier: Rectifier) -> nn.Module:
    """The layer of torch that computes it, not in place."""
    if rectifier.bound is None:
        return nn.ReLU()
    return nn.ReLU6() if rectifier.bound == 6.0 else nn.Hardtanh(0.0, rectifier.bound)


def _has(traced: fx.GraphModule, name: str) -> bool:
    try:
        traced.get_submodule(name)
    except AttributeError:
        return hasattr(traced, name)
    return True


def dropouts_as_layers(traced: fx.GraphModule) -> None:
    """Replace functional dropouts in place: ``F.dropout(x, training=self.training)`` was frozen by tracing."""
    for number, node in enumerate([n for n in traced.graph.nodes if n.target in _DROPOUTS], 1):
        share = node.args[1] if len(node.args) > 1 else node.kwargs.get("p", 0.5)
        name = f"dropout_{number}"
        while _has(traced, name):
            name += "_"
        traced.add_submodule(name, _DROPOUTS[node.target](share).train(traced.training))
        with traced.graph.inserting_after(node):
            layer = traced.graph.call_module(name, (node.args[0] if node.args else node.kwargs["input"],))
        node.replace_all_uses_with(layer)
        layer.meta.update(node.meta)
        traced.graph.erase_node(node)
    traced.recompile()


def _same_in_training(model: nn.Module, traced: fx.GraphModule, shortened: bool) -> bool:
    """Whether the forward pass runs the same operations in training mode."""
    try:
        other = symbolic(own_copy(model).train())
    except Exception:  # the user's code may raise anything
        return False
    ours = [(node.op, str(node.target)) for node in traced.graph.nodes]
    theirs = [(node.op, str(node.target)) for node in other.graph.nodes]
    if shortened:
        ours, theirs = ours[:-1], theirs[: len(ours) - 1]
    return ours == theirs

"""Replaces max pooling by average pooling: the maximum of spike trains is not a linear operation, the mean is."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from spikec.errors import ConversionError
from spikec.frontend.layers import dropouts_as_layers
from spikec.frontend.obstacles import Obstacle, refuse
from spikec.frontend.tracing import own_copy, symbolic, where

_POOLS: dict[type[nn.Module], type[nn.Module]] = {
    nn.MaxPool1d: nn.AvgPool1d,
    nn.MaxPool2d: nn.AvgPool2d,
    nn.AdaptiveMaxPool1d: nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool2d: nn.AdaptiveAvgPool2d,
}
_FUNCTIONS: dict[Any, Any] = {
    F.max_pool1d: F.avg_pool1d,
    torch.max_pool1d: F.avg_pool1d,
    F.max_pool2d: F.avg_pool2d,
    torch.max_pool2d: F.avg_pool2d,
    F.adaptive_max_pool1d: F.adaptive_avg_pool1d,
    F.adaptive_max_pool2d: F.adaptive_avg_pool2d,
}
_WITH_INDICES = (
    F.max_pool1d_with_indices,
    F.max_pool2d_with_indices,
    F.adaptive_max_pool1d_with_indices,
    F.adaptive_max_pool2d_with_indices,
)
_WINDOW = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
_INDICES = ("max pooling with indices", "average pooling has none: use return_indices=False")
_DILATED = ("dilated max pooling", "average pooling has no dilation: use dilation=1")


def replace_max_pool(model: nn.Module, *, fine_tuned: bool = False) -> nn.Module:
    """A copy of ``model`` in which every max pool is an average pool of the same kernel, stride and padding.

    Layers (MaxPool1d/2d, AdaptiveMaxPool1d/2d) are replaced where they stand; parameters keep their names. If the
    forward pass calls ``F.max_pool2d`` or a similar function, the copy is a traced ``torch.fx.GraphModule`` with the
    same parameters. Padding counts as zeros in the mean. A network with ``ceil_mode`` can be converted only if no
    window is cut off. Warns that the result needs fine-tuning, unless there was no max pool, or the weights are
    ``fine_tuned`` with average pools already.

    Raises ``UnsupportedOperation`` for pools with indices or dilation, and if the forward pass cannot be traced.
    """
    if not isinstance(model, nn.Module):
        raise ConversionError(f"expected a torch.nn.Module, got {type(model).__name__}")
    obstacles: list[Obstacle] = []
    if isinstance(model, tuple(_POOLS)):
        twin, replaced = _average(model, "model", obstacles), ["model"]
    else:
        twin = own_copy(model)
        replaced = _replace_layers(twin, obstacles)
        traced = symbolic(twin)
        calls = _replace_calls(traced, obstacles)
        if calls:
            dropouts_as_layers(traced)
            twin, replaced = traced, replaced + calls
    refuse(obstacles)
    if replaced and not fine_tuned:
        pools = "1 max pool is" if len(replaced) == 1 else f"{len(replaced)} max pools are"
        warnings.warn(
            f"{pools} an average pool now ({', '.join(replaced)}): the network computes something else "
            "and needs fine-tuning (spikec train) before it is converted",
            stacklevel=2,
        )
    return twin


def _replace_layers(model: nn.Module, obstacles: list[Obstacle]) -> list[str]:
    """Replace pooling layers in place; returns their names."""
    replaced = []
    for prefix, owner in list(model.named_modules()):
        # _modules and not named_children, which skips a layer that stands under two names.
        for name, child in list(owner._modules.items()):
            if isinstance(child, tuple(_POOLS)):
                full = f"{prefix}.{name}" if prefix else name
                setattr(owner, name, _average(child, full, obstacles))
                replaced.append(full)
    return replaced


def _average(pool: Any, name: str, obstacles: list[Obstacle]) -> nn.Module:
    kind = next(average for maximum, average in _POOLS.items() if isinstance(pool, maximum))
    if pool.return_indices:
        obstacles.append(Obstacle(f"layer {name}", *_INDICES))
    if isinstance(pool, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d):
        return kind(pool.output_size).train(pool.training)
    if _dilated(pool.dilation):
        obstacles.append(Obstacle(f"layer {name}", *_DILATED))
    average = kind(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, count_include_pad=True)
    return average.train(pool.training)


def _replace_calls(traced: fx.GraphModule, obstacles: list[Obstacle]) -> list[str]:
    """Replace functional max pools in a traced graph; returns the names of their nodes."""
    replaced = []
    for node in traced.graph.nodes:
        if node.op != "call_function":
            continue
        if node.target in _WITH_INDICES or (node.target in _FUNCTIONS and node.kwargs.get("return_indices")):
            obstacles.append(Obstacle(where(node), *_INDICES))
        elif node.target in _FUNCTIONS:
            _replace_call(node, obstacles)
            replaced.append(node.name)
    traced.recompile()
    return replaced


def _replace_call(node: fx.Node, obstacles: list[Obstacle]) -> None:
    average = _FUNCTIONS[node.target]
    if average in (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d):
        given = dict(zip(("input", "output_size"), node.args, strict=False)) | dict(node.kwargs)
        node.target, node.args, node.kwargs = average, (given["input"], given["output_size"]), {}
        return
    given = dict(zip(_WINDOW, node.args, strict=False)) | dict(node.kwargs)
    if _dilated(given.get("dilation", 1)):
        obstacles.append(Obstacle(where(node), *_DILATED))
    stride = given.get("stride")
    node.target, node.args = average, (given["input"], given["kernel_size"])
    node.kwargs = {
        "stride": None if stride in ((), []) else stride,
        "padding": given.get("padding", 0),
        "ceil_mode": given.get("ceil_mode", False),
        "count_include_pad": True,
    }


def _dilated(dilation: Any) -> bool:
    return any(d != 1 for d in ([dilation] if isinstance(dilation, int) else dilation))

"""Replaces max pooling by average pooling: the maximum of spike trains is not a linear operation, the mean is."""

from __future__ import annotations

import warnings

from torch import Tensor, nn

from spikec.calls import named_arguments, outside
from spikec.frontend.averages import PoolError, average_layer, average_of, pools_maxima
from spikec.frontend.calls import Called, calls_of, unused
from spikec.frontend.copying import copied, require_network
from spikec.frontend.first_layer import runnable_images
from spikec.frontend.modes import evaluating
from spikec.frontend.obstacles import Obstacle, refuse
from spikec.frontend.same import draws, require_same
from spikec.frontend.twin import Plan, Twin
from spikec.words import either


@named_arguments
def replace_max_pool(model: nn.Module, *, fine_tuned: bool = False, example: Tensor | None = None) -> nn.Module:
    """A copy of ``model`` in which every max pool is an average pool of the same kernel, stride and padding.

    Layers (MaxPool1d/2d, AdaptiveMaxPool1d/2d) are replaced where they stand; parameters keep their names. If the
    forward pass calls ``F.max_pool2d`` or a similar function, or takes the maximum over an image, the copy is a
    :class:`spikec.frontend.twin.Twin`, which runs the code of the network with means in their place. So it is, on the
    layers of ``model`` itself, where the network cannot be copied. Padding counts as zeros in the mean. Warns that the
    result needs fine-tuning, unless there was no max pool or the weights are ``fine_tuned`` with average pools.

    ``example``: float images [N, C, H, W] to find out on what the network calls. Without it, and where the network
    fails on it, random images of usual sizes are tried; where none works, calls are replaced when the network runs, and
    refused then.

    Raises ``UnsupportedOperation`` for pools with indices or dilation, and :class:`ConversionError` where the copy
    differs from the network.

    >>> tc.replace_max_pool(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)))[1]
    AvgPool2d(kernel_size=2, stride=2, padding=0)
    """
    if isinstance(model, nn.Module) and pools_maxima(model):
        (average,) = _averages([("model", model)], [])
        _warn(["model"], True, fine_tuned)
        return average
    require_network(model)
    images = runnable_images(model, example)
    copy = copied(model, images)
    calls: list[Called] = []
    if images is not None:
        with evaluating(copy.source), evaluating(copy.runs):
            calls, _ = calls_of(copy.runs, images)
            if not copy.shared:
                watched = (copy.source, copy.runs)
                require_same(copy.source, copy.runs, draws(images), "a copy of the network", watched)
    layers = [] if copy.shared else _layers(copy.network)
    obstacles: list[Obstacle] = []
    averages = _averages([(path, pool) for _, _, path, pool in layers], obstacles)
    functions = [call for call in calls if _pools(call, copy.shared, obstacles)]
    refuse(obstacles)
    replaced = [path for _, _, path, _ in layers] + [call.name for call in functions]
    for (owner, name, _, _), average in zip(layers, averages, strict=True):
        setattr(owner, name, average)
    _warn(replaced, images is not None, fine_tuned)
    if copy.runs is copy.network and images is not None and not functions:
        return copy.network
    return Twin(copy, Plan(averages=True), set(), unused(copy.network, calls) if calls else frozenset())


def _layers(network: nn.Module) -> list[tuple[nn.Module, str, str, nn.Module]]:
    """Pools of a network: what holds them, under which name, their path, and the pools themselves."""
    # _modules and not named_children, which skips a layer that stands under two names.
    return [
        (owner, name, f"{prefix}.{name}" if prefix else name, child)
        for prefix, owner in network.named_modules()
        for name, child in owner._modules.items()
        if child is not None and pools_maxima(child)
    ]


def _averages(pools: list[tuple[str, nn.Module]], obstacles: list[Obstacle]) -> list[nn.Module]:
    """The average pools for max pools at their paths; what stands in the way goes to ``obstacles``."""
    found: list[nn.Module] = []
    for path, pool in pools:
        try:
            found.append(average_layer(pool))
        except PoolError as error:
            obstacles.append(Obstacle(f"layer {path}", *error.obstacle))
    return found


def _pools(call: Called, layers: bool, obstacles: list[Obstacle]) -> bool:
    """Whether a call pools maxima in a function, or with ``layers`` in a layer."""
    try:
        if call.module is not None:
            return layers and pools_maxima(call.module) and average_layer(call.module) is not None
        return average_of(call.function, call.args, call.kwargs) is not None
    except PoolError as error:
        obstacles.append(Obstacle(call.where, *error.obstacle))
        return False


def _warn(replaced: list[str], found_all: bool, fine_tuned: bool) -> None:
    if not found_all:
        warnings.warn(
            "the network runs on no usual size of images: max pools that it calls as functions are replaced when it "
            "runs, but not listed; give example=images",
            stacklevel=outside(),
        )
    if replaced and not fine_tuned:
        pools = "1 max pool is" if len(replaced) == 1 else f"{len(replaced)} max pools are"
        warnings.warn(
            f"{pools} an average pool now ({', '.join(replaced)}): the network computes something else "
            f"and needs fine-tuning ({either('tc.fit', 'spikec train')}) before it is converted",
            stacklevel=outside(),
        )

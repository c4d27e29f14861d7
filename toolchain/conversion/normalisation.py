"""A normalisation that the data lack: what the first batch norm saw in training, against what the images give it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikec.frontend.modes import evaluating

#: Images that say enough, and as many as are run.
_FEWEST, _MOST = 8, 64
#: Medians over the channels beyond which the images are others than those of the training: of the ratio of the
#: deviations, in octaves either way, and of the difference of the means, in deviations. Images of one class of CIFAR-10
#: reach 0.4 and 0.4 with the public ResNet-20, a normalisation that is missing 1.1 and more.
_OCTAVES, _SHIFT = 0.7, 0.6


def normalisation_warning(model: nn.Module, images: Tensor) -> str | None:
    """One sentence where the images [N, ...] are unlike those of the training, as far as the running mean and variance
    of the first batch norm say so; None where they agree, or where nothing can be said.

    ``model`` is run in eval mode on at most 64 of the images, as it is. Where it has no batch norm with statistics of a
    training, or fewer than 8 images are given, nothing can be said. If the usual normalisations bring the images near
    to the statistics, the sentence names the best.
    """
    if len(images) < _FEWEST:
        return None
    images = images[torch.linspace(0, len(images) - 1, min(len(images), _MOST)).round().long()]
    found = _first(model, images)
    if found is None:
        return None
    name, octaves, shift = found
    if abs(octaves) <= _OCTAVES and shift <= _SHIFT:
        return None
    return (
        f"the images are unlike those the network was trained on: its first batch norm, {name}, meets values of "
        f"{2**octaves:.3g} times the deviation of the training, whose means are off by {shift:.2g} deviations; "
        f"{_remedy(model, images)}"
    )


def _remedy(model: nn.Module, images: Tensor) -> str:
    tried: dict[str, float] = {}
    for said, change in _NORMALISATIONS.items():
        found = _first(model, change(images))
        if found is not None:
            tried[said] = abs(found[1]) / _OCTAVES + found[2] / _SHIFT
    best = min(tried, key=tried.__getitem__, default=None)
    way = (
        "make the normalisation of the training the network's first layer "
        "(spikec.models.zoo.normalization.Normalize(mean, std)), or give "
    )
    if best is None or tried[best] > 1:
        return f"{way}images that are normalised as in training"
    return f"images {best} would fit: {way}such images"


def _standardised(images: Tensor) -> Tensor:
    axes = [0, *range(2, images.ndim)]
    return (images - images.mean(axes, keepdim=True)) / images.std(axes, keepdim=True).clamp(min=1e-12)


_NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "divided by 255": lambda x: x / 255,
    "multiplied by 255": lambda x: x * 255,
    "with (x - 0.5) / 0.5": lambda x: (x - 0.5) / 0.5,
    "with the mean of each channel subtracted and its deviation divided out": _standardised,
}


def _first(model: nn.Module, images: Tensor) -> tuple[str, float, float] | None:
    """Name of the batch norm that runs first; medians over its channels of the ratio of deviations, in octaves, and of
    the difference of means."""
    found: list[tuple[str, float, float] | None] = []

    def hook(name: str) -> Any:
        def look(module: _BatchNorm, args: tuple[Any, ...]) -> None:
            if not found:
                found.append(_compared(name, module, args[0]))

        return look

    layers = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    handles = [module.register_forward_pre_hook(hook(name)) for name, module in layers.items()]
    try:
        with evaluating(model), torch.no_grad():
            if layers:
                model(images.clone())
    except Exception:  # the user's code may raise anything; conversion says what is wrong with it
        return None
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _compared(name: str, module: _BatchNorm, x: Tensor) -> tuple[str, float, float] | None:
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None or not _trained(module):
        return None
    axes = [0, *range(2, x.ndim)]
    seen_variance, seen_mean = torch.var_mean(x.double(), axes, correction=0)
    used = variance > 1e-6 * variance.max()  # channels that are always the same say nothing
    if not bool(used.any()):
        return None
    wide = (variance.double() + module.eps)[used]
    octaves = 0.5 * torch.log2((seen_variance[used] + module.eps) / wide)
    shift = (seen_mean[used] - mean.double()[used]).abs() / wide.sqrt()
    return name, float(octaves.median()), float(shift.median())


def _trained(module: _BatchNorm) -> bool:
    """Whether its statistics are of a training, not those it was made with."""
    assert module.running_mean is not None
    assert module.running_var is not None
    made = not bool(module.running_mean.any()) and bool((module.running_var == 1).all())
    return not made


__all__ = ["normalisation_warning"]

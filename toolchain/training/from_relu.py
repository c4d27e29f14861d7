"""Prepares a trained ReLU network for fine-tuning: replaces activations, sets thresholds from measured values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spikec.errors import ConversionError
from spikec.frontend.modes import evaluating
from spikec.frontend.rectifiers import rectifier_of_layer
from spikec.training.activations import SMALLEST_THRESHOLD, ClipFloorShift
from spikec.training.modes import standing_in


def replace_relu(model: nn.Module, activation: Callable[[], nn.Module]) -> int:
    """Replace every ``nn.ReLU`` and ``nn.ReLU6`` of ``model``, and every ``nn.Hardtanh`` and ``nn.Threshold`` that
    clips at zero, by a new ``activation()`` with its hooks; returns how many. Subclasses with a forward of their own
    stay. ``spikec.frontend.with_layers`` makes layers of functions."""
    replaced = 0
    for module in list(model.modules()):
        # _modules and not named_children, which skips a ReLU that stands under two names.
        for name, child in list(module._modules.items()):
            if child is not None and rectifier_of_layer(child) is not None:
                setattr(module, name, _hooked_like(child, activation()))
                replaced += 1
    return replaced


def _hooked_like(layer: nn.Module, activation: nn.Module) -> nn.Module:
    for name, value in vars(layer).items():
        if name.startswith(("_forward_hooks", "_forward_pre_hooks")):
            vars(activation)[name] = value.copy()
    return activation


@torch.no_grad()
def fold_normalisation(model: nn.Module, mean: Sequence[float], deviation: Sequence[float]) -> None:
    """Make ``model``, trained on (x - mean) / deviation per channel, take x itself.

    The first convolution w becomes w / deviation; the constant sum of w * mean / deviation goes into its bias or into
    the running mean of the batch norm after it. Exact except at the border: there zero padding now means black instead
    of the mean. Raises :class:`ConversionError` if the first layer does not allow it.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    first, norm = layers[0] if layers else None, layers[1] if len(layers) > 1 else None
    if not isinstance(first, nn.Conv2d) or first.groups != 1 or first.in_channels != len(mean):
        raise ConversionError(f"only a first convolution of {len(mean)} channels can take over the normalisation")
    if len(deviation) != len(mean) or not all(0 < value < float("inf") for value in deviation):
        raise ConversionError(f"one positive deviation for each of {len(mean)} channels is needed, not {deviation}")
    scale = 1 / torch.tensor(deviation, dtype=first.weight.dtype)
    first.weight.mul_(scale[:, None, None])
    constant = (first.weight.sum((2, 3)) * torch.tensor(mean, dtype=first.weight.dtype)).sum(1)
    if first.bias is not None:
        first.bias.sub_(constant)
    elif isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
        norm.running_mean.add_(constant)
    else:
        raise ConversionError("the first convolution has neither a bias nor a batch norm to take over the mean")


@torch.no_grad()
def initialise_thresholds(model: nn.Module, images: Tensor, quantile: float = 0.995) -> dict[str, float]:
    """Set the threshold of every :class:`ClipFloorShift` to a quantile of the ReLU activation in its place.

    ``images`` float [N, C, H, W] from the training set; the network runs once, in eval mode, with every
    :class:`ClipFloorShift` acting as a ReLU. Returns the thresholds by module name. Raises :class:`ConversionError`
    for a module used in several places, which could have only one threshold.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ClipFloorShift)}
    if not 0 < quantile <= 1:
        raise ConversionError(f"quantile must lie in (0, 1], it is {quantile}")
    if not layers:
        raise ConversionError("the network has no ClipFloorShift whose threshold could be set; call replace_relu first")
    seen: dict[str, npt.NDArray[Any]] = {}

    def rectifier(name: str) -> Callable[[Tensor], Tensor]:
        def rectify(x: Tensor) -> Tensor:
            if name in seen:
                raise ConversionError(f"{name} is used more than once in a pass; give every activation its own module")
            y = torch.relu(x)
            seen[name] = y.cpu().numpy()
            return y

        return rectify

    with evaluating(model), standing_in({layer: rectifier(name) for name, layer in layers.items()}):
        model(images)
    for name, values in seen.items():
        if not values.size or not np.isfinite(values).all():
            raise ConversionError(f"{name} has no finite activation on {len(images)} images, so it has no threshold")
        layers[name].threshold.fill_(max(float(np.quantile(values, quantile)), SMALLEST_THRESHOLD))
    return {name: float(layers[name].threshold.detach()) for name in seen}

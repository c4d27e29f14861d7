"""Lazy layers (``nn.LazyConv2d``) whose parameters came from a file, without a first image to tell their shape."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.lazy import LazyModuleMixin


def settle(module: nn.Module) -> None:
    """Make each lazy layer in ``module`` whose parameters are all there the plain layer that it stands for."""
    for layer in module.modules():
        about: Any = layer
        if not isinstance(layer, LazyModuleMixin) or about.has_uninitialized_params():
            continue
        _shape(about)
        about._initialize_hook.remove()
        about._load_hook.remove()
        del about._initialize_hook, about._load_hook
        about.__class__ = about.cls_to_become


def _shape(layer: Any) -> None:
    if isinstance(layer, _ConvTransposeNd):
        layer.in_channels = layer.weight.shape[0]
    elif isinstance(layer, _ConvNd):
        layer.in_channels = layer.weight.shape[1] * layer.groups
    elif isinstance(layer, nn.Linear):
        layer.in_features = layer.weight.shape[1]
    else:  # batch and instance norm
        known = layer.weight if layer.weight is not None else layer.running_mean
        layer.num_features = known.shape[0]

"""From a recipe to the network that training starts with: new, or from weights, of ReLU networks too."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.data import Dataset
from models.loading import load_weights, read_weights
from models.recipes import Recipe
from models.resolving import resolve
from toolchain.errors import ConversionError
from toolchain.frontend import canonicalize, replace_max_pool
from toolchain.training import ClipFloorShift, fold_normalisation, initialise_thresholds, replace_relu

#: Training images that set the thresholds when fine-tuning a ReLU network.
_THRESHOLD_IMAGES = 256


def prepare(
    spec: str, recipe: Recipe, train: Dataset, weights: Path | None = None, *, average_pool: bool = False
) -> tuple[nn.Module, dict[str, float]]:
    """The network ``spec`` (see :func:`models.resolve`) with the recipe's activations, seeded with its seed.

    ``weights`` of a network that was trained with thresholds keep them (their number of levels becomes the recipe's);
    weights of a ReLU network get thresholds from its activations on training images, which are the second value, by
    layer. What could not be converted afterwards is refused now rather than after hours of training: raises
    :class:`UnsupportedOperation`, :class:`ConversionError` or :class:`DataError`.
    """
    from_relu = weights is not None and not any(k.endswith("threshold") for k in read_weights(weights)[0])
    torch.manual_seed(recipe.fit.seed)
    model = resolve(
        spec,
        num_classes=len(train.classes),
        in_channels=train.shape[0],
        activation=nn.ReLU if from_relu else recipe.activation,
    )
    if weights is not None and from_relu:
        load_weights(model, weights)
        if recipe.mean:
            fold_normalisation(model, recipe.mean, recipe.deviation)
    if average_pool:
        model = replace_max_pool(model)
    replaced = replace_relu(model, recipe.activation) if recipe.method != "relu" else 0
    thresholds: dict[str, float] = {}
    if weights is not None and not from_relu:
        load_weights(model, weights, levels=recipe.levels)
    elif weights is not None and replaced:
        thresholds = initialise_thresholds(model, train.images(slice(_THRESHOLD_IMAGES)))
    if recipe.method != "relu" and not any(isinstance(m, ClipFloorShift) for m in model.modules()):
        raise ConversionError(f"{spec} has no nn.ReLU modules to replace; write its activations as modules")
    canonicalize(model, train.images(slice(2)))
    return model, thresholds

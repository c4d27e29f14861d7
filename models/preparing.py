"""Networks with their weights: to start training with, or trained already, plain ReLU networks included."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from spikec.errors import ConversionError, DataError
from spikec.frontend import canonicalize, replace_max_pool, with_layers
from spikec.models.data import Dataset
from spikec.models.loading import fits, holds_thresholds, load_weights
from spikec.models.recipes import Recipe
from spikec.models.resolving import resolve
from spikec.models.weights import index, pretrained
from spikec.models.zoo import REGISTRY
from spikec.training import (
    ClipFloorShift,
    fold_normalisation,
    initialise_thresholds,
    replace_relu,
    without_quantisation,
)
from spikec.words import option

#: Training images that set the thresholds when fine-tuning a ReLU network.
_THRESHOLD_IMAGES = 256


def prepare(
    spec: str,
    recipe: Recipe,
    train: Dataset,
    weights: Path | None = None,
    *,
    average_pool: bool = False,
    fine_tuned: bool = False,
    entry: str | None = None,
) -> tuple[nn.Module, dict[str, float]]:
    """The network ``spec`` (see :func:`models.resolve`) with the activations of ``recipe``, initialised with its seed.

    ``weights`` may come from a network trained with thresholds: these are kept, with the recipe's number of levels. Or
    they come from a ReLU network: unless the method is ``relu``, thresholds are then set from its activations on
    training images, and returned by layer as the second value. ``entry`` chooses as in
    :func:`spikec.models.load_weights`. ``average_pool`` replaces max pools; ``fine_tuned`` says that the weights know
    average pools already. A network that could not be converted later is refused
    now, not after hours of training: raises :class:`UnsupportedOperation`, :class:`ConversionError` or
    :class:`DataError`.
    """
    from_relu = weights is not None and not holds_thresholds(weights)
    _check_entry(entry, weights)
    torch.manual_seed(recipe.fit.seed)
    model = resolve(
        spec,
        num_classes=train.outputs,
        in_channels=train.shape[0],
        image_shape=train.shape,
        activation=nn.ReLU if from_relu else recipe.activation,
    )
    if weights is not None and from_relu:
        load_weights(model, weights, entry=entry)
        if recipe.mean:
            fold_normalisation(model, recipe.mean, recipe.deviation)
    model = _in_float(model)
    if average_pool:
        model = replace_max_pool(model, fine_tuned=fine_tuned, example=train.images(slice(2)))
    model, replaced = _trainable(model, recipe, train.images(slice(2)), None if from_relu else weights, entry)
    thresholds: dict[str, float] = {}
    if weights is not None and not from_relu:
        load_weights(model, weights, levels=recipe.levels, entry=entry)
    elif weights is not None and replaced:
        thresholds = initialise_thresholds(model, train.images(slice(_THRESHOLD_IMAGES)))
    if recipe.method != "relu" and not any(isinstance(m, ClipFloorShift) for m in model.modules()):
        raise ConversionError(f"{spec} has no ReLU, so there is nothing that could become neurons; add ReLU layers")
    canonicalize(model, train.images(slice(2)))
    return model, thresholds


def _trainable(
    model: nn.Module, recipe: Recipe, example: Tensor, weights: Path | None, entry: str | None
) -> tuple[nn.Module, int]:
    """The network with the activations of a recipe, and how many were replaced; ``weights`` with thresholds say whether
    functional and repeated activations have one of their own."""
    made = with_layers(model, example)
    if recipe.method == "relu":
        return made, 0
    if weights is not None and made is not model:
        before = copy.deepcopy(model)
        replaced = replace_relu(before, recipe.activation)
        if fits(before, weights, entry):
            return before, replaced
    replaced = replace_relu(made, recipe.activation)
    return made, replaced


def trained(spec: str, weights: Path | None, data: Dataset, entry: str | None = None) -> nn.Module:
    """The network ``spec`` (see :func:`models.resolve`) with its weights, in eval mode. Raises :class:`DataError`, and
    :class:`ConversionError` for an ``entry`` of no file.

    ``weights``: their file. Without it, a zoo network gets the weights shipped with it, and any other network keeps
    those it was returned with. With ``weights``, a zoo network gets the channels and classes of ``data``, and ``entry``
    chooses as in :func:`spikec.models.load_weights`.
    """
    _check_entry(entry, weights)
    if spec in REGISTRY and weights is None:
        if spec not in index():
            raise DataError(
                f"{spec} comes without weights: train it with spikec train, then give them with {option('weights')}"
            )
        return pretrained(spec)
    clipped = weights is not None and holds_thresholds(weights)
    model = resolve(
        spec,
        num_classes=data.outputs,
        in_channels=data.shape[0],
        image_shape=data.shape,
        activation=ClipFloorShift if clipped else nn.ReLU,
    )
    if clipped and not any(isinstance(m, ClipFloorShift) for m in model.modules()):
        model, _ = _trainable(model, Recipe(), data.images(slice(2)), weights, entry)
    if weights is not None:
        load_weights(model, weights, entry=entry)
    return _in_float(model).eval()


def _check_entry(entry: str | None, weights: Path | None) -> None:
    if entry is not None and weights is None:
        raise ConversionError(
            f"{option('entry', entry, flag='--weights-entry')} chooses among the sets of weights in a file: give the "
            f"file with {option('weights')}, or leave it out"
        )


def _in_float(model: nn.Module) -> nn.Module:
    """The network, read back from PyTorch's quantisation where it has some, which a warning says."""
    made, notes = without_quantisation(model)
    for note in notes:
        warnings.warn(note, stacklevel=3)
    return made

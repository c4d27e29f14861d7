"""The images that thresholds and units are chosen with, and what to say where they cannot be meant for the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikec import defaults
from spikec.deployment.configuration import Configuration
from spikec.deployment.filling import method_of
from spikec.errors import DataError, ToolchainError
from spikec.frontend import Rectifier, canonicalize, first_layer, image_shape
from spikec.models.data import Dataset

#: Random images, where there is no data set. As many as lowering measures on.
_MADE_UP = 64
_ASSUMED = "these are the 8 x 8 digits, the default; give --data"


def example_images(configuration: Configuration, model: nn.Module, training: Dataset) -> tuple[Tensor, list[str], bool]:
    """Images float32 [N, *input shape], remarks, and whether the images are made up. They are drawn from ``training``.

    Where nobody named a data set and the default cannot be meant for ``model``, they are random pixels from 0 to 1 of
    the shape that its first layer takes, if the network has all its thresholds and the method chooses nothing on
    images. Else raises ``DataError`` that says what the network takes.
    """
    images = training.draw(configuration.calibration, configuration.seed).images()
    problem = misfit(configuration.model, model, training, images[:2])
    if problem is None:
        said = f"no --data: thresholds and ranges come from the 8 x 8 {defaults.DATA}, the default"
        return images, [said] if configuration.data_assumed else [], False
    if not configuration.data_assumed:
        raise DataError(f"{problem}; give the data set it was trained on with --data")
    shape = image_shape(model)
    if shape is None:
        raise DataError(f"{problem}: {_ASSUMED}")
    pixels = torch.randint(0, 256, (_MADE_UP, *shape), generator=torch.Generator().manual_seed(configuration.seed))
    made_up = pixels.float() / 255
    if not _needs_no_images(configuration, model, made_up):
        raise DataError(f"{problem}: {_ASSUMED}, since thresholds are chosen on training images")
    size = " x ".join(map(str, shape))
    said = (
        f"no --data: ranges are checked on random pixels of {size}, as the first layer asks; pixels from 0 to 1 are "
        "assumed, and no accuracy is measured"
    )
    return made_up, [said], True


def misfit(name: str, model: nn.Module, training: Dataset, images: Tensor) -> str | None:
    """Why images of this shape cannot be meant for the network; None where it takes them."""
    shape = "x".join(map(str, training.shape))
    found = first_layer(model)
    if found is not None and not found.takes(training.shape):
        return f"{name} takes {found.wanted} (its first layer, {found.name}), {training.name} has {shape}"
    try:
        with torch.no_grad():
            model(images.clone())
    except Exception as error:  # the user's code may raise anything
        reason = " ".join(str(error).split())
        return f"{name} fails on images of {training.name}, {shape} ({reason})"
    return None


def _needs_no_images(configuration: Configuration, model: nn.Module, images: Tensor) -> bool:
    """Whether conversion and lowering choose nothing on images."""
    try:
        graph = canonicalize(model, images[:2])
    except ToolchainError:
        return True  # conversion says what is wrong with the network
    rectified = any(isinstance(module, Rectifier) for module in graph.modules())
    return not rectified and method_of(configuration).calibrated_offsets() is None and configuration.scale != "spikes"

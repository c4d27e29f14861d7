"""Checks what a training run is given before its first step: a mistake gives one sentence, not a traceback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spikec.arguments import file_path
from spikec.errors import ConversionError, DataError
from spikec.training.images import Images
from spikec.training.targets import only_classes


def images_of(name: str, data: Any) -> None:
    """Raise :class:`DataError` unless ``data`` is a non-empty labelled set."""
    if not all(callable(getattr(data, method, None)) for method in ("__len__", "images", "targets")):
        raise DataError(
            f"{name} must be a labelled set with len, images(indices) and targets(indices), such as "
            f"spikec.models.data.open_dataset gives, not {type(data).__name__}"
        )
    if not len(data):
        raise DataError(f"{name} holds no image; give at least one")


def output_file(name: str, path: Any) -> Path | None:
    """``path`` as a Path. Raises :class:`DataError` if no file can be written there: before the work is done, not
    after."""
    if path is None:
        return None
    file = file_path(path, name)
    if not os.path.isdir(file.parent):
        raise DataError(f"{name}: the folder {file.parent} does not exist; create it first")
    if os.path.exists(file) and not os.path.isfile(file):
        raise DataError(f"{name}: {file} is there and is no file; give another name")
    return file


def usable_device(device: Any) -> str:
    """Raise :class:`ConversionError` unless tensors can be computed with on ``device``."""
    try:
        name = str(torch.device(device))
        torch.ones(1, device=name).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConversionError(f"device {device!r} cannot be used here ({reason}): take cpu") from error
    return name


@torch.no_grad()
def fitting_network(model: nn.Module, data: dict[str, Images], device: str) -> None:
    """Raise unless ``model`` takes the images of all sets, by name, and has a class for each of their labels."""
    if not any(p.requires_grad for p in model.parameters()):
        raise ConversionError("the network has no parameters that could be trained")
    model.eval()
    for name, images in data.items():
        labels = images.targets(slice(0, len(images)))
        only_classes("training minimises the cross entropy of classes", name, np.asarray(labels))
        # Two images, since a network may squeeze away a batch of one. The slice has both ends, as in training.
        first = images.images(slice(0, 2)).to(device)
        try:
            logits = model(first)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"the network fails on images of {name}, shape {tuple(first.shape)}: {reason}") from error
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
            given = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise ConversionError(f"the network must give logits [N, classes] for a batch of images, not {given}")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= logits.shape[1]:
            raise DataError(
                f"labels of {name} run from {low} to {high}, but the network tells {logits.shape[1]} classes apart; "
                "give its last layer an output per class"
            )

"""The network that advice is asked for, and its images in three parts: for calibration, choice and test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from spikec import defaults
from spikec.deployment.configuration import Configuration, sha256
from spikec.deployment.deploying import trained_model
from spikec.deployment.example_images import misfit
from spikec.deployment.filling import ON_FRAMES, fill
from spikec.errors import DataError
from spikec.frontend import canonicalize, only_output
from spikec.models.data import Dataset, open_dataset
from spikec.training.targets import only_classes

#: Fewest images that each of the three parts needs.
LEAST_IMAGES = 20


@dataclass(frozen=True)
class Subject:
    """``given``: fields of the configuration that all deployments share. ``training``: all training images, of which
    each deployment draws those that calibrate it. ``held_out``: training images that none draws, in random order; the
    choice is made on them. ``test``: images for the final figures, which decide nothing; ``apart``: they are training
    images kept apart, because the data have no test set. ``hashes``: of the network and of all images.
    """

    given: Mapping[str, Any]
    model: nn.Module = field(repr=False)
    training: Dataset = field(repr=False)
    held_out: Dataset = field(repr=False)
    test: Dataset = field(repr=False)
    apart: bool
    hashes: Mapping[str, str]

    @property
    def name(self) -> str:
        return str(self.given["model"])

    @property
    def calibration(self) -> int:
        return int(self.given.get("calibration", defaults.CALIBRATION_IMAGES))


def subject_of(
    given: Mapping[str, Any],
    model: nn.Module | None = None,
    training: Dataset | None = None,
    test: Dataset | None = None,
) -> Subject:
    """The subject of the fields that a user gave. ``model``, ``training`` and ``test``: in place of those that the
    fields name; with ``training`` and no ``test``, a part of the training images is kept apart.

    Raises ``UnsupportedOperation`` where the network cannot be converted at all, ``DataError`` where there are too few
    images or labels that the network does not know.
    """
    configuration, _ = fill(given)
    if configuration.frames:
        raise DataError(f"advice compares on images: {ON_FRAMES}")
    if training is None:
        training = open_dataset(configuration.data, configuration.data_root, "train")
        test = open_dataset(configuration.data, configuration.data_root, "test")
    if len(training) < 2 * LEAST_IMAGES:
        raise _too_few(training, test)
    named = model is None
    if model is None:
        model = trained_model(configuration, training)
    problem = misfit(configuration.model, model, training, training.images(slice(2)))
    if problem is not None:
        raise DataError(f"{problem}; give the data set it was trained on with --data" if named else problem)
    canonicalize(model, training.images(slice(2)))
    _check_labels(model, training, test)
    given = _with_calibration(given, configuration, training)
    drawn = int(given.get("calibration", defaults.CALIBRATION_IMAGES))
    rest = training.undrawn(drawn, configuration.seed)
    assert rest is not None
    apart = test is None or test.same_images(training)
    if apart or test is None:
        middle = len(rest) // 2
        rest, test = rest.subset(slice(middle)), rest.subset(slice(middle, None))
    if min(len(rest), len(test)) < LEAST_IMAGES:
        raise _too_few(training, test)
    return Subject(given, model, training, rest, test, apart, _hashes(model, training, test))


def _too_few(training: Dataset, test: Dataset | None) -> DataError:
    tested = f"training and {len(test)} test images" if test is not None else "images"
    return DataError(
        f"{training.name}: {len(training)} {tested} are too few; advice needs at least {LEAST_IMAGES} each to "
        "calibrate, to choose and to test"
    )


def _with_calibration(given: Mapping[str, Any], configuration: Configuration, training: Dataset) -> dict[str, Any]:
    """At most half of the training images calibrate, since the choice needs others."""
    half = len(training) // 2
    return {**given, "calibration": half} if configuration.calibration > half else dict(given)


def _check_labels(model: nn.Module, training: Dataset, test: Dataset | None) -> None:
    for data in (training, test):
        if data is not None:
            only_classes("advice compares accuracy", data.name, data.labels)
    with torch.inference_mode():
        found = only_output(model(training.images(slice(2))))
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        given = list(found.shape) if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
        raise DataError(f"advice compares accuracy, which needs one output [N, classes]; the network returns {given}")
    classes = found.shape[1]
    if classes < 2:
        raise DataError("the network has one output; accuracy, which advice compares, needs one for each class")
    if test is not None and test.shape != training.shape:
        sizes = ("x".join(map(str, data.shape)) for data in (training, test))
        raise DataError("{}: training images are of {}, test images of {}".format(training.name, *sizes))
    for data in (training, test):
        if data is not None and int(data.labels.max()) >= classes:
            raise DataError(f"the network knows {classes} classes, {data.name} has label {data.labels.max()}")


def _hashes(model: nn.Module, training: Dataset, test: Dataset) -> dict[str, str]:
    network = hashlib.sha256(repr(model).encode())
    for name, value in model.state_dict().items():
        network.update(name.encode())
        network.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
    images = hashlib.sha256()
    for part in (training, test):
        images.update(part.fingerprint().encode())
    return {"network": network.hexdigest(), "images": sha256([images.hexdigest()])}

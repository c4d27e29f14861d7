"""The trained network and its deployment on test images, measured when a file is exported."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from spikec.conversion.network import SpikingNetwork
from spikec.deployment.deploying import Deployment
from spikec.errors import DataError
from spikec.evidence.accuracy import golden_trace, parts, taken
from spikec.evidence.loss import Progress, image_count, measure
from spikec.ir import IntegerGraph
from spikec.ir.measured import Measured, digests
from spikec.models.data import Dataset, Sequences, mean_frames, open_dataset, open_sequences

_BATCH = 64


def measured(
    made: Deployment, most: int, progress: Progress, test: Dataset | Sequences | None = None
) -> tuple[Measured | None, list[str]]:
    """What ``made`` and its network get right of at most ``most`` test images, and remarks. Where the deployment takes
    one frame in each step: of test sequences, the network on the mean frame of each.

    ``test``: these images, if the configuration does not name their data set. Fewer where the network is large
    (:func:`spikec.evidence.loss.image_count`). None, with a remark that says why, where there are no test images that
    fit.
    """
    configuration = made.configuration
    if made.model is None or configuration is None:
        return None, []
    opened = open_sequences if configuration.frames else open_dataset
    if test is None:
        try:
            test = opened(configuration.data, configuration.data_root, "test")
        except DataError as error:
            return None, [f"accuracy is not measured: {error}"]
    classes = made.graph.readout.v_init.size
    if test.shape != tuple(made.images.shape[1:]):
        if configuration.data_assumed:
            return None, []  # random pixels: deploying has said so
        size = "x".join(map(str, test.shape))
        return None, [f"accuracy is not measured: test images of {test.name} are of {size}, training images are not"]
    if classes < 2:
        return None, ["accuracy is not measured: the network has one output, where accuracy needs one for each class"]
    if int(test.labels.max()) >= classes:
        return None, [
            f"accuracy is not measured: {test.name} has label {test.labels.max()}, the network {classes} classes"
        ]
    data = _chosen(test, image_count(made.graph, most))
    remarks = []
    train = opened(configuration.data, configuration.data_root, "train") if test.name.startswith("npz:") else None
    if train is not None and np.array_equal(_stored(train), _stored(test)):
        remarks.append(f"{test.name} has no test images: accuracy is that on the images thresholds were chosen with")
    assert isinstance(made.network, SpikingNetwork)  # what a model becomes
    if isinstance(data, Dataset):
        return measure(made.model, made.network, made.graph, data, configuration.data, progress), remarks
    try:
        return measure_on_frames(made.model, made.graph, data, configuration.data, progress), remarks
    except DataError as error:  # frames beyond those that the training sequences hold
        return None, [f"accuracy is not measured: {error}"]


def measure_on_frames(
    model: nn.Module, graph: IntegerGraph, data: Sequences, name: str, progress: Progress
) -> Measured:
    """Classify all sequences of ``data`` with ``graph``, and the mean frame of each with the trained ``model``."""
    means, found = mean_frames(data), []
    for part in parts(len(data), _BATCH):
        with torch.no_grad():
            found.append(model(means.images(part)).argmax(dim=1).cpu().numpy())
        progress("network", min(part.stop, len(data)), len(data))
    trace = golden_trace(data, graph, counts=False, progress=lambda done: progress("spiking", done, len(data)))
    correct = {"network": np.concatenate(found) == data.labels, "spiking": trace.predictions == data.labels}
    images = tuple(digests(taken(data, slice(0, len(data))), data.labels))
    return Measured(name, images, correct, graph.content_sha256, graph.timesteps)


def _stored(data: Dataset | Sequences) -> npt.NDArray[Any]:
    return data.stored if isinstance(data, Dataset) else data.frames


def _chosen(test: Dataset | Sequences, number: int) -> Dataset | Sequences:
    """The first images, as ``--limit`` takes them; evenly spaced ones where the first lack a class."""
    if number >= len(test):
        return test
    if set(np.unique(test.labels[:number])) == set(np.unique(test.labels)):
        return test.subset(slice(number))
    return test.subset(np.linspace(0, len(test) - 1, number).astype(np.int64))

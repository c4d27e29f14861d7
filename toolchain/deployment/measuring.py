"""The trained network and its deployment on test images, measured when a file is exported."""

from __future__ import annotations

import numpy as np

from spikec.conversion.network import SpikingNetwork
from spikec.deployment.deploying import Deployment
from spikec.errors import DataError
from spikec.evidence.loss import Progress, image_count, measure
from spikec.ir.measured import Measured
from spikec.ir.outputs import lacks_classes
from spikec.models.data import Dataset, open_dataset


def measured(
    made: Deployment, most: int, progress: Progress, test: Dataset | None = None
) -> tuple[Measured | None, list[str]]:
    """What ``made`` and its network get right of at most ``most`` test images, and remarks.

    ``test``: these images, if the configuration does not name their data set. Fewer where the network is large
    (:func:`spikec.evidence.loss.image_count`). None, with a remark that says why, where there are no test images that
    fit.
    """
    configuration = made.configuration
    if made.model is None or configuration is None:
        return None, []
    if test is None:
        try:
            test = open_dataset(configuration.data, configuration.data_root, "test")
        except DataError as error:
            return None, [f"accuracy is not measured: {error}"]
    lacking = lacks_classes(made.graph, "accuracy is not measured: it")
    if lacking:
        return None, [lacking]
    classes = made.graph.readout.shape[0]
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
    train = open_dataset(configuration.data, configuration.data_root, "train") if test.name.startswith("npz:") else None
    if train is not None and np.array_equal(train.stored, test.stored):
        remarks.append(f"{test.name} has no test images: accuracy is that on the images thresholds were chosen with")
    assert isinstance(made.network, SpikingNetwork)  # what a model becomes
    return measure(made.model, made.network, made.graph, data, configuration.data, progress), remarks


def _chosen(test: Dataset, number: int) -> Dataset:
    """The first images, as ``--limit`` takes them; evenly spaced ones where the first lack a class."""
    if number >= len(test):
        return test
    if set(np.unique(test.labels[:number])) == set(np.unique(test.labels)):
        return test.subset(slice(number))
    return test.subset(np.linspace(0, len(test) - 1, number).astype(np.int64))

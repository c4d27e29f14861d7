"""The trained network and its deployment on test images, measured when a file is exported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikec.conversion.network import SpikingNetwork
from spikec.deployment.deploying import Deployment
from spikec.deployment.measuring_sequences import measured_on_sequences
from spikec.deployment.wanted import called, not_kept, wanted_measures
from spikec.errors import DataError
from spikec.evidence.loss import Progress, image_count, measure
from spikec.ir.measured import Measured
from spikec.models.data import Dataset, open_dataset, size_hint
from spikec.training.targets import kind_of
from spikec.words import option


def measured(
    made: Deployment,
    most: int,
    progress: Progress,
    test: Dataset | None = None,
    metric: Sequence[str] | None = None,
) -> tuple[Measured | None, list[str]]:
    """What ``made`` and its network are worth on at most ``most`` test images, and remarks.

    ``test``: these images, if the configuration does not name their data set. ``metric``: measures, as ``--metric``
    takes them; by default those that the targets ask for. Fewer images where the network is large
    (:func:`spikec.evidence.loss.image_count`). None, with a remark that says why, where there are no test images that
    fit. Raises ``DataError`` for a metric that was asked for and cannot be measured.
    """
    configuration = made.configuration
    if made.graph.sequences and configuration is not None:
        return measured_on_sequences(made, most, progress, metric)
    if made.model is None or configuration is None:
        return None, [f"{option('metric', called(metric))}: there is no trained network to measure"] if metric else []
    if test is None:
        try:
            test = open_dataset(configuration.data, configuration.data_root, "test")
        except DataError as error:
            return None, [f"{called(metric)} is not measured: {error}"]
    if test.shape != tuple(made.images.shape[1:]):
        if configuration.data_assumed:
            return None, []  # random pixels: deploying has said so
        size, hint = "x".join(map(str, test.shape)), size_hint(configuration.data)
        return None, [
            f"{called(metric)} is not measured: test images of {test.name} are of {size}, training images are not{hint}"
        ]
    wanted, remarks = wanted_measures(made, test.labels, test.name, metric)
    if not wanted:
        return None, remarks
    data = _chosen(test, image_count(made.graph, most))
    both = ":" in test.name and not test.name.startswith("events:")  # its images may serve both splits
    train = open_dataset(configuration.data, configuration.data_root, "train") if both else None
    if train is not None and train.fingerprint() == test.fingerprint():
        titles = " and ".join(one.title for one in wanted)
        remarks.append(f"{test.name} has no test images: {titles} is that on the images thresholds were chosen with")
    assert isinstance(made.network, SpikingNetwork)  # what a model becomes
    found = measure(made.model, made.network, made.graph, data, configuration.data, progress, wanted)
    return found, remarks + not_kept(found, wanted)


def _chosen(test: Dataset, number: int) -> Dataset:
    """The first images, as ``--limit`` takes them; evenly spaced ones where the first lack a class."""
    if number >= len(test):
        return test
    if kind_of(test.labels) != "classes" or set(np.unique(test.labels[:number])) == set(np.unique(test.labels)):
        return test.subset(slice(number))
    return test.subset(np.linspace(0, len(test) - 1, number).astype(np.int64))

"""The trained network and its deployment on test images, measured when a file is exported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.conversion.network import SpikingNetwork
from spikec.deployment.configuration import Configuration
from spikec.deployment.deploying import Deployment
from spikec.errors import DataError
from spikec.evidence.loss import Progress, image_count, measure
from spikec.evidence.measures import Wanted, measures_of
from spikec.evidence.quality import output_shapes
from spikec.evidence.sequence_quality import measure_sequences, sequence_count
from spikec.frontend import canonicalize
from spikec.frontend.final import dropped
from spikec.ir import IntegerGraph
from spikec.ir.measured import Measured
from spikec.models.data import Dataset, open_dataset, open_sequences
from spikec.training.targets import kind_of


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
    if isinstance(made.network, SequenceNetwork) and configuration is not None:
        return _measured_sequences(made.network, made.graph, configuration, most, progress, metric)
    if made.model is None or configuration is None:
        return None, [f"--metric {_what(metric)}: there is no trained network to measure"] if metric else []
    if test is None:
        try:
            test = open_dataset(configuration.data, configuration.data_root, "test")
        except DataError as error:
            return None, [f"{_what(metric)} is not measured: {error}"]
    if test.shape != tuple(made.images.shape[1:]):
        if configuration.data_assumed:
            return None, []  # random pixels: deploying has said so
        size = "x".join(map(str, test.shape))
        return None, [
            f"{_what(metric)} is not measured: test images of {test.name} are of {size}, training images are not"
        ]
    shapes = output_shapes(made.graph)
    if not metric and kind_of(test.labels) == "classes" and all(shape == (1,) for shape in shapes.values()):
        return None, ["accuracy is not measured: the network has one output, where accuracy needs one for each class"]
    try:
        wanted = measures_of(metric, shapes, test.labels)
    except DataError as error:
        if metric:
            raise
        return None, [f"quality is not measured on {test.name}: {error}"]
    wanted, remarks = _comparable(made, wanted)
    if not wanted:
        return None, remarks
    data = _chosen(test, image_count(made.graph, most))
    train = open_dataset(configuration.data, configuration.data_root, "train") if test.name.startswith("npz:") else None
    if train is not None and np.array_equal(train.stored, test.stored):
        titles = " and ".join(one.title for one in wanted)
        remarks.append(f"{test.name} has no test images: {titles} is that on the images thresholds were chosen with")
    assert isinstance(made.network, SpikingNetwork)  # what a model becomes
    found = measure(made.model, made.network, made.graph, data, configuration.data, progress, wanted)
    return found, remarks + _not_kept(found, wanted)


def _measured_sequences(
    network: SequenceNetwork,
    graph: IntegerGraph,
    configuration: Configuration,
    most: int,
    progress: Progress,
    metric: Sequence[str] | None,
) -> tuple[Measured | None, list[str]]:
    """NIR's equations in float and the integers on at most ``most`` test sequences that have labels."""
    test = open_sequences(configuration.data, configuration.data_root, "test")
    if not test.labelled:
        return None, [f"--metric {_what(metric)}: {test.name} holds no y"] if metric else []
    try:
        wanted = measures_of(metric, output_shapes(graph), test.labels)
    except DataError as error:
        if metric:
            raise
        return None, [f"quality is not measured on {test.name}: {error}"]
    data = test.subset(slice(sequence_count(graph.lasting(test.steps), most)))
    found = measure_sequences(network, graph, data, configuration.data, progress, wanted)
    return found, _not_kept(found, wanted)


def _not_kept(found: Measured | None, wanted: Sequence[Wanted]) -> list[str]:
    return [
        f"{one.name} is not kept in the file: it is no mean over inputs, or not defined on these"
        for one in wanted
        if found is None or found.scores(one.key) is None
    ]


def _what(metric: Sequence[str] | None) -> str:
    return " and ".join(metric) if metric else "accuracy"


def _comparable(made: Deployment, wanted: tuple[Wanted, ...]) -> tuple[tuple[Wanted, ...], list[str]]:
    """The measures for which the deployment's outputs stand for the network's: a last softmax or sigmoid is left out of
    it, which keeps the order of outputs alone."""
    shapes = output_shapes(made.graph)
    kept = tuple(one for one in wanted if one.measure.by_order(one.of(shapes)))
    if kept == wanted:
        return wanted, []
    assert made.model is not None
    left_out = dropped(canonicalize(made.model, made.images[:2]))
    if not left_out:
        return wanted, []
    return kept, [
        f"{one.name} is not measured: {left_out[0]} is left out of the deployment, whose outputs are those before it"
        for one in wanted
        if one not in kept
    ]


def _chosen(test: Dataset, number: int) -> Dataset:
    """The first images, as ``--limit`` takes them; evenly spaced ones where the first lack a class."""
    if number >= len(test):
        return test
    if kind_of(test.labels) != "classes" or set(np.unique(test.labels[:number])) == set(np.unique(test.labels)):
        return test.subset(slice(number))
    return test.subset(np.linspace(0, len(test) - 1, number).astype(np.int64))

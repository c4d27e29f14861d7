"""Confusion, examples, rates, graph and placed cores against plain loops over the trace."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import small_network
from PIL import Image

from spikec.errors import DataError
from spikec.models.data import Dataset
from spikec.reporting import report
from spikec.reporting.choosing import by_error, by_margin
from spikec.reporting.confusion import MOST_CLASSES, confusion, naming, of_pixels
from spikec.reporting.pictures import of_input
from spikec.simulation import simulate


def test_confusion_counts_every_pair(made, deployment):
    found = made.confusion
    assert found.unit == "images"
    for label in range(3):
        for answer in range(3):
            pairs = zip(deployment.labels, deployment.trace.predictions, strict=True)
            assert found.matrix[label][answer] == sum((a, b) == (label, answer) for a, b in pairs)
    for row in found.rows:
        assert row.labelled == sum(deployment.labels == row.label)
        assert row.predicted == sum(deployment.trace.predictions == row.label)
        assert row.right.count == found.matrix[row.label][row.label]
    assert sum(row.right.count for row in found.rows) == made.accuracy.snn.count
    assert sum(each.count for each in found.mistakes) == 40 - made.accuracy.snn.count
    assert all(each.label != each.predicted for each in found.mistakes)


def test_classes_have_names_or_numbers(deployment):
    given = {"labels": deployment.labels, "trace": deployment.trace, "estimates": (), "fits": (), "path": None}
    plain = report(deployment.graph, images=deployment.images, **given)
    assert plain.confusion.names == ()
    assert [plain.confusion.named(label) for label in range(3)] == ["0", "1", "2"]
    assert {example.target for example in plain.examples} <= {"class 0", "class 1", "class 2"}
    images = Dataset("mine", deployment.images.astype(np.float32), deployment.labels, 1.0, ("ant", "bee", "cat", "dog"))
    assert report(deployment.graph, images=images, **given).confusion.names == ("ant", "bee", "cat")
    few = Dataset("mine", deployment.images.astype(np.float32), np.minimum(deployment.labels, 1), 1.0, ("ant", "bee"))
    assert report(deployment.graph, images=few, **given).confusion.names == ()
    assert naming(["0", "1", "2"], 3) == ()
    for wrong in ("ant", [1, 2, 3], {"ant": 1}, ["ant"], []):
        with pytest.raises(DataError, match=r"class_names (is a list of texts|has . entries)"):
            report(deployment.graph, images=deployment.images, class_names=wrong, **given)


def test_many_classes_have_rows_but_no_matrix():
    labels = np.arange(MOST_CLASSES + 1)
    found = confusion(labels, np.roll(labels, 1), MOST_CLASSES + 1)
    assert found.matrix is None
    assert len(found.rows) == MOST_CLASSES + 1
    assert {row.right.count for row in found.rows} == {0}


def test_pixels_that_are_ignored_count_for_nothing():
    outputs = np.zeros((1, 2, 1, 4))
    outputs[0, 1, 0, 2:] = 1
    found = of_pixels(outputs, np.array([[[0, 1, 1, 255]]]), 255)
    assert (found.unit, found.matrix) == ("pixels", ((1, 0), (1, 1)))
    assert [row.iou for row in found.rows] == [0.5, 0.5]


def test_examples_are_right_and_wrong_and_what_was_run(made, deployment, hostile):
    assert {example.right for example in made.examples} == {True, False}
    graph, trace = deployment.graph, deployment.trace
    for example in made.examples:
        label, answer = int(deployment.labels[example.index]), int(trace.predictions[example.index])
        assert example.right == (label == answer)
        names = [hostile, "cat (1)", "cat (2)"]
        assert (example.target, example.answer) == (names[label], names[answer])
        assert {example.target, example.answer} <= set(example.tracks)
        curve = trace.output_curve[example.index] * graph.readout.scale
        for name, values in zip(example.tracks, example.values, strict=True):
            own = curve[:, names.index(name)] * 4 / np.arange(1, 5)
            assert values == pytest.approx(own)
        (raster,) = example.rasters
        spikes = trace.spikes[raster.layer][example.index].reshape(4, -1)
        for neuron, row in zip(raster.neurons, raster.rows, strict=True):
            assert [int(value) for value in row.split()] == spikes[:, neuron].tolist()


def test_examples_are_chosen_by_margin_and_by_error():
    output, labels = np.array([[9, 0], [5, 4], [7, 4], [0, 8], [1, 2]]), np.array([0, 0, 0, 0, 0])
    assert by_margin(output, labels) == [
        (0, "right, widest margin"),
        (2, "right, median margin"),
        (1, "right, narrowest margin"),
        (3, "wrong, widest margin"),
        (4, "wrong, narrowest margin"),
    ]
    assert by_error(np.array([0.5, 0.1, 2.0])) == [(1, "smallest error"), (0, "median error"), (2, "largest error")]


def test_pictures_hold_the_input(deployment, made):
    example = made.examples[0]
    (picture,) = example.pictures
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.png))))
    own = deployment.images[example.index, 0]
    assert pixels.tolist() == np.rint((own - own.min()) / (own.max() - own.min()) * 255).tolist()
    colours = np.random.default_rng(0).random((3, 5, 7))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(of_input(colours, False).png))))
    assert shown.shape == (5, 7, 3)
    frames = of_input(np.ones((9, 4)), True)
    assert (frames.width, frames.height) == (9, 4)


def test_rates_count_every_neuron(made, deployment):
    (found,) = made.rates
    population = deployment.graph.populations[0]
    rates = (deployment.trace.spikes[population.name] != 0).mean(axis=(0, 1)).reshape(-1)
    assert sum(found.counts) == rates.size
    assert found.silent == int((rates == 0).sum())
    for low, high, number in zip(found.edges, found.edges[1:], found.counts, strict=False):
        last = high == found.edges[-1]
        assert number == int(((rates >= low) & ((rates < high) | (last & (rates <= high)))).sum())


def test_the_diagram_is_the_graph(made, deployment):
    assert [node.name for node in made.diagram] == list(deployment.graph.nodes)
    for node in made.diagram:
        assert node.sources == tuple(deployment.graph.nodes[node.name].sources)


def test_placed_cores_hold_every_neuron(made, deployment):
    neurons = sum(int(np.prod(node.shape)) for node in deployment.graph.populations)
    for fit in made.fits:
        assert len(fit.placed) == fit.cores
        assert tuple(core.load for core in fit.placed) == fit.loads
        held = {row.name: 0 for row in made.populations}
        for core in fit.placed:
            for layer, number in core.neurons.items():
                held[layer] += number
        assert sum(held[node.name] for node in deployment.graph.populations) == neurons


def test_numbers_to_predict_have_points_and_no_classes():
    rng = np.random.default_rng(2)
    graph = small_network(rng)
    images = rng.integers(0, 255, (5, 2, 7, 7)) / 255
    trace = simulate(graph, images)
    wanted = rng.normal(0, 1, (5, 3)).astype(np.float32)
    made = report(graph, images=images, labels=wanted, trace=trace, estimates=(), fits=(), path=None)
    (found,) = made.predicted
    assert made.confusion is None
    assert found.total == found.shown == 15
    for (target, answer), own, logit in zip(found.points, wanted.reshape(-1), trace.logits.reshape(-1), strict=True):
        assert (target, answer) == (pytest.approx(own), pytest.approx(logit, rel=1e-5))
    assert [example.why for example in made.examples] == ["smallest error", "median error", "largest error"]


def test_the_title_is_network_and_method(deployment):
    given = {"images": deployment.images, "labels": deployment.labels, "trace": deployment.trace}
    made = report(deployment.graph, estimates=(), fits=(), path=None, name="mine", data_name="theirs", **given)
    assert made.title == "mine, spiking at T = 4"
    told = {"spikec export a.py:wide -T 4": "wide", "spikec export nets/b.onnx": "b", "spikec export vgg11": "vgg11"}
    told |= {
        "spikec export /a/b/plain.nir --reset zero": "plain",
        "spikec export x.ONNX": "x",
        "spikec export -T 4 net": "Network",
    }
    told |= {"rm -r x": "Network", "spikec export 'a": "Network", "spikec export": "Network", "": "Network"}
    for command, name in told.items():
        graph = replace(deployment.graph, info={**deployment.graph.info, "export": command})
        made = report(graph, estimates=(), fits=(), path=None, data_name="theirs", **given)
        assert made.title == f"{name}, spiking at T = 4"


def test_an_example_run_costs_little(monkeypatch, deployment):
    """Rasters are recorded of the few inputs that are shown."""
    seen = []

    def counted(graph, images, **options):
        seen.append((len(images), options.get("record")))
        return simulate(graph, images, **options)

    monkeypatch.setattr("spikec.reporting.examples.simulate", counted)
    report(deployment.graph, images=deployment.images, labels=deployment.labels, estimates=(), fits=(), path=None)
    ((number, record),) = seen
    assert record == "spikes"
    assert number <= 6

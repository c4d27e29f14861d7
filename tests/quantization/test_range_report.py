"""What is known of every accumulator and membrane: proven, measured with margin, unproven, overflowing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikec.analysis.formats import load_format
from spikec.evidence.range_report import check_ranges, summary
from spikec.ir import Affine, InputNode, IntegerGraph, Population, Readout
from spikec.ir.kinds import IF


def _graph(weight, timesteps=4):
    """One neuron of threshold 100 behind ``weight`` times a pixel, and a readout."""
    nodes = [
        InputNode("input", (1,), "uint8", 1.0),
        Affine("synapse", ("input",), (1,), (1,), np.array([[weight]]), np.zeros(1, np.int64), 8),
        Population("spikes", ("synapse",), (1,), IF(), np.array([100]), np.array([50])),
        Affine("last", ("spikes",), (1,), (1,), np.ones((1, 1), np.int64), np.zeros(1, np.int64)),
        Readout("readout", ("last",), (1,), np.zeros(1, np.int64), 1.0),
    ]
    return IntegerGraph({node.name: node for node in nodes}, timesteps, "pipelined")


def _layers(graph, images=None, **options):
    return {(layer.layer, layer.quantity): layer for layer in check_ranges(graph, images, **options)}


def _form(limit):
    return replace(load_format("generic24"), membrane_max=limit)


def test_small_weights_are_proven():
    layers = _layers(_graph(-1))
    assert list(layers) == [
        ("synapse", "accumulator"), ("spikes", "membrane"), ("last", "accumulator"), ("readout", "membrane"),
    ]  # fmt: skip
    assert {layer.status for layer in layers.values()} == {"proven"}
    assert layers["spikes", "membrane"].low == 50 - 4 * 255
    assert (layers["synapse", "accumulator"].low, layers["synapse", "accumulator"].high) == (-255, 0)
    assert str(layers["readout", "membrane"]).startswith("readout: membrane proven, worst case [0, 4], ")


def test_without_images_nothing_is_measured():
    layer = _layers(_graph(-127 * 256))["spikes", "membrane"]
    assert layer.status == "unproven"
    assert layer.measured is None
    assert str(layer) == "spikes: membrane may reach [-33162190, 50], beyond 8388607; give images to measure"


def test_dark_images_stay_within_the_range():
    layer = _layers(_graph(-127 * 256), np.array([[1.0], [3.0]]))["spikes", "membrane"]
    assert layer.status == "measured"
    assert layer.measured == (50 - 4 * 3 * 127 * 256, 50 - 127 * 256)
    assert layer.images == 2
    assert layer.margin == pytest.approx(8388607 / (4 * 3 * 127 * 256 - 51))
    assert "margin 21.5; worst case [-33162190, 50] exceeds 8388607" in str(layer)


def test_bright_images_overflow_and_the_place_is_named():
    """Each register names its own first overflow, whichever came first in the network."""
    images = iter([np.array([[1.0]]), np.array([[255.0], [200.0]])])
    layers = _layers(_graph(-127 * 256), images, format=replace(_form(2**23 - 1), accumulator_max=7_000_000))
    layer = layers["spikes", "membrane"]
    assert layer.status == "overflows"
    assert layer.images == 3
    assert str(layer) == "spikes: membrane overflows 8388607: neuron [0] reaches -16581070 on image 1"
    assert str(layers["synapse", "accumulator"]) == (
        "synapse: accumulator overflows 7000000: neuron [0] reaches -8290560 on image 1"
    )
    assert layers["readout", "membrane"].status == "proven"


def test_other_limits_can_be_asked_for():
    layers = _layers(_graph(-1), np.array([[100.0]]), format=_form(500))
    assert (layers["spikes", "membrane"].status, layers["readout", "membrane"].status) == ("measured", "proven")
    layer = _layers(_graph(-1), np.array([[255.0]]), format=_form(500))["spikes", "membrane"]
    assert layer.status == "overflows"
    assert layer.detail == "neuron [0] reaches -715 on image 0"


def test_the_summary_counts():
    layers = check_ranges(_graph(-127 * 256))
    assert summary(layers) == "4 registers: 3 proven, 1 unproven"

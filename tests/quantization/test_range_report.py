"""What is known of every membrane: proven, measured with its margin, unproven, or overflowing with the place."""

from __future__ import annotations

import re

import numpy as np
import pytest

from toolchain.ir import Affine, InputNode, IntegerGraph, Population, Readout
from toolchain.quantization.range_report import check_ranges


def _graph(weight, timesteps=4):
    """One neuron of threshold 100 behind ``weight`` times a pixel, and a readout."""
    nodes = [
        InputNode("input", (1,), "uint8", 1.0),
        Affine("synapse", ("input",), (1,), (1,), np.array([[weight]]), np.zeros(1, np.int64), 8),
        Population("spikes", ("synapse",), (1,), "if", np.array([100]), np.array([50])),
        Affine("last", ("spikes",), (1,), (1,), np.ones((1, 1), np.int64), np.zeros(1, np.int64)),
        Readout("readout", ("last",), (1,), np.zeros(1, np.int64), 1.0),
    ]
    return IntegerGraph({node.name: node for node in nodes}, timesteps, "pipelined")


def _layers(graph, images=None, **options):
    return {layer.layer: layer for layer in check_ranges(graph, images, **options)}


def test_small_weights_are_proven():
    layers = _layers(_graph(-1))
    assert {layer.status for layer in layers.values()} == {"proven"}
    assert layers["spikes"].low == 50 - 4 * 255
    assert str(layers["readout"]).startswith("readout: proven, worst case [0, 4], ")


def test_without_images_nothing_is_measured():
    layer = _layers(_graph(-127 * 256))["spikes"]
    assert layer.status == "unproven"
    assert layer.measured is None
    assert str(layer) == "spikes: worst case [-33162190, 50] exceeds 8388607; give images to measure"


def test_dark_images_stay_within_the_range():
    layer = _layers(_graph(-127 * 256), np.array([[1.0], [3.0]]))["spikes"]
    assert layer.status == "measured"
    assert layer.measured == (50 - 4 * 3 * 127 * 256, 50 - 127 * 256)
    assert layer.images == 2
    assert layer.margin == pytest.approx(8388607 / (4 * 3 * 127 * 256 - 50))
    assert "margin 21.5; worst case [-33162190, 50] exceeds 8388607" in str(layer)


def test_bright_images_overflow_and_the_place_is_named():
    layer = _layers(_graph(-127 * 256), np.array([[1.0], [255.0]]))["spikes"]
    assert layer.status == "overflows"
    assert re.match(r"spikes: overflows 8388607: .*neuron \[0\] reaches -\d+ on image 1, beyond 24 bits", str(layer))


def test_other_limits_can_be_asked_for():
    layers = _layers(_graph(-1), np.array([[100.0]]), limit=500)
    assert (layers["spikes"].status, layers["readout"].status) == ("measured", "proven")
    layer = _layers(_graph(-1), np.array([[255.0]]), limit=500)["spikes"]
    assert layer.status == "overflows"
    assert layer.detail == "it reaches [-970, -205]"

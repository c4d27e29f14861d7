"""Bounds: never left by any input, attained by one, and decisive for dtypes and errors."""

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.analysis.ranges import Bound, bounds
from spikec.errors import RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.kinds import IF
from spikec.ir.operations import Convolution
from spikec.ir.types import MEMBRANE_MAX
from spikec.simulation import simulate

KINDS = [
    ("if", "pipelined", 0),
    ("if", "layerwise", 0),
    ("signed_if", "pipelined", 2),
    ("calibrated_if", "pipelined", 0),
    ("bit_serial", "layerwise", 0),
    ("graded", "layerwise", 0),
]


@pytest.mark.parametrize(("kind", "schedule", "drain"), KINDS)
@settings(max_examples=drawn(15), deadline=None)
@given(seed=st.integers(0, 2**32), small=st.booleans(), steps=st.integers(1, 5))
def test_no_membrane_leaves_its_bound(random_graph, random_images, oracle, kind, schedule, drain, seed, small, steps):
    rng = np.random.default_rng(seed)
    timesteps = 1 if kind == "graded" else steps
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=timesteps, drain=drain, small=small)
    ranges = bounds(graph)
    for name, (low, high) in oracle(graph, random_images(rng, graph, 3)).membrane.items():
        assert ranges.membranes[name].low <= low <= high <= ranges.membranes[name].high


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", ["if", "signed_if"])
def test_accumulator_bound_of_one_layer_is_attained(one_layer, dtype, kind):
    """Per neuron: positive weights with the largest inputs, negative with the smallest, and the other way round."""
    rng = np.random.default_rng(3)
    graph = one_layer(
        weight=rng.integers(-128, 128, (5, 7)), bias=rng.integers(-99, 99, 5), theta=2**22, kind=kind, timesteps=1,
        dtype=dtype, v_init=0,
    )  # fmt: skip
    bound = bounds(graph).accumulators["dense"]
    node = graph.input
    for neuron, weights in enumerate(graph.nodes["dense"].weight):
        for extreme, wanted in ((weights > 0, bound.highest), (weights < 0, bound.lowest)):
            image = np.where(extreme, node.high, node.low)[None].astype(float)
            low, high = simulate(graph, image, measure=True).membrane["neurons"]
            assert wanted[neuron] == int(weights @ image[0]) + graph.nodes["dense"].bias[neuron]
            assert low <= wanted[neuron] <= high


def test_silent_neuron_accumulates_downwards(one_layer):
    """T times the most negative current, from v_init: attained."""
    graph = one_layer(weight=[[-100]], bias=[-7], theta=50, timesteps=9)
    lowest = 25 + 9 * (-100 * 255 - 7)
    assert bounds(graph).membranes["neurons"].low == lowest
    assert simulate(graph, np.array([[255.0]]), measure=True).membrane["neurons"][0] == lowest


def test_padding_counts_only_existing_taps():
    """A corner neuron of a padded convolution has fewer inputs, so a smaller bound."""
    shape, four = (1, 4, 4), np.full((1, 4, 4), 4)
    conv = Convolution(
        "conv", ("input",), shape, shape, np.ones((1, 1, 3, 3), np.int64), np.zeros(1, np.int64), (1, 1), (1, 1), (1, 1)
    )
    neurons = Population("neurons", ("conv",), shape, IF(), four, four // 2)
    graph = IntegerGraph({n.name: n for n in (InputNode("input", shape, "uint8", 1.0), conv, neurons)}, 1, "pipelined")
    highest = bounds(graph).accumulators["conv"].highest[0]
    taps = np.array([[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]])
    np.testing.assert_array_equal(highest, 255 * taps)


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-128, 127, 8), (-129, 0, 9), (0, MEMBRANE_MAX, 24)]
)
def test_bits(low, high, bits):
    bound = Bound("n", np.array([low]), np.array([high]))
    assert bound.bits == bits
    assert bound.margin == 24 - bits


def test_fits_exactly_at_24_bits(one_layer):
    def graph(bias):
        return one_layer(weight=[[0]], bias=[bias], theta=2**22, timesteps=1, v_init=0)

    assert bounds(graph(-(2**23))).fits
    assert not bounds(graph(-(2**23) - 1)).fits


def test_beyond_62_bits_is_refused(one_layer):
    graph = one_layer(weight=[[2**60]], bias=[0], theta=1, timesteps=1)
    with pytest.raises(RangeError, match="dense: a sum may reach"):
        bounds(graph)

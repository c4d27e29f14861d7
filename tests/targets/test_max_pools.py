"""Max pools on chips and in other formats: what is counted, what a chip lacks, who refuses."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.nodes import InputNode, affine, convolution, flatten, graph_of, population, readout
from helpers.oracle import largest, window_places

import spikec as tc
from spikec.energy.counts import count
from spikec.errors import DoesNotFit, GraphError, ToolchainError
from spikec.ir.kinds import IF, Maximum
from spikec.ir.operations import MaxPool
from spikec.ir.pools import memoryless
from spikec.ir.profile.portable import portable
from spikec.targets.netx.chain import as_chain
from spikec.targets.sanafe.export import export


@pytest.fixture
def pooled(random_graph):
    """``pooled(seed, kind, ...)``: a random graph with a max pool of spikes."""
    return lambda seed, **kwargs: random_graph(np.random.default_rng(seed), maxima=True, **kwargs)


def maxima_of(graph):
    return [p for p in graph.populations if isinstance(p.neuron, Maximum)]


@pytest.mark.parametrize("seed", range(4))
def test_deliveries_are_counted_one_by_one(pooled, random_images, seed):
    graph = pooled(seed, kind="signed_if", timesteps=3, spikes=1)
    integers = random_images(np.random.default_rng(seed), graph, 3)
    trace = tc.simulate(graph, integers * graph.input.scale)
    counts = count(graph, trace)
    for node in maxima_of(graph):
        window = graph.nodes[node.sources[0]]
        events, delivered = trace.events[window.sources[0]], 0
        for row, column in np.ndindex(*window.output_shape[1:]):
            for i in window_places(window, 0, row):
                for j in window_places(window, 1, column):
                    delivered += int(events[:, :, i, j].sum())
        assert counts.populations[node.name].direct_synops == delivered
        assert counts.populations[node.name].spikes_out == int(trace.events[node.name].sum())
        assert counts.populations[node.name].kind == "max_pool"
    estimate = tc.estimate(graph, trace, profile="loihi2")
    assert np.isfinite(estimate.total.p50)


def test_what_a_pool_of_the_image_sends_is_counted_once(random_images):
    """As if the image had been pooled before."""
    rng = np.random.default_rng(0)
    window = MaxPool("window", ("input",), (2, 6, 6), (2, 3, 3), (3, 3), (2, 2), (1, 1))
    weight = rng.integers(-9, 10, (4, 2, 2, 2))
    behind = [
        population("if1", ["conv"], (4, 2, 2), theta=40),
        flatten("flat", ["if1"], (4, 2, 2)),
        affine("fc", ["flat"], rng.integers(-9, 10, (3, 16))),
        readout("readout", ["fc"], 3),
    ]
    pooled = [
        InputNode("input", (2, 6, 6), "uint8", 1 / 255),
        window,
        convolution("conv", ["window"], (2, 3, 3), weight),
    ]
    plain = [InputNode("input", (2, 3, 3), "uint8", 1 / 255), convolution("conv", ["input"], (2, 3, 3), weight)]
    graph, other = graph_of([*pooled, *behind]), graph_of([*plain, *behind])
    integers = random_images(rng, graph, 5)
    maxima = np.stack([largest(window, image) for image in integers])
    found = count(graph, tc.simulate(graph, integers / 255))
    expected = count(other, tc.simulate(other, maxima / 255))
    assert found.synapses == expected.synapses
    assert found.populations == expected.populations


@pytest.mark.parametrize(
    ("kind", "options", "free"),
    [
        ("if", {"schedule": "layerwise", "spikes": 1}, True),
        ("if", {"schedule": "pipelined", "spikes": 1, "timesteps": 1}, True),
        ("if", {"schedule": "pipelined", "spikes": 1}, False),
        ("if", {"schedule": "layerwise", "spikes": 3}, False),
        ("signed_if", {"schedule": "layerwise", "spikes": 1}, True),
        ("bit_serial", {"schedule": "layerwise"}, False),
        ("graded", {"schedule": "layerwise", "timesteps": 1}, False),
    ],
)
def test_a_chip_lacks_memory_unless_the_pool_is_the_or_of_spikes(pooled, kind, options, free):
    graph = pooled(1, kind=kind, **options)
    assert {memoryless(graph, node) for node in maxima_of(graph)} == {free}
    for chip, severity in (("loihi1", "error"), ("loihi2", "warning")):
        found = [v for v in tc.check(graph, target=chip) if v.rule == "max pool"]
        assert {v.layer for v in found} == (set() if free else {node.name for node in maxima_of(graph)})
        assert {v.severity for v in found} <= {severity}
        for violation in found:
            window = graph.nodes[graph.nodes[violation.layer].sources[0]]
            assert violation.actual == f"{window.most_in_a_window} sums per neuron"


def test_a_maximum_that_is_the_or(pooled, random_images):
    """Behind spikes that come first, one spike of the window is enough in each step."""
    graph = pooled(3, kind="if", schedule="layerwise", spikes=1, timesteps=4)
    integers = random_images(np.random.default_rng(0), graph, 3)
    trace = tc.simulate(graph, integers * graph.input.scale, record="spikes")
    for node in maxima_of(graph):
        window = graph.nodes[node.sources[0]]
        if isinstance(graph.nodes[window.sources[0]].neuron, Maximum):
            continue
        before, after = trace.spikes[window.sources[0]], trace.spikes[node.name]
        for row, column in np.ndindex(*window.output_shape[1:]):
            rows, columns = window_places(window, 0, row), window_places(window, 1, column)
            any_spike = before[:, :, :, rows][:, :, :, :, columns].any(axis=(3, 4))
            np.testing.assert_array_equal(after[:, :, :, row, column], any_spike)


@pytest.mark.parametrize("seed", range(3))
def test_placed(pooled, seed):
    graph = pooled(seed, kind="if", spikes=1)
    placement = tc.place(graph, target="loihi2")
    placed = {part.layer for core in placement.cores for part in core.slices}
    assert {node.name for node in graph.layers} == placed


def test_who_has_no_max_pool_says_so(pooled, random_images, tmp_path):
    graph = pooled(0, kind="if", spikes=1)
    with pytest.raises(DoesNotFit, match="netx has no layer for MaxPool"):
        as_chain(graph)
    with pytest.raises(GraphError, match=r"plain NIR has no (neurons of kind max_pool|max pool)"):
        portable(graph)
    trace = tc.simulate(graph, random_images(np.random.default_rng(0), graph, 1) * graph.input.scale, record="spikes")
    with pytest.raises(ToolchainError, match=r"MaxPool|max pool"):
        export(graph, tc.place(graph, target="loihi2"), trace, tmp_path)


def test_what_a_max_pool_takes_of_a_core():
    """3 x 3 windows of 2 x 2: a synapse of one bit and an axon for each of 72 neurons that 18 others read."""
    before, after = (2, 6, 6), (2, 3, 3)
    nodes = [
        InputNode("input", before, "uint8", 1.0),
        convolution("conv", ["input"], before, np.ones((2, 2, 1, 1))),
        population("if1", ["conv"], before),
        MaxPool("window", ("if1",), before, after, (2, 2), (2, 2), (0, 0)),
        population("pooled", ["window"], after, Maximum(IF()), theta=1, v_init=0),
        flatten("flat", ["pooled"], after),
        affine("fc", ["flat"], np.ones((3, 18)), np.zeros(3)),
        readout("readout", ["fc"], 3),
    ]
    placement = tc.place(graph_of(nodes, 4, "pipelined"), target="loihi1")
    (core,) = placement.cores
    used = {name: number for name, (number, _) in core.usage.items()}
    assert used == {
        "compartments": 2 * (72 + 18 + 3),
        "synapse bits": 18 * 4 + 3 * 18 * 2,  # weights of 1 take two bits
        "axons in": 72 + 18,  # into the dense layer one for each neuron
        "axons out": 72 + 18,
    }

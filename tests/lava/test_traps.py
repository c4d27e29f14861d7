"""Corners in which Lava's own processes are known to go wrong silently, with fast and with stock models."""

import numpy as np
import pytest

from spikec.errors import ToolchainError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import SignedIF
from spikec.ir.operations import Affine, Convolution, Flatten
from spikec.simulation import compare

pytestmark = pytest.mark.lava


def trap_graph(rng):
    """130 groups (Lava stores 8 bits), an even non-square kernel, negative spikes into both synapses, sums that fill
    24 bits, an all-negative matrix with -128 and a weight exponent, one source read twice."""
    nodes = {"input": InputNode("input", (130, 3, 4), "uint8", 1.0)}

    def signed(name, source, shape, theta):
        start = rng.integers(0, 10 * theta, shape)  # fires, and takes it back where its input is negative
        nodes[name] = Population(name, source, shape, SignedIF(), np.full(shape, theta), start, np.full(shape, 1))

    def conv(name, source, weight, shape, out, groups):
        bias = rng.integers(-300, 300, len(weight))
        nodes[name] = Convolution(name, (source,), shape, out, weight, bias, (1, 1), (0, 0), (1, 1), groups)

    conv("depthwise", "input", rng.integers(-128, 128, (130, 1, 1, 1)), (130, 3, 4), (130, 3, 4), 130)
    signed("p0", ("depthwise",), (130, 3, 4), 20000)
    conv("depthwise2", "p0", rng.integers(-128, 128, (130, 1, 2, 1)), (130, 3, 4), (130, 2, 4), 130)
    signed("p1", ("depthwise2",), (130, 2, 4), 100)
    weight = np.full((4, 130, 2, 3), (2**23 - 1) // (130 * 6))
    weight[0, 0, 0, 0] += (2**23 - 1) % (130 * 6)
    weight[1] *= -1
    weight[2:] = rng.integers(-128, 128, weight[2:].shape)
    conv("wide", "p1", weight, (130, 2, 4), (4, 1, 2), 1)
    signed("p2", ("wide",), (4, 1, 2), 1500)
    for name in ("flat", "flat2"):
        nodes[name] = Flatten(name, ("p2",), (4, 1, 2), (8,))
    matrix = np.full((3, 8), -128)
    matrix[1] = rng.integers(-128, 0, 8)
    nodes["fc"] = Affine("fc", ("flat", "flat2"), (8,), (3,), matrix * 4, np.array([4000, 3000, 5000]), 2)
    nodes["readout"] = Readout("readout", ("fc",), (3,), np.zeros(3, np.int64), 1.0)
    return IntegerGraph(nodes, 6, "pipelined")


def test_fast_equals_stock_equals_loops(lava, oracle):
    rng = np.random.default_rng(5)
    graph = trap_graph(rng)
    images = rng.integers(0, 256, (2, 130, 3, 4))
    images[1] = 255
    expected = oracle(graph, images)
    traces = [lava.compile(graph, stock=stock).run(images * 1.0, record="spikes") for stock in (False, True)]
    for trace in traces:
        np.testing.assert_array_equal(trace.output, expected.output)
        for name, spikes in expected.spikes.items():
            np.testing.assert_array_equal(trace.spikes[name], spikes, name)
    assert compare(*traces) is None
    assert all((expected.spikes[name] == -1).any() for name in ("p0", "p1", "p2"))


def test_chunks_and_workers_change_nothing(lava, random_graph, random_images):
    rng = np.random.default_rng(21)
    graph = random_graph(rng, kind="if", timesteps=3)
    images = random_images(rng, graph, 7) * graph.input.scale
    seen = []
    whole = lava.compile(graph).run(images)
    parts = lava.compile(graph, chunk=3, workers=2, progress=lambda done, total: seen.append((done, total))).run(images)
    assert compare(whole, parts) is None
    assert parts.images == 7
    assert seen[-1] == (7, 7)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert not whole.spikes


def test_record_is_checked(lava, random_graph):
    graph = random_graph(np.random.default_rng(0))
    with pytest.raises(ToolchainError, match="record is 'all'"):
        lava.compile(graph).run(np.zeros((1, *graph.input.shape)), record="all")

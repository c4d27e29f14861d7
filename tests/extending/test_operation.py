"""An operation from outside is written, read, simulated, bounded, counted and placed from its own file; Lava, which
needs a process for it, refuses it by name."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import nir
import numpy as np
import pytest

import spikec as tc
from spikec.analysis.ranges import bounds
from spikec.errors import GraphError, ToolchainError
from spikec.ir import Affine, Convolution, Flatten, InputNode, IntegerGraph, Population, Readout, build, decode
from spikec.ir.kinds import IF
from spikec.ir.operations.base import forget


@pytest.fixture(scope="module")
def scale() -> Iterator[ModuleType]:
    from extending import scale_operation

    scale_operation.register(scale_operation.Scale)
    yield scale_operation
    forget(scale_operation.Scale)


def network(scale, rng, factor=(3, -2, 1)) -> IntegerGraph:
    def ints(*shape):
        return rng.integers(-4, 5, shape).astype(np.int64)

    shape = (3, 4, 4)
    nodes = (
        InputNode("input", (1, 4, 4), "uint8", 1.0),
        Convolution("conv", ("input",), (1, 4, 4), shape, ints(3, 1, 3, 3), ints(3), (1, 1), (1, 1), (1, 1)),
        Population("fire", ("conv",), shape, IF(), np.full(shape, 9), np.full(shape, 4)),
        scale.Scale("scale", ("fire",), shape, shape, np.array(factor, np.int64)),
        Flatten("flat", ("scale",), shape, (48,)),
        Affine("head", ("flat",), (48,), (5,), ints(5, 48), ints(5)),
        Readout("readout", ("head",), (5,), np.zeros(5, np.int64), 1.0),
    )
    return IntegerGraph({node.name: node for node in nodes}, 3, "pipelined")


def test_a_file_keeps_it_and_notices_an_edit(scale, tmp_path):
    graph = network(scale, np.random.default_rng(0))
    tc.save(build(graph), tmp_path / "net.nir")
    read = decode(tc.load(tmp_path / "net.nir"))
    assert (read.nodes["scale"].factor == [3, -2, 1]).all()
    edited = build(graph)
    edited.nodes["scale"] = nir.Scale(scale=np.full((3, 4, 4), 2, np.float32))
    with pytest.raises(GraphError, match="content_sha256"):
        decode(edited)
    edited.nodes["scale"] = nir.Scale(scale=np.full((3, 4, 4), 0.5, np.float32))
    with pytest.raises(GraphError, match="not integers"):
        decode(edited)


@pytest.mark.parametrize("measure", [False, True])
def test_it_computes_what_it_says_within_its_range(scale, measure):
    rng = np.random.default_rng(1)
    graph = network(scale, rng)
    images = rng.integers(0, 6, (5, 1, 4, 4)).astype(np.float32)
    trace = tc.simulate(graph, images, record="spikes", measure=measure)
    scaled = trace.spikes["fire"].astype(np.int64) * np.array([3, -2, 1]).reshape(1, 1, 3, 1, 1)
    head = graph.nodes["head"]
    expected = (scaled.reshape(5, 3, 48) @ head.weight.T + head.bias).sum(1)
    assert (trace.output == expected).all()
    bound = bounds(graph).accumulators["scale"]
    assert (bound.low, bound.high) == (-2, 3)


def test_its_events_are_counted_and_it_is_placed(scale):
    rng = np.random.default_rng(2)
    graph = network(scale, rng, factor=(3, 0, 1))
    images = rng.integers(0, 6, (5, 1, 4, 4)).astype(np.float32)
    trace = tc.simulate(graph, images)
    events = trace.counts["fire"].sum((0, 2, 3))
    assert tc.estimate(graph, trace).counts.synapses["head"].synops == 5 * (events[0] + events[2])
    assert len(tc.place(graph, "loihi2").cores) == 1
    assert "scale" in tc.decode(build(graph)).nodes


@pytest.mark.lava
def test_lava_refuses_it_by_name(scale):
    graph = network(scale, np.random.default_rng(3))
    with pytest.raises(ToolchainError, match="Scale"):
        tc.compile(graph, target="lava")

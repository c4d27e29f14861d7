"""A kind from outside gets right counts, range, certificate and energy from its own file and two registrations, and a
sentence wherever it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.analysis.ranges import bounds
from spikec.errors import GraphError, ToolchainError
from spikec.implementations import TABLES
from spikec.ir import Affine, InputNode, IntegerGraph, Population, Readout, build, decode
from spikec.ir.kinds.registering import forget


@pytest.fixture(scope="module")
def burst() -> Iterator[ModuleType]:
    """The toy kind, known for the time of these tests."""
    from extending import burst_kind

    burst_kind.register(burst_kind.BurstIF)
    yield burst_kind
    forget(burst_kind.BurstIF)


def network(neuron, rng, *, timesteps=3, outputs=4) -> IntegerGraph:
    def ints(low, high, *shape):
        return rng.integers(low, high + 1, shape).astype(np.int64)

    nodes = (
        InputNode("input", (3,), "uint8", 1.0),
        Affine("in", ("input",), (3,), (5,), ints(-9, 9, 5, 3), ints(-5, 5, 5)),
        Population("first", ("in",), (5,), neuron, ints(1, 12, 5), ints(-5, 9, 5)),
        Affine("between", ("first",), (5,), (6,), ints(-9, 9, 6, 5), ints(-5, 5, 6)),
        Population("second", ("between",), (6,), neuron, ints(1, 12, 6), ints(-5, 9, 6)),
        Affine("out", ("second",), (6,), (outputs,), ints(-9, 9, outputs, 6), ints(-5, 5, outputs)),
        Readout("readout", ("out",), (outputs,), np.zeros(outputs, np.int64), 1.0),
    )
    return IntegerGraph({node.name: node for node in nodes}, timesteps, "pipelined")


def loops(graph, image):
    """Plain loops over the definition: emissions [T, neurons] by layer, membranes, output."""
    nodes = graph.nodes
    state = {p.name: [int(v) for v in p.v_init] for p in graph.populations}
    trains, membranes = {p.name: [] for p in graph.populations}, {p.name: [] for p in graph.populations}
    output = np.zeros(graph.readout.shape, np.int64)
    for _ in range(graph.timesteps):
        x = image
        for synapse, layer in (("in", "first"), ("between", "second")):
            z = nodes[synapse].weight @ x + nodes[synapse].bias
            sent = []
            for i, theta in enumerate(nodes[layer].theta):
                m = state[layer][i] + int(z[i])
                k = min(max(m // int(theta), 0), 3)
                membranes[layer].append(m)
                state[layer][i] = m - k * int(theta)
                sent.append(k)
            trains[layer].append(sent)
            x = np.array(sent)
        output = output + nodes["out"].weight @ x + nodes["out"].bias
    return {name: np.array(train) for name, train in trains.items()}, membranes, output


@settings(max_examples=drawn(40), deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_counts_range_and_energy_are_those_of_plain_loops(burst, seed):
    rng = np.random.default_rng(seed)
    graph = network(burst.BurstIF(), rng)
    integers = rng.integers(0, 8, (4, 3))
    for each in (graph, decode(build(graph))):
        trace = tc.simulate(each, integers.astype(np.float32), record="spikes")
        ranges = bounds(each)
        counts = tc.estimate(each, trace).counts
        synops = {"between": 0, "out": 0}
        for number, image in enumerate(integers):
            trains, membranes, output = loops(each, image)
            assert (trace.output[number] == output).all()
            for layer, train in trains.items():
                assert (trace.spikes[layer][number] == train).all()
                assert (trace.counts[layer][number] == train.sum(0)).all()
                assert ranges.membranes[layer].low <= min(membranes[layer])
                assert max(membranes[layer]) <= ranges.membranes[layer].high
            synops["between"] += int((trains["first"] != 0).sum()) * 6
            synops["out"] += int((trains["second"] != 0).sum()) * 4
        for name, expected in synops.items():
            assert counts.synapses[name].synops == expected
            assert counts.synapses[name].mac == expected, "payloads are multiplied"
        assert counts.populations["first"].payload_bits == 2


def test_the_range_knows_that_three_may_arrive(burst):
    """A synapse of weight 6 from one neuron brings up to 18 in a step, not 6."""
    graph = network(burst.BurstIF(), np.random.default_rng(0))
    six = replace(graph.nodes["between"], weight=np.eye(6, 5, dtype=np.int64) * 6, bias=np.zeros(6, np.int64))
    nodes = {**graph.nodes, "between": six}
    assert bounds(replace(graph, nodes=nodes)).accumulators["between"].high == 18


def test_the_certificate_counts_levels_up_to_three_in_a_step(burst):
    """One step: a count is its level, up to 3, and the proof is the kind's own. More steps: measured, never proven."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 8, (40, 3)).astype(np.float32)
    single = tc.certify(network(burst.BurstIF(), rng, timesteps=1), images)
    assert single.lossless
    assert single.proof == "in a single step neurons fire their level"
    several = tc.certify(network(burst.BurstIF(), rng, timesteps=3), images)
    assert several.proof == ""
    assert not several.lossless
    assert max(layer.largest for layer in several.layers) > 0


def test_it_fits_a_chip_with_payloads_and_not_one_with_binary_spikes(burst):
    graph = network(burst.BurstIF(), np.random.default_rng(0))
    refused = [v for v in tc.check(graph, target="loihi1") if v.severity == "error"]
    assert any(v.rule == "neuron kind" and v.actual == "burst_if" for v in refused)
    assert not [v for v in tc.check(graph, target="loihi2") if v.severity == "error"]


def test_where_code_is_missing_a_sentence_says_so(burst):
    """Every table that has no entry for the kind names the kind; none falls through to another rule."""
    kind = burst.BurstIF()
    for table in TABLES:
        if issubclass(type(kind), table.of) and kind not in table:
            with pytest.raises(ToolchainError, match="burst_if"):
                table(kind)


def test_layerwise_is_refused_by_name(burst):
    graph = replace(network(burst.BurstIF(), np.random.default_rng(0)), schedule="layerwise")
    assert any("burst_if" in str(problem) for problem in tc.verify(build(graph)))
    with pytest.raises(GraphError, match="burst_if"):
        tc.simulate(graph, np.zeros((1, 3), np.float32))

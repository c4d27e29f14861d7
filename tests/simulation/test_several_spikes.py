"""Several spikes per step: ``if`` and ``signed_if`` with K > 1, in both engines, against plain loops and ``graded``."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.nir_executor import execute_nir
from helpers.traces import equals_loops
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.analysis.charging import _reset, _taken_back
from spikec.analysis.intervals import Interval
from spikec.analysis.ranges import bounds
from spikec.errors import GraphError, RangeError
from spikec.ir import build, decode
from spikec.ir.kinds import IF, GradedIF, SignedIF
from spikec.simulation import simulate
from spikec.simulation.collect import check_counts
from spikec.simulation.engines import counts_by_layer as layers
from spikec.simulation.engines.counts_by_step import CountsByStep
from spikec.simulation.golden import GoldenModel

CASES = [
    ("if", "pipelined", 0),
    ("if", "layerwise", 0),
    ("signed_if", "pipelined", 0),
    ("signed_if", "pipelined", 3),
    ("signed_if", "layerwise", 0),
]
MIXED = (1, 2, 3, 7, 200)  # K differs by layer
MOST = st.sampled_from([1, 2, 3, 7, 200])
SEEDS = st.integers(0, 2**32)


def steps_in(trace, graph, expected):
    """Everything of a trace that the oracle knows, the proven ranges, and the smallest type for its rasters."""
    equals_loops(trace, graph, expected)
    for name in expected.spikes:
        most = graph.nodes[name].neuron.spikes
        assert trace.spikes[name].dtype == (np.int16 if most > 127 else np.int8)


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=drawn(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=SEEDS,
    timesteps=st.integers(1, 5),
    most=MOST | st.just(MIXED),
    small=st.booleans(),
    spread=st.sampled_from([1, 1, 30]),
)
def test_both_engines_are_plain_loops(random_graph, random_images, oracle, case, seed, timesteps, most, small, spread):
    """``spread``: membranes that start far above and far below the threshold."""
    rng = np.random.default_rng(seed)
    kind, schedule, drain = case
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=timesteps, drain=drain, small=small, spikes=most)
    far = {
        p.name: replace(p, v_init=p.v_init + (spread - 1) * rng.integers(-3, 4, p.shape) * p.theta)
        for p in graph.populations
    }
    graph = replace(graph, nodes={**graph.nodes, **far})
    integers = random_images(rng, graph, 3)
    expected = oracle(graph, integers)
    images = integers * graph.input.scale
    for few in (layers._FEW, 0):  # layer after layer, and step after step
        with mock.patch.object(layers, "_FEW", few):
            model = GoldenModel(graph)
        assert (
            isinstance(model.engine, CountsByStep)
            or not bounds(graph).fits
            or np.max(most) * timesteps > 200
            or not small
        )
        steps_in(model.run(images, record="spikes"), graph, expected)
    steps_in(simulate(graph, images, record="spikes", measure=True), graph, expected)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("most", [2, 7])
def test_the_fast_path_runs_them(random_graph, case, most):
    kind, schedule, drain = case
    graph = random_graph(np.random.default_rng(0), kind=kind, schedule=schedule, timesteps=3, drain=drain, spikes=most)
    assert isinstance(GoldenModel(graph).engine, CountsByStep)


@settings(max_examples=drawn(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, most=MOST, timesteps=st.integers(1, 4))
def test_beside_neurons_that_start_over(random_graph, random_images, oracle, seed, most, timesteps):
    """A calibrated layer among layers of K spikes: all run layer after layer."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind="calibrated_if", timesteps=timesteps)
    several = {p.name: replace(p, neuron=IF(spikes=most)) for p in graph.populations[1:]}
    graph = replace(graph, nodes={**graph.nodes, **several})
    integers = random_images(rng, graph, 2)
    expected = oracle(graph, integers)
    for measure in (False, True):
        trace = simulate(graph, integers * graph.input.scale, record="spikes", measure=measure)
        for name, spikes in expected.spikes.items():
            np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
            np.testing.assert_array_equal(trace.events[name], expected.events[name], err_msg=name)
        np.testing.assert_array_equal(trace.output, expected.output)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("most", [1, 3, 200, MIXED])
def test_the_file_is_executed_alike(random_graph, random_images, tmp_path, case, most):
    """Through the file: what it holds, read by an executor of its own."""
    kind, schedule, drain = case
    for seed in range(4):
        rng = np.random.default_rng(seed)
        graph = random_graph(
            rng, kind=kind, schedule=schedule, timesteps=3, drain=drain, spikes=most, small=bool(seed % 2)
        )
        if any(getattr(node, "groups", 1) != 1 for node in graph):
            continue  # the executor does not know them
        images = random_images(rng, graph, 2) * graph.input.scale
        loaded = tc.load(tc.save(build(graph), tmp_path / "net.nir"))
        spikes = [p.neuron.spikes for p in graph.populations]
        assert [p.neuron.spikes for p in decode(loaded).populations] == spikes
        assert most in (MIXED, spikes[0])
        trace, found = simulate(loaded, images, record="spikes"), execute_nir(loaded, images)
        for name, spikes in found.spikes.items():
            np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(trace.output, found.output)


@settings(max_examples=drawn(40), deadline=None)
@given(
    seed=SEEDS, most=MOST, kind=st.sampled_from([IF, SignedIF]), schedule=st.sampled_from(["pipelined", "layerwise"])
)
def test_one_step_is_graded(random_graph, random_images, seed, most, kind, schedule):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind="graded", schedule="layerwise", timesteps=1)
    integers = random_images(rng, graph, 3)
    several, levels = (
        replace(graph, nodes={**graph.nodes, **{p.name: replace(p, neuron=neuron) for p in graph.populations}})
        for neuron in (kind(spikes=most), GradedIF(levels=most))
    )
    images = integers * graph.input.scale
    trace = simulate(replace(several, schedule=schedule), images, record="spikes")
    expected = simulate(levels, images, record="spikes")
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes)
        np.testing.assert_array_equal(trace.events[name], expected.events[name])
    np.testing.assert_array_equal(trace.output, expected.output)
    certificate = tc.certify(replace(several, schedule=schedule), images)
    assert certificate.lossless
    assert certificate.proof


@pytest.mark.parametrize("kind", ["if", "signed_if"])
@pytest.mark.parametrize("most", [2, 5])
def test_layerwise_sends_its_level_in_full_steps(one_layer, kind, most):
    """K, K, ..., the rest, 0."""
    graph = one_layer(
        weight=[[1]], bias=[0], theta=4, kind=kind, timesteps=3, schedule="layerwise", v_init=2, spikes=most
    )
    images = np.arange(0, 40)[:, None]
    trace = simulate(graph, images.astype(float), record="spikes")
    level = np.clip((2 + 3 * images[:, 0]) // 4, 0, 3 * most)
    rest = np.clip(level[:, None] - most * np.arange(3), 0, most)
    np.testing.assert_array_equal(trace.spikes["neurons"][:, :, 0], rest)
    assert tc.certify(graph, images.astype(float)).proof == "layer-synchronous neurons fire their level exactly"


def test_a_drained_network_of_several_spikes_is_proven_lossless(random_graph, random_images):
    rng = np.random.default_rng(5)
    graph = random_graph(rng, kind="signed_if", timesteps=3, drain=3 * 8, spikes=4)
    nodes = {p.name: replace(p, neuron=SignedIF(spikes=4)) for p in graph.populations}
    graph = replace(graph, nodes={**graph.nodes, **nodes})
    certificate = tc.certify(graph, random_images(rng, graph, 6) * graph.input.scale)
    assert certificate.lossless
    assert "drain" in certificate.proof


@pytest.mark.parametrize("neuron", [IF(spikes=5), SignedIF(spikes=5)], ids=str)
def test_an_emission_is_one_event_that_is_multiplied(one_layer, neuron):
    graph = one_layer(weight=[[1]], bias=[0], theta=4, kind=neuron.name, timesteps=3, v_init=0, spikes=5)
    trace = simulate(graph, np.array([[13.0]]), record="spikes")
    assert trace.spikes["neurons"].ravel().tolist() == [3, 3, 3]
    counts = tc.estimate(graph, trace).counts
    (synapse,) = (counts.synapses[s.name] for s in graph.synapses if "neurons" in s.sources)
    assert (synapse.synops, synapse.mac) == (3, 3)
    assert counts.populations["neurons"].payload_bits == 3 + (neuron.name == "signed_if")


_ENDS = st.integers(-40, 60)


@settings(max_examples=drawn(300), deadline=None)
@given(low=_ENDS, width=st.integers(0, 60), theta=st.integers(1, 9), most=st.integers(1, 5))
def test_resets_of_an_interval_are_as_tight_as_can_be(low, width, theta, most):
    m = np.arange(low, low + width + 1)
    left = m - np.clip(m // theta, 0, most) * theta
    found = _reset(Interval(np.array([m[0]]), np.array([m[-1]])), np.array([theta]), most)
    assert (found.low[0], found.high[0]) == (left.min(), left.max())
    negative = m[m < 0]
    if len(negative):
        given_back = negative + np.minimum(-(negative // theta), most) * theta
        ends = np.array([negative[0]]), np.array([negative[-1]])
        assert _taken_back(*ends, np.array([theta]), most)[0] == given_back.max()


@settings(max_examples=drawn(200), deadline=None)
@given(low=_ENDS, width=st.integers(0, 60), theta=st.integers(1, 9))
def test_ranges_of_single_spikes_are_what_they_were(low, width, theta):
    """The formula of one spike per step, written out."""
    high = low + width
    if high < theta:
        expected = (low, high)
    elif low < theta:
        expected = (min(low, 0), max(theta - 1, high - theta))
    else:
        expected = (low - theta, high - theta)
    found = _reset(Interval(np.array([low]), np.array([high])), np.array([theta]), 1)
    assert (found.low[0], found.high[0]) == expected
    if high < 0:
        assert _taken_back(np.array([low]), np.array([high]), np.array([theta]), 1)[0] == high + theta


@pytest.mark.parametrize(("kind", "low"), [("if", 0), ("signed_if", -42)])
def test_the_range_knows_how_much_may_arrive(one_layer, kind, low):
    """A synapse of weight 6 brings 6 K in a step, and -6 K where spikes can be taken back."""
    graph = one_layer(weight=[[1]], bias=[0], theta=4, kind=kind, spikes=7)
    six = replace(graph.nodes["copy"], weight=np.array([[6]]))
    found = bounds(replace(graph, nodes={**graph.nodes, "copy": six})).accumulators["copy"]
    assert (found.low, found.high) == (low, 42)


def test_early_exit_bounds_what_several_spikes_can_add(one_layer):
    graph = one_layer(weight=[[0], [0]], bias=[0, 0], theta=100, kind="if", timesteps=3, v_init=0, spikes=7)
    readout = graph.readout
    for ahead, steps in ((14, 1), (13, 2), (6, 3)):
        start = replace(readout, v_init=np.array([ahead, 0]))
        found = simulate(
            replace(graph, nodes={**graph.nodes, readout.name: start}), np.zeros((1, 1)), early_exit="margin"
        )
        assert found.steps.tolist() == [steps], ahead


def test_counts_beyond_32_bits_are_refused(one_layer):
    graph = one_layer(weight=[[1]], bias=[0], theta=1, kind="if", timesteps=2**17, spikes=2**15 - 1)
    with pytest.raises(RangeError, match="neurons: a count may reach 4294836224, beyond 2147483647; use fewer steps"):
        check_counts(graph)
    with pytest.raises(GraphError, match="timesteps is 131072, it must be between 1 and 32768"):
        simulate(graph, np.zeros((1, 1)))


def test_limits_of_counts_are_not_rounded(one_layer):
    """K T is 16785410, which float32 does not hold beside odd numbers: a neuron that has sent all stays silent."""
    graph = one_layer(weight=[[0]], bias=[0], theta=1, kind="signed_if", timesteps=515, v_init=2**25, spikes=32593)
    assert bounds(graph).magnitudes["neurons"] >= 515 * 32593 > 2**24
    trace = simulate(graph, np.zeros((1, 1)), record="spikes")
    np.testing.assert_array_equal(trace.counts["neurons"], [[515 * 32593]])
    assert set(trace.spikes["neurons"].ravel().tolist()) == {32593}

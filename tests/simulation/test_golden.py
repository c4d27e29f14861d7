"""The golden model against the oracle, on random graphs of every kind."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from toolchain.ir.integer import Affine, Convolution, Population
from toolchain.simulation import simulate

CASES = [
    ("if", "pipelined", 0),
    ("if", "layerwise", 0),
    ("signed_if", "pipelined", 0),
    ("signed_if", "pipelined", 3),
    ("signed_if", "layerwise", 0),
    ("calibrated_if", "pipelined", 0),
    ("bit_serial", "layerwise", 0),
    ("graded", "layerwise", 0),
]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_equal(trace, expected, graph, *, measured):
    np.testing.assert_array_equal(trace.output, expected.output)
    assert trace.output.dtype == np.int64
    for p in graph.populations:
        np.testing.assert_array_equal(trace.spikes[p.name], expected.spikes[p.name], err_msg=p.name)
        np.testing.assert_array_equal(trace.counts[p.name], expected.counts[p.name], err_msg=p.name)
        np.testing.assert_array_equal(trace.events[p.name], expected.events[p.name], err_msg=p.name)
    if expected.curve is None:
        assert trace.output_curve is None
    else:
        np.testing.assert_array_equal(trace.output_curve, expected.curve)
    assert trace.overflows == expected.overflows
    if measured:
        assert trace.membrane == expected.membrane


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), small=st.booleans(), timesteps=st.integers(1, 5), threads=st.sampled_from((1, 2)))
def test_equals_the_oracle(random_graph, random_images, oracle, kind, schedule, drain, seed, small, timesteps, threads):
    rng = np.random.default_rng(seed)
    steps = 1 if kind == "graded" else timesteps
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=steps, drain=drain, small=small)
    integers = random_images(rng, graph, 2)
    expected = oracle(graph, integers)
    for measure in (False, True):
        trace = simulate(
            graph, integers * graph.input.scale, record="spikes", measure=measure, batch=2, threads=threads
        )
        assert_equal(trace, expected, graph, measured=measure)


@pytest.mark.parametrize("bits", [22, 38])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_wide_numbers(random_graph, random_images, oracle, bits, seed):
    """Scaled by 2**bits, sums leave float32 or float64; spikes stay."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    nodes, shift = {}, {}
    for node in graph:
        arriving = {shift[source] for source in node.sources}
        assume(len(arriving) <= 1)  # a direct connection beside a synapse would need a weight
        shift[node.name] = max(arriving, default=0)
        if isinstance(node, Convolution | Affine):
            shift[node.name] = bits
            node = replace(node, weight=node.weight << (bits - max(arriving)), bias=node.bias << bits)
        elif isinstance(node, Population):
            shift[node.name] = 0
            node = replace(node, theta=node.theta << bits, v_init=node.v_init << bits)
        nodes[node.name] = node
    integers = random_images(rng, graph, 2)
    expected = oracle(graph, integers)
    trace = simulate(replace(graph, nodes=nodes), integers * graph.input.scale, record="spikes")
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes)
        assert trace.membrane[name] == tuple(m << bits for m in expected.membrane[name])

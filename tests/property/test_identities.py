"""Identities P1 to P5 of docs/methods.md, through the simulator, on random networks.

``n*`` is the level of the quantised ANN: clip(floor((U + v_init) / theta), 0, T), U being the input over all steps.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.ir.integer import Affine, Convolution, Flatten, Population, Readout
from toolchain.simulation import simulate

SEEDS = st.integers(0, 2**32)
STEPS = st.integers(1, 6)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_populations(graph, timesteps, schedule, drain=0, **changes):
    """The same graph with other neurons."""
    nodes = {n.name: replace(n, **changes) if isinstance(n, Population) else n for n in graph}
    return replace(graph, nodes=nodes, timesteps=timesteps, schedule=schedule, drain=drain)


def with_input_repeated(graph, times):
    """Biases, and weights that read the image, times ``times``: what T steps of constant input add up to."""
    nodes = {}
    for node in graph:
        if isinstance(node, Convolution | Affine):
            weight = node.weight * times if "input" in node.sources else node.weight
            node = replace(node, weight=weight, bias=node.bias * times)
        nodes[node.name] = node
    return replace(graph, nodes=nodes)


def run(graph, integers, **options):
    return simulate(graph, integers * graph.input.scale, **options)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, timesteps=STEPS, small=st.booleans())
def test_p3_signed_neurons_with_memory_and_drain_are_lossless(random_graph, random_images, seed, timesteps, small):
    """Drained for T steps per layer, every layer reaches the level of the quantised ANN."""
    rng = np.random.default_rng(seed)
    base = random_graph(rng, kind="if", timesteps=timesteps, small=small)
    integers = random_images(rng, base, 3)
    depth = len(base.populations)
    signed = with_populations(base, timesteps, "pipelined", drain=depth * timesteps, kind="signed_if")
    levels = with_populations(base, 1, "layerwise", kind="graded", levels=timesteps)
    expected = run(with_input_repeated(levels, timesteps), integers)
    trace = run(signed, integers)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(trace.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(trace.output, expected.output)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, timesteps=STEPS, small=st.booleans())
def test_p5_layerwise_is_lossless(random_graph, random_images, seed, timesteps, small):
    rng = np.random.default_rng(seed)
    spiking = random_graph(rng, kind="if", schedule="layerwise", timesteps=timesteps, small=small)
    integers = random_images(rng, spiking, 3)
    levels = with_populations(spiking, 1, "layerwise", kind="graded", levels=timesteps)
    expected = run(with_input_repeated(levels, timesteps), integers)
    trace = run(spiking, integers)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(trace.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(trace.output, expected.output)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, bits=STEPS, small=st.booleans())
def test_p4_bit_serial_emits_the_binary_number_of_the_level(random_graph, random_images, seed, bits, small):
    rng = np.random.default_rng(seed)
    serial = random_graph(rng, kind="bit_serial", schedule="layerwise", timesteps=bits, small=small)
    integers = random_images(rng, serial, 3)
    levels = with_populations(serial, 1, "layerwise", kind="graded", levels=2**bits - 1)
    expected = run(levels, integers)
    trace = run(serial, integers, record="spikes")
    for name, counts in expected.counts.items():
        powers = 2 ** np.arange(bits - 1, -1, -1)
        number = np.tensordot(trace.spikes[name], powers, axes=(1, 0))
        np.testing.assert_array_equal(number, counts, err_msg=name)
    np.testing.assert_array_equal(trace.output, expected.output)


def test_p4_saturates_below_the_power_of_two(one_layer):
    """With 2**T instead of 2**T - 1 as the largest level, the identity is wrong."""
    graph = one_layer(weight=[[4]], bias=[0], theta=4, kind="bit_serial", timesteps=3, schedule="layerwise")
    trace = run(graph, np.array([[7], [8], [200]]), record="spikes")
    np.testing.assert_array_equal(trace.spikes["neurons"][:, :, 0], [[1, 1, 1]] * 3)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, timesteps=STEPS)
def test_p1_p2_calibration_removes_one_offset_spike(random_graph, random_images, seed, timesteps):
    """With rho = T and the same input, |count - n*| falls by exactly one where it was not zero.

    P1 says on which side of n* a count lies, P2 that the shift moves it by one.
    """
    rng = np.random.default_rng(seed)
    plain = random_graph(rng, kind="if", timesteps=timesteps)
    integers = random_images(rng, plain, 3)
    last = plain.populations[-1].name
    nodes = {**plain.nodes, last: replace(plain.nodes[last], kind="calibrated_if", rho=timesteps)}
    before = run(plain, integers).counts[last].astype(int)
    after = run(replace(plain, nodes=nodes), integers).counts[last].astype(int)
    node = plain.nodes[last]
    level = np.clip((accumulated_input(plain, integers, node) + node.v_init) // node.theta, 0, timesteps)
    np.testing.assert_array_equal(abs(after - level), np.maximum(abs(before - level) - 1, 0))


def accumulated_input(graph, integers, node):
    """U of one population [N, *shape], read off a readout that is put in its place."""
    order = list(graph.nodes)
    kept = {name: graph.nodes[name] for name in order[: order.index(node.name)]}
    size = int(np.prod(node.shape))
    flats = {f"flat{i}": source for i, source in enumerate(node.sources)}
    kept |= {name: Flatten(name, (source,), node.shape, (size,)) for name, source in flats.items()}
    kept["total"] = Readout("total", tuple(flats), (size,), np.zeros(size, np.int64), 1.0)
    return run(replace(graph, nodes=kept), integers).output.reshape(-1, *node.shape)

"""Identities P1 to P7 of docs/methods.md, through the simulator, on random networks.

``n*`` is the level of the quantised ANN: clip(floor((U + v_init) / theta), 0, T), U being the input over all steps.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from helpers.drawn import drawn
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikec.analysis.ranges import bounds
from spikec.ir.graph import Population, Readout
from spikec.ir.kinds import CalibratedIF, GradedIF, SignedIF
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool
from spikec.simulation import simulate

SEEDS = st.integers(0, 2**32)
STEPS = st.integers(1, 6)
SPIKES = st.sampled_from([1, 1, 2, 3, 7, 200])


def with_populations(graph, neuron, timesteps, schedule, drain=0):
    """The same graph with neurons of another kind."""
    nodes = {n.name: replace(n, neuron=neuron) if isinstance(n, Population) else n for n in graph}
    return replace(graph, nodes=nodes, timesteps=timesteps, schedule=schedule, drain=drain)


def levels_of(graph):
    """The quantised network: every population as one of levels, as many as its T steps can send."""
    levels = {p.name: replace(p, neuron=GradedIF(p.neuron.emission[1] * graph.timesteps)) for p in graph.populations}
    return replace(graph, nodes={**graph.nodes, **levels}, timesteps=1, schedule="layerwise", drain=0)


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


@settings(max_examples=drawn(30), deadline=None)
@given(seed=SEEDS, timesteps=STEPS, small=st.booleans(), spikes=SPIKES)
def test_p3_signed_neurons_with_memory_and_drain_are_lossless(
    random_graph, random_images, seed, timesteps, small, spikes
):
    """Drained for T steps per layer, every layer reaches the level of the quantised ANN."""
    rng = np.random.default_rng(seed)
    base = random_graph(rng, kind="if", timesteps=timesteps, small=small)
    integers = random_images(rng, base, 3)
    depth = len(base.populations)
    signed = with_populations(base, SignedIF(spikes=spikes), timesteps, "pipelined", drain=depth * timesteps)
    expected = run(with_input_repeated(levels_of(signed), timesteps), integers)
    trace = run(signed, integers)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(trace.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(trace.output, expected.output)


@settings(max_examples=drawn(30), deadline=None)
@given(
    seed=SEEDS,
    timesteps=STEPS,
    small=st.booleans(),
    spikes=SPIKES | st.just((1, 2, 5)),
    kind=st.sampled_from(["if", "signed_if"]),
)
def test_p5_layerwise_is_lossless(random_graph, random_images, seed, timesteps, small, spikes, kind):
    rng = np.random.default_rng(seed)
    spiking = random_graph(rng, kind=kind, schedule="layerwise", timesteps=timesteps, small=small, spikes=spikes)
    integers = random_images(rng, spiking, 3)
    expected = run(with_input_repeated(levels_of(spiking), timesteps), integers)
    trace = run(spiking, integers)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(trace.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(trace.output, expected.output)


@settings(max_examples=drawn(30), deadline=None)
@given(seed=SEEDS, bits=STEPS, small=st.booleans())
def test_p4_bit_serial_emits_the_binary_number_of_the_level(random_graph, random_images, seed, bits, small):
    rng = np.random.default_rng(seed)
    serial = random_graph(rng, kind="bit_serial", schedule="layerwise", timesteps=bits, small=small)
    integers = random_images(rng, serial, 3)
    levels = with_populations(serial, GradedIF(2**bits - 1), 1, "layerwise")
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


@settings(max_examples=drawn(60), deadline=None)
@given(seed=SEEDS, timesteps=STEPS)
def test_p1_p2_calibration_removes_one_offset_spike(random_graph, random_images, seed, timesteps):
    """With rho = T and the same input, |count - n*| falls by exactly one where it was not zero.

    P1 says on which side of n* a count lies, P2 that the shift moves it by one.
    """
    rng = np.random.default_rng(seed)
    plain = random_graph(rng, kind="if", timesteps=timesteps, spikes=1)
    integers = random_images(rng, plain, 3)
    last = plain.populations[-1].name
    nodes = {**plain.nodes, last: replace(plain.nodes[last], neuron=CalibratedIF(timesteps))}
    before = run(plain, integers).counts[last].astype(int)
    after = run(replace(plain, nodes=nodes), integers).counts[last].astype(int)
    node = plain.nodes[last]
    level = np.clip((accumulated_input(plain, integers, node) + node.v_init) // node.theta, 0, timesteps)
    np.testing.assert_array_equal(abs(after - level), np.maximum(abs(before - level) - 1, 0))


@settings(max_examples=drawn(40), deadline=None)
@given(seed=SEEDS, timesteps=STEPS, small=st.booleans())
def test_p1_p2_residual_and_shift_by_one(random_graph, random_images, seed, timesteps, small):
    """The membranes of the last population, followed step by step, tell its level (P1) and the shift of v_init that
    moves every count by exactly one (P2)."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind="if", timesteps=timesteps, small=small, spikes=1)
    integers = random_images(rng, graph, 1)
    node = graph.populations[-1]
    spikes = run(graph, integers, record="spikes").spikes[node.name][0].astype(int)
    received = received_input(graph, integers, node)[0]
    v, m = node.v_init, []
    for z, s in zip(np.diff(received, axis=0, prepend=0), spikes, strict=True):
        m.append(v + z)
        np.testing.assert_array_equal(s, m[-1] >= node.theta)
        v = m[-1] - s * node.theta
    n, m = spikes.sum(0), np.array(m)
    level = np.clip((received[-1] + node.v_init) // node.theta, 0, timesteps)
    np.testing.assert_array_equal(np.clip(n + v // node.theta, 0, timesteps), level)

    never = np.int64(2**40)
    least_fired = np.where(spikes == 1, m, never).min(0)
    most_silent = np.where(spikes == 0, m, -never).max(0)
    down = np.maximum(node.theta, least_fired - node.theta + 1)
    up = np.maximum(node.theta, node.theta - most_silent)
    for moves, shift, change in ((n > 0, -down, -1), (n < timesteps, up, 1)):
        moved = replace(node, v_init=node.v_init + np.where(moves, shift, 0))
        counts = run(replace(graph, nodes={**graph.nodes, node.name: moved}), integers).counts[node.name][0]
        np.testing.assert_array_equal(counts, n + np.where(moves, change, 0))


@settings(max_examples=drawn(30), deadline=None)
@given(seed=SEEDS, timesteps=STEPS)
def test_p6_shifted_batch_norm(random_graph, random_images, seed, timesteps):
    """Batch norm at every step, with beta / T + (1 - 1/T) gamma mean / sd in place of beta, is batch norm once."""
    rng = np.random.default_rng(seed)
    base = random_graph(rng, kind="if", schedule="layerwise", timesteps=timesteps)
    integers = random_images(rng, base, 3)
    each_step, once = {}, {}
    for node in base:
        each_step[node.name] = once[node.name] = node
        if isinstance(node, Convolution | Affine):
            outputs = len(node.bias)
            gain, mean = rng.integers(1, 4, outputs), rng.integers(-5, 6, outputs)  # gain: gamma / sd
            shifted = rng.integers(-4, 5, outputs)
            beta = timesteps * shifted - (timesteps - 1) * gain * mean
            weight = node.weight * gain.reshape(-1, *[1] * (node.weight.ndim - 1))
            each_step[node.name] = replace(node, weight=weight, bias=shifted - gain * mean)
            repeats = timesteps if "input" in node.sources else 1
            once[node.name] = replace(node, weight=weight * repeats, bias=beta - gain * mean)
    levels = levels_of(replace(base, nodes=once))
    expected, trace = run(levels, integers), run(replace(base, nodes=each_step), integers)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(trace.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(trace.output, expected.output)


@settings(max_examples=drawn(40), deadline=None)
@given(seed=SEEDS, timesteps=STEPS, small=st.booleans(), kind=st.sampled_from(["if", "signed_if"]))
def test_p7_equals_a_float32_simulation_bit_for_bit(random_graph, random_images, seed, timesteps, small, kind):
    """The same network as anyone simulates it in PyTorch: float32, step by step, biases in every step."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind=kind, timesteps=timesteps, small=small)
    assume(max(bounds(graph).magnitudes.values()) < 2**24)
    integers = random_images(rng, graph, 2)
    trace = run(graph, integers, record="spikes")
    spikes, output = float_simulation(graph, torch.from_numpy(integers).float())
    for name, raster in spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], raster, err_msg=name)
    np.testing.assert_array_equal(trace.output, output)


def float_simulation(graph, images):
    """Rasters [N, T, *shape] by population and the readout [N, classes], all float32."""

    def float32(array):
        return torch.from_numpy(np.asarray(array)).float()

    state = {n.name: float32(n.v_init) for n in graph if isinstance(n, Population | Readout)}
    counts = {p.name: torch.zeros(p.shape) for p in graph.populations}
    rasters = {p.name: [] for p in graph.populations}
    for _ in range(graph.timesteps):
        sent = {graph.input.name: images}
        for node in list(graph)[1:]:
            x = sum(sent[source] for source in node.sources)
            if isinstance(node, Convolution):
                geometry = (node.stride, node.padding, node.dilation, node.groups)
                x = F.conv2d(x, float32(node.weight), float32(node.bias), *geometry)
            elif isinstance(node, Affine):
                x = F.linear(x, float32(node.weight), float32(node.bias))
            elif isinstance(node, SumPool):
                x = F.avg_pool2d(x, node.kernel) * float(np.prod(node.kernel))
            elif isinstance(node, Flatten):
                x = x.flatten(1)
            else:
                m = state[node.name] = state[node.name] + x
            if isinstance(node, Population):
                theta, c = float32(node.theta), counts[node.name]
                most = node.neuron.spikes
                x = torch.floor(m / theta).clamp(0, most)
                if node.neuron.name == "signed_if":
                    given = node.neuron.theta_neg
                    negative = float32(np.ones(node.shape) if given is None else given)
                    back = torch.ceil(-m / theta).clamp(0, most)
                    x = torch.minimum(x, most * graph.timesteps - c)
                    x = x - torch.minimum(back, c) * (m <= -negative)
                state[node.name], counts[node.name] = m - x * theta, c + x
                rasters[node.name].append(x)
            sent[node.name] = x
    return {name: torch.stack(steps, 1).numpy() for name, steps in rasters.items()}, state[graph.readout.name].numpy()


def accumulated_input(graph, integers, node):
    """U of one population [N, *shape]."""
    return received_input(graph, integers, node)[:, -1]


def received_input(graph, integers, node):
    """The input of one population up to every step [N, T, *shape], read off a readout that is put in its place."""
    order = list(graph.nodes)
    kept = {name: graph.nodes[name] for name in order[: order.index(node.name)]}
    size = int(np.prod(node.shape))
    flats = {f"flat{i}": source for i, source in enumerate(node.sources)}
    kept |= {name: Flatten(name, (source,), node.shape, (size,)) for name, source in flats.items()}
    kept["total"] = Readout("total", tuple(flats), (size,), np.zeros(size, np.int64), 1.0)
    return run(replace(graph, nodes=kept), integers).output_curve.reshape(len(integers), -1, *node.shape)

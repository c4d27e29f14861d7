"""The portable form: plain NIR that gives the deployment's spikes when membranes start at zero.

The interpreter below reads NIR nodes as NIR defines them, with a reset by subtraction, in plain loops; it knows nothing
of deployments. It runs twice, firing on the threshold and only beyond it.
"""

from dataclasses import replace

import nir
import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.errors import GraphError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF, SignedIF
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool
from spikec.ir.profile.files import write_nir
from spikec.ir.profile.portable import NOTE
from spikec.ir.profile.reading import read_nir


def _convolve(node, x):
    (rows, cols), (pad_h, pad_w) = node.stride, node.padding
    x = np.pad(x, ((0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    kernel_h, kernel_w = node.weight.shape[2:]
    height, width = (x.shape[1] - kernel_h) // rows + 1, (x.shape[2] - kernel_w) // cols + 1
    out = np.empty((node.weight.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            window = x[:, i * rows : i * rows + kernel_h, j * cols : j * cols + kernel_w]
            out[:, i, j] = (node.weight.astype(np.float64) * window).sum((1, 2, 3)) + node.bias
    return out


def _pool(node, x):
    (k, m), (channels, height, width) = node.kernel_size, x.shape
    return x[:, : height // k * k, : width // m * m].reshape(channels, height // k, k, width // m, m).sum((2, 4))


def interpret(graph, image, steps, *, beyond):
    """Spikes [T, *shape] of every IF node and outputs [T, n]; ``beyond``: fire above the threshold only."""
    order, edges = [], list(graph.edges)
    while len(order) < len(graph.nodes):
        order += [n for n in graph.nodes if n not in order and all(a in order for a, b in edges if b == n)]
    membrane = {n: np.zeros(node.v_threshold.shape) for n, node in graph.nodes.items() if isinstance(node, nir.IF)}
    spikes, outputs = {n: [] for n in membrane}, []
    for _ in range(steps):
        values = {}
        for name in order:
            node, x = graph.nodes[name], sum(values[a] for a, b in edges if b == name)
            match node:
                case nir.Input():
                    values[name] = image.astype(np.float64)
                case nir.Conv2d():
                    values[name] = _convolve(node, x)
                case nir.Affine():
                    values[name] = node.weight.astype(np.float64) @ x + node.bias
                case nir.SumPool2d():
                    values[name] = _pool(node, x)
                case nir.Flatten():
                    values[name] = x.reshape(-1)
                case nir.IF():
                    assert (node.r == 1).all()
                    assert (node.v_reset == 0).all()
                    m = membrane[name] + x
                    fired = m > node.v_threshold if beyond else m >= node.v_threshold
                    membrane[name] = m - fired * node.v_threshold
                    values[name] = fired.astype(np.float64)
                    spikes[name].append(fired)
                case nir.Output():
                    outputs.append(x)
                case _:
                    raise AssertionError(type(node))
    return {name: np.array(s) for name, s in spikes.items()}, np.array(outputs)


def _network(rng, shape, steps, *, spread=0, flat=False, rectangular=False, readout=0):
    """Input, convolution, neurons, skip, pool, dense neurons, readout; or dense layers only."""

    def ints(*size):
        return rng.integers(-5, 6, size)

    def population(name, sources, size, theta):
        full = np.full(size, theta)
        return Population(name, sources, size, IF(), full, full // 2 + spread * rng.integers(-theta, theta, size))

    nodes = [InputNode("input", shape, "uint8", 1.0)]
    if flat:
        last, features = "input", shape[0]
    else:
        kernel = (2, 3) if rectangular else (3, 3)
        size = (3, shape[1] - (1 if rectangular else 0), shape[2])
        same = ((0, 1) if rectangular else (1, 1), (1, 1))
        branch = Convolution("branch", ("if1",), size, size, ints(3, 3, 3, 3), ints(3), (1, 1), (1, 1), (1, 1))
        ten = 10 * np.eye(3, dtype=np.int64)[:, :, None, None]
        pooled = (3, size[1] // 2, size[2] // 2)
        features = int(np.prod(pooled))
        nodes += [
            Convolution("conv", ("input",), shape, size, ints(3, shape[0], *kernel), ints(3), (1, 1), *same),
            population("if1", ("conv",), size, 11),
            branch,
            Convolution("skip", ("if1",), size, size, ten, np.zeros(3, np.int64), (1, 1), (0, 0), (1, 1)),
            population("if2", ("branch", "skip"), size, 14),
            SumPool("pool", ("if2",), size, pooled, (2, 2), (2, 2)),
            Flatten("flatten", ("pool",), pooled, (features,)),
        ]
        last = "flatten"
    nodes += [
        Affine("hidden", (last,), (features,), (6,), ints(6, features), ints(6)),
        population("if3", ("hidden",), (6,), 9),
        Affine("head", ("if3",), (6,), (4,), ints(4, 6), ints(4)),
        Readout("readout", ("head",), (4,), np.full(4, readout), 0.5),
    ]
    return IntegerGraph({node.name: node for node in nodes}, steps, "pipelined")


def _assert_same(graph, plain, images):
    trace = tc.simulate(graph, images, record="spikes")
    for image, values in enumerate(images):
        for beyond in (False, True):
            spikes, outputs = interpret(plain, values, graph.timesteps, beyond=beyond)
            for name, expected in trace.spikes.items():
                assert (spikes[name] == expected[image]).all(), (name, beyond)
            assert (outputs.sum(0) == trace.output[image]).all()


@settings(max_examples=drawn(10), deadline=None)
@given(
    seed=st.integers(0, 2**20),
    height=st.integers(2, 6),
    width=st.integers(2, 6),
    steps=st.integers(1, 9),
    spread=st.integers(0, 2),
    flat=st.booleans(),
    readout=st.integers(-3, 3),
)
def test_spikes_are_those_of_the_deployment(seed, height, width, steps, spread, flat, readout):
    rng = np.random.default_rng(seed)
    shape = (5,) if flat else (2, height, width)
    graph = _network(rng, shape, steps, spread=spread, flat=flat, readout=readout)
    images = rng.integers(0, 6, (2, *shape)).astype(np.float32)
    _assert_same(graph, tc.portable(graph), images)


def test_clock_is_exact_up_to_the_last_of_many_steps():
    rng = np.random.default_rng(0)
    graph = _network(rng, (2, 3, 4), 150)
    spikes, _ = interpret(tc.portable(graph), np.ones((2, 3, 4)), 150, beyond=False)
    first, second = spikes["clock"][:, 0, 0, 0], spikes["clock"][:, 1, 0, 0]
    assert first.all()
    assert not second[0]
    assert second[1:].all()


def test_survives_the_file(tmp_path):
    rng = np.random.default_rng(1)
    graph = _network(rng, (1, 4, 5), 4, spread=1)
    plain = read_nir(write_nir(tc.portable(graph), tmp_path / "plain.nir"))
    _assert_same(graph, plain, rng.integers(0, 6, (2, 1, 4, 5)).astype(np.float32))
    assert float(plain.metadata[NOTE]["output_scale"]) == 0.5
    assert int(plain.metadata[NOTE]["timesteps"]) == 4
    assert float(plain.metadata[NOTE]["input_scale"]) == 1.0
    nir.read(tmp_path / "plain.nir")  # passes NIR's own type check


def test_rectangular_kernels_pass_without_the_type_check():
    rng = np.random.default_rng(2)
    graph = _network(rng, (2, 5, 5), 4, rectangular=True)
    _assert_same(graph, tc.portable(graph), rng.integers(0, 6, (2, 2, 5, 5)).astype(np.float32))


def test_is_no_deployment(tmp_path):
    path = write_nir(tc.portable(_network(np.random.default_rng(0), (1, 4, 4), 2)), tmp_path / "plain.nir")
    with pytest.raises(GraphError, match="no spikec metadata"):
        tc.load(path)
    with pytest.raises(GraphError, match="portable form"):
        tc.import_nir(path, reset="subtract", v_init="zero", timesteps=2, example=np.zeros((1, 1, 4, 4), np.float32))


def test_refuses_what_plain_nir_cannot_say():
    graph = _network(np.random.default_rng(0), (1, 4, 4), 2)
    with pytest.raises(GraphError, match="schedule pipelined"):
        tc.portable(replace(graph, schedule="layerwise"))
    signed = replace(graph.nodes["if1"], neuron=SignedIF())
    with pytest.raises(GraphError, match="signed_if"):
        tc.portable(replace(graph, nodes={**graph.nodes, "if1": signed}))
    several = replace(graph.nodes["if1"], neuron=IF(spikes=3))
    with pytest.raises(GraphError, match="if1: up to 3 spikes in a step; plain NIR has neurons that fire once"):
        tc.portable(replace(graph, nodes={**graph.nodes, "if1": several}))
    far = replace(graph.nodes["if3"], v_init=np.full(6, 2**23))
    with pytest.raises(GraphError, match="if3: v_init reaches 8388608"):
        tc.portable(replace(graph, nodes={**graph.nodes, "if3": far}))


@settings(max_examples=drawn(5), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 9))
def test_an_output_of_maps(seed, steps, start):
    rng = np.random.default_rng(seed)
    graph = _network(rng, (2, 4, 3), steps)
    kept = {name: node for name, node in graph.nodes.items() if name in ("input", "conv", "if1", "branch", "skip")}
    readout = Readout("readout", ("branch", "skip"), (3, 4, 3), np.full((3, 4, 3), start), 0.5)
    maps = replace(graph, nodes={**kept, "readout": readout})
    _assert_same(maps, tc.portable(maps), rng.integers(0, 256, (2, 2, 4, 3)).astype(np.float32))

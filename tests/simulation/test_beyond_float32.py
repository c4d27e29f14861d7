"""Nodes whose numbers leave float32, and readouts that are not proven to fit: spikes are counted all the same."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from helpers import networks
from helpers.cases import CASES, steps_of
from helpers.drawn import drawn
from helpers.graphs import random_graph, random_images
from helpers.oracle import oracle
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.analysis.ranges import bounds
from spikec.errors import RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import Population
from spikec.ir.operations import Affine, Convolution
from spikec.simulation import GoldenModel, simulate
from spikec.simulation.engines import counts_by_layer as layers
from spikec.simulation.engines.counts_by_step import CountsByStep
from spikec.simulation.engines.general import Network
from spikec.simulation.kernels import int8
from spikec.simulation.kernels.halves import HalvedSynapse, halved_synapse
from spikec.simulation.kernels.int8 import Int8Synapse, exact_synapse
from spikec.simulation.paths import Kernel, Reason
from spikec.simulation.registers import Register, Registers

#: Registers that hold whatever is computed here, so that counts are not refused for the sake of membranes.
WIDE = Registers(membrane=Register(2**60))


def check(graph, integers, *, registers=WIDE, few=(None, 0)):
    """Against the oracle, layer after layer and step after step; returns the models."""
    expected, made = oracle(graph, integers), []
    for value in few:
        with mock.patch.object(layers, "_FEW", layers._FEW if value is None else value):
            model = GoldenModel(graph, registers=registers)
        made.append(model)
        trace = model.run(integers * graph.input.scale, record="spikes")
        np.testing.assert_array_equal(trace.output, expected.output)
        if expected.curve is not None:
            np.testing.assert_array_equal(trace.output_curve, expected.curve)
        for p in graph.populations:
            np.testing.assert_array_equal(trace.spikes[p.name], expected.spikes[p.name], err_msg=p.name)
            np.testing.assert_array_equal(trace.events[p.name], expected.events[p.name], err_msg=p.name)
    return made


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
@settings(max_examples=drawn(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), bits=st.sampled_from((8, 12, 17)), share=st.sampled_from((0.3, 1.0)))
def test_equals_the_oracle(kind, schedule, drain, seed, bits, share):
    """Some nodes, or all, have numbers of ``bits`` more, down to the last bit."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=steps_of(kind, 4), drain=drain, small=False)

    def wide(array):
        return (array << bits) + rng.integers(0, 1 << bits, array.shape)

    nodes = {}
    for node in graph:
        if rng.random() < share and isinstance(node, Convolution | Affine):
            node = replace(node, weight=wide(node.weight), bias=wide(node.bias))
        elif rng.random() < share and isinstance(node, Population):
            node = replace(node, theta=wide(node.theta), v_init=wide(node.v_init))
        nodes[node.name] = node
    graph = replace(graph, nodes=nodes)
    try:
        bounds(graph)
    except RangeError:  # chains of wide layers
        assume(False)
    check(graph, random_images(rng, graph, 2))


def wide_network(rng, kind, inputs, *, timesteps, schedule="layerwise", theta=None, weights=(90, 128), **fields):
    """A few pixels -> ``inputs`` neurons -> three neurons with sums of ``inputs`` large weights -> readout."""
    nodes = (
        InputNode("input", (4,), "uint8", 1.0),
        networks.affine("first", ["input"], rng.integers(-3, 9, (inputs, 4)), np.zeros(inputs)),
        networks.population("many", ["first"], (inputs,), kind, 12, **fields),
        networks.affine("dense", ["many"], rng.integers(*weights, (3, inputs)), rng.integers(-99, 99, 3)),
        networks.population("few", ["dense"], (3,), kind, theta or 9_000, **fields),
        networks.affine("last", ["few"], rng.integers(-128, 128, (2, 3)), np.zeros(2)),
        networks.readout("readout", ["last"], 2, scale=1.0),
    )
    return networks.graph_of(nodes, timesteps, schedule)


@pytest.mark.parametrize(
    ("kind", "schedule", "timesteps", "fields"),
    [
        ("bit_serial", "layerwise", 8, {}),
        ("bit_serial", "layerwise", 5, {}),
        ("graded", "layerwise", 1, {"levels": 255}),
        ("if", "layerwise", 200, {}),
        ("if", "pipelined", 60, {}),
        ("signed_if", "pipelined", 60, {}),
    ],
)
@pytest.mark.parametrize("theta", [900, 9_000, 70_000, 10_000_000])
def test_sums_of_large_counts(kind, schedule, timesteps, fields, theta):
    """Int8 weights times counts of up to 8 bits, beyond float32 in the sum: in the kernel that divides where the
    threshold is small, in two halves where it is not."""
    rng = np.random.default_rng(theta)
    graph = wide_network(rng, kind, 900, timesteps=timesteps, schedule=schedule, theta=theta, **fields)
    integers = rng.integers(0, 256, (3, 4))
    integers[0] = 255
    for model in check(graph, integers):
        assert isinstance(model.engine, CountsByStep)
        kernels = {path.node: path for path in (model.engine.path(node, 3, False) for node in graph.populations)}
        assert kernels["few"].dtype == "uint8"


def test_two_halves_take_large_counts():
    """Where 8-bit kernels are exact for counts below 16 alone, as on processors that pair products in 16 bits."""
    rng = np.random.default_rng(0)
    graph = wide_network(rng, "bit_serial", 900, timesteps=8, theta=70_000)
    small = exact_synapse

    def paired(node, top):
        return small(node, top) if top < 16 else Reason("pairs of products")

    with mock.patch("spikec.simulation.engines.ways.exact_synapse", paired):
        (model,) = check(graph, rng.integers(0, 256, (5, 4)), few=(None,))
    found = model.engine.path(graph.nodes["dense"], 5, False)
    if isinstance(exact_synapse(graph.nodes["dense"], 15), Reason):
        pytest.skip("no 8-bit kernels here")
    assert (found.kernel, found.dtype) == (Kernel.HALVES, "float64")
    assert found.why.bound >= 2**24


@settings(max_examples=drawn(40), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    inputs=st.integers(1, 3000),
    images=st.integers(1, 70),
    sign=st.sampled_from((-1, 1, 0)),
)
def test_halves_sum_exactly(seed, inputs, images, sign):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-128, 128, (4, inputs)) if sign == 0 else np.full((4, inputs), 127 if sign > 0 else -128)
    node = networks.affine("dense", ["x"], weight, np.zeros(4))
    found = halved_synapse(node)
    if isinstance(found, Reason):
        pytest.skip(str(found))
    x = rng.integers(0, 256, (images, inputs))
    x[0] = 255
    sums = found.current(torch.from_numpy(x).to(torch.uint8))
    assert sums.dtype == torch.float64
    np.testing.assert_array_equal(sums.numpy(), x @ weight.T)


def test_halves_that_are_too_large_are_refused():
    node = networks.affine("dense", ["x"], np.full((2, 9000), 127), np.zeros(2))
    found = halved_synapse(node)
    assert isinstance(found, Reason)
    if "half of its sum" in found.text:
        assert (found.bound, found.limit) == (9000 * 127 * 15, 2**24)
    fits = halved_synapse(networks.affine("dense", ["x"], np.full((2, 8000), 127), np.zeros(2)))
    assert isinstance(fits, HalvedSynapse | Reason)


def test_a_kernel_of_sums_beyond_32_bits_is_refused():
    node = networks.affine("dense", ["x"], np.full((1, 70_000), 127), np.zeros(1))
    found = exact_synapse(node, 255)
    assert isinstance(found, Reason)
    assert (found.bound, found.limit) == (70_000 * 127 * 255, 2**31)
    shifted = Affine("dense", ("x",), (8,), (1,), np.full((1, 8), 127 << 22), np.zeros(1, np.int64), weight_exp=22)
    assert isinstance(exact_synapse(shifted, 1), Int8Synapse | Reason)
    assert "units" not in str(exact_synapse(shifted, 1))  # 2**22 is no part of what the kernel sums


@pytest.fixture
def loose():
    """A network of which only the readout is not proven to fit: it wanders with the image, and leaves 24 bits."""
    rng = np.random.default_rng(3)
    nodes = (
        InputNode("input", (6,), "uint8", 1.0),
        networks.affine("first", ["input"], rng.integers(-3, 9, (40, 6)), np.zeros(40)),
        networks.population("many", ["first"], (40,), "if", 500),
        networks.affine("last", ["many"], rng.integers(-128, 128, (3, 40)) * 6000, rng.integers(-9, 9, 3)),
        networks.readout("readout", ["last"], 3, scale=1.0),
    )
    return networks.graph_of(nodes, 6, "pipelined")


@pytest.mark.parametrize("few", [None, 0])
def test_a_readout_that_may_leave_its_register_is_watched(loose, few):
    integers = np.random.default_rng(0).integers(0, 256, (30, 6))
    expected = oracle(loose, integers)
    assert expected.overflows["readout"] > 0
    with mock.patch.object(layers, "_FEW", layers._FEW if few is None else few):
        model = GoldenModel(loose)
    assert isinstance(model.engine, CountsByStep)
    trace = model.run(integers.astype(float), batch=7)
    assert trace.overflows == expected.overflows
    assert trace.membrane == {"readout": expected.membrane["readout"]}
    general = simulate(loose, integers.astype(float), measure=True, batch=11)
    assert trace.first_overflow == general.first_overflow
    assert trace.outputs["output"].tolist() == general.outputs["output"].tolist()


def test_registers_that_change_numbers_are_left_to_the_general_path(loose):
    for overflow in ("strict", "wrap", "saturate"):
        how = tc.explain(loose, overflow=overflow)
        assert how.engine == "general", overflow
    assert tc.explain(loose).engine == "counts"
    assert tc.explain(loose)[-1].dtype == "float64"


def test_an_image_that_stops_early_is_watched_until_it_stops(loose):
    integers = np.random.default_rng(0).integers(0, 256, (30, 6)).astype(float)
    cut = simulate(loose, integers, early_exit=1e6, batch=9)
    assert (cut.steps < 6).any()
    curve = simulate(loose, integers, measure=True).output_curves["output"]
    seen = np.concatenate([row[: int(n)] for row, n in zip(np.moveaxis(curve, 0, 0), cut.steps, strict=True)])
    outside = (seen < -(2**23)) | (seen >= 2**23)
    assert cut.overflows["readout"] == outside.sum()
    assert cut.membrane["readout"] == (seen.min(), seen.max())
    images = [
        i for i, n in enumerate(cut.steps) if ((curve[i, : int(n)] < -(2**23)) | (curve[i, : int(n)] >= 2**23)).any()
    ]
    assert cut.first_overflow["readout"].image in images


def test_the_general_path_agrees_on_a_network_with_one_wide_layer():
    """As ImageNet's networks have it: a first layer and a readout beyond float32 between layers that are not."""
    rng = np.random.default_rng(5)
    small = networks.small_network(rng)
    conv = small.nodes["conv1"]
    wide = replace(conv, weight=conv.weight * 8191, bias=conv.bias + 77)
    first = replace(small.nodes["if1"], theta=small.nodes["if1"].theta * 8191 + 5)
    graph = replace(small, nodes=dict(small.nodes) | {"conv1": wide, "if1": first})
    integers = rng.integers(0, 256, (4, *graph.input.shape))
    for model in check(graph, integers):
        assert not isinstance(model.engine, Network)
        first = model.engine.path(graph.nodes["conv1"], 4, False)
        assert (first.kernel, first.dtype) == (Kernel.ONCE, "float64")  # its weights have more than 8 bits
        assert model.engine.path(graph.nodes["conv2"], 4, False).kernel is not Kernel.FLOAT


@pytest.mark.parametrize(("kind", "fields"), [("bit_serial", {}), ("graded", {"levels": 255}), ("if", {})])
@pytest.mark.parametrize("theta", [20_000, 200_000])
def test_layerwise_neurons_that_may_leave_their_registers_are_watched(kind, fields, theta):
    """Whether they leave it or not, on some images or on all."""
    rng = np.random.default_rng(1)
    graph = wide_network(
        rng,
        kind,
        1500,
        timesteps={"graded": 1, "bit_serial": 8, "if": 200}[kind],
        theta=theta,
        weights=(-128, 128),
        **fields,
    )
    dense = graph.nodes["dense"]
    sign = np.where(rng.random((3, 1)) < 0.5, -1, 1)
    graph = replace(graph, nodes=dict(graph.nodes) | {"dense": replace(dense, weight=abs(dense.weight) * sign)})
    integers = rng.integers(0, 256, (12, 4))
    integers[:4] //= 64
    general = simulate(graph, integers.astype(float), measure=True, record="spikes", batch=5)
    expected = oracle(graph, integers)
    trace = simulate(graph, integers.astype(float), record="spikes", batch=5)
    assert "few" in trace.membrane
    assert "many" not in trace.membrane  # proven
    if theta < 100_000:
        assert trace.overflows["few"] > 0
    assert trace.overflows == general.overflows == expected.overflows
    assert trace.first_overflow == general.first_overflow
    assert trace.membrane == {name: expected.membrane[name] for name in trace.membrane}
    np.testing.assert_array_equal(trace.output, expected.output)
    for name in ("many", "few"):
        np.testing.assert_array_equal(trace.spikes[name], expected.spikes[name])


def graded_network(weights, levels, theta=None):
    """Two pixels -> as many graded neurons as ``weights`` [outputs, inputs] reads -> readout, or neurons before it. The
    first pixel feeds the first two, the second one all others."""
    outputs, inputs = weights.shape
    first = np.zeros((inputs, 2), np.int64)
    first[:2, 0], first[2:, 1] = 1, 1
    nodes = [
        InputNode("input", (2,), "uint8", 1.0),
        networks.affine("first", ["input"], first, np.zeros(inputs)),
        networks.population("many", ["first"], (inputs,), "graded", 1, 0, levels=levels),
        networks.affine("dense", ["many"], weights, np.zeros(outputs)),
    ]
    if theta is not None:
        nodes.append(networks.population("few", ["dense"], (outputs,), "graded", theta, 0, levels=1))
        nodes.append(networks.affine("last", ["few"], np.eye(outputs), np.zeros(outputs)))
    return networks.graph_of(
        [*nodes, networks.readout("readout", [nodes[-1].name], outputs, scale=1.0)], 1, "layerwise"
    )


def test_saturated_pairs_do_not_hide_in_rounding():
    """Pairs of products just beyond 16 bits, in a sum that float32 rounds by more than they lose."""
    weights = np.full((3, 4096), 112)
    weights[:, :2] = 113
    graph = graded_network(weights, 145, theta=32770)
    check(graph, np.array([[145, 0]]), few=(None,))


def test_saturated_pairs_do_not_cancel():
    """Pairs beyond 16 bits on both sides, which all at once lose nothing."""
    weights = np.zeros((16, 16), np.int64)
    weights[:, :4], weights[:, 4:10] = 113, -113
    check(graded_network(weights, 145), np.array([[145, 0]]), few=(None,))


@settings(max_examples=drawn(40), deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 5), columns=st.integers(1, 9))
def test_largest_pair(seed, rows, columns):
    weight = np.random.default_rng(seed).integers(-128, 128, (rows, columns))
    pairs = [abs(row[i] + row[j]) for row in weight for i in range(columns) for j in range(i)]
    found = int8._largest_pair(networks.affine("dense", ["x"], weight, np.zeros(rows)))
    assert found == max(pairs, default=np.abs(weight).max())


@pytest.mark.parametrize("kind", ["if", "bit_serial", "signed_if"])
def test_the_lowest_membrane_is_seen_where_all_are_above_zero(kind):
    """It is then that of a later step; in a batch of one and of all."""
    nodes = (
        InputNode("input", (4,), "uint8", 1.0),
        networks.affine("dense", ["input"], np.full((3, 4), 127 * 64), np.zeros(3)),
        networks.population("few", ["dense"], (3,), kind, 1_000_000),
        networks.affine("last", ["few"], np.eye(3), np.zeros(3)),
        networks.readout("readout", ["last"], 3, scale=1.0),
    )
    graph = networks.graph_of(nodes, 8 if kind == "bit_serial" else 4, "layerwise")
    images = np.full((3, 4), 50.0) * [[1], [5], [3]]
    general = simulate(graph, images, measure=True)
    registers = Registers(membrane=Register(2_000_000))
    for batch in (1, 2, 3):
        trace = GoldenModel(graph, registers=registers).run(images, batch=batch)
        assert trace.membrane["few"] == general.membrane["few"]


@pytest.mark.parametrize("written", [1, 5000, 2**24])
def test_convolutions_beyond_float32_in_parts(monkeypatch, written):
    monkeypatch.setattr("spikec.ir.operations.convolution._WRITTEN", written)
    graph = networks.small_network(np.random.default_rng(0))
    node, x = graph.nodes["conv1"], torch.from_numpy(np.random.default_rng(1).integers(0, 256, (7, 2, 7, 7)))
    whole = node.apply(x.float())
    for dtype in (torch.float64, torch.int64):
        assert torch.equal(node.apply(x.to(dtype)), whole.to(dtype))


@pytest.mark.parametrize("few", [None, 0])
def test_an_image_in_two_halves(few):
    """A first layer of 8-bit weights times a power of two, with odd biases and thresholds."""
    rng = np.random.default_rng(7)
    small = networks.small_network(rng)
    conv = small.nodes["conv1"]
    weight = rng.integers(-128, 128, conv.weight.shape) << 8
    wide = replace(conv, weight=weight, bias=rng.integers(-(2**20), 2**20, 4), weight_exp=8)
    theta = rng.integers(2**20, 2**22, small.nodes["if1"].shape)
    first = replace(small.nodes["if1"], theta=theta, v_init=theta // 2 + 1)
    graph = replace(small, nodes=dict(small.nodes) | {"conv1": wide, "if1": first})
    (model,) = check(graph, rng.integers(0, 256, (4, *graph.input.shape)), few=(few,))
    if not isinstance(halved_synapse(wide), Reason):
        assert model.engine.path(wide, 4, False).kernel is Kernel.HALVES

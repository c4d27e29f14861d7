"""Mapping, arithmetic and ranges of the Lava target; none of this needs Lava."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikec.errors import DoesNotFit, RangeError, TargetUnavailable, ToolchainError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF, CalibratedIF, SignedIF
from spikec.ir.operations import Affine, Convolution, Flatten
from spikec.targets.lava import LavaOptions, LavaTarget
from spikec.targets.lava.arithmetic import Kernel, lava_layout, product, sum_pool
from spikec.targets.lava.atrlif import unfit
from spikec.targets.lava.currents import constant_currents
from spikec.targets.lava.integer_limits import check_ranges
from spikec.targets.lava.paths import ATRLIF
from spikec.targets.lava.plan import Connection, make_plan
from spikec.targets.lava.processes.window import Window

PLAIN = IF()


def population(name, sources, shape, **kwargs):
    kwargs = {"neuron": PLAIN, "theta": np.full(shape, 5), "v_init": np.full(shape, 2), **kwargs}
    return Population(name, sources, shape, **kwargs)


def graph_of(*nodes, timesteps=4, schedule="pipelined", drain=0):
    return IntegerGraph({n.name: n for n in nodes}, timesteps, schedule, drain)


def convolution(name, source, shape, weight, groups=1):
    out = (weight.shape[0], *shape[1:])
    bias = np.zeros(len(weight), np.int64)
    return Convolution(name, (source,), shape, out, weight, bias, (1, 1), (0, 0), (1, 1), groups)


def affine(name, source, weight, exponent=0):
    bias = np.zeros(len(weight), np.int64)
    return Affine(name, (source,), (weight.shape[1],), (len(weight),), weight, bias, exponent)


def residual(neuron=PLAIN, **kwargs):
    """input -> conv0 -> p0 -> conv1 -> conv2 -> p1, with p0 -> p1 directly, then flat -> fc -> readout."""
    shape, one = (2, 3, 4), np.ones((2, 2, 1, 1), np.int64)
    return graph_of(
        InputNode("input", shape, "uint8", 1.0),
        convolution("conv0", "input", shape, one),
        population("p0", ("conv0",), shape, neuron=neuron),
        convolution("conv1", "p0", shape, one),
        convolution("conv2", "conv1", shape, one),
        population("p1", ("conv2", "p0"), shape, neuron=neuron),
        Flatten("flat", ("p1",), shape, (24,)),
        affine("fc", "flat", np.ones((3, 24), np.int64)),
        Readout("readout", ("fc",), (3,), np.zeros(3, np.int64), 1.0),
        **kwargs,
    )


@pytest.mark.parametrize("seed", range(20))
def test_kernel_equals_torch(seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 4))
    channels, out = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
    size, stride, dilation = (tuple(int(n) for n in rng.integers(1, 4, 2)) for _ in range(3))
    padding = tuple(int(n) for n in rng.integers(0, 3, 2))
    shape = (channels, *(int(d * (k - 1) + 1 + rng.integers(0, 4)) for d, k in zip(dilation, size, strict=True)))
    weight = rng.integers(-128, 128, (out, channels // groups, *size))
    x = rng.integers(0, 10 ** int(rng.integers(0, 6)) + 1, shape)
    expected = F.conv2d(
        torch.from_numpy(x)[None].double(), torch.from_numpy(weight).double(), None, stride, padding, dilation, groups
    )[0].numpy()
    kernel = Kernel(
        weight.transpose(0, 3, 2, 1),
        stride=stride[::-1],
        padding=padding[::-1],
        dilation=dilation[::-1],
        groups=groups,
    )
    np.testing.assert_array_equal(lava_layout(kernel(lava_layout(x))), expected)


def test_kernel_stays_exact_beyond_float32():
    kernel = Kernel(np.full((1, 1, 1, 3), 2**23 + 1), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)
    assert int(kernel(np.array([[[1, 3, 2**20 + 1]]])).item()) == (2**23 + 1) * (2**20 + 5)
    with pytest.raises(ArithmeticError):
        kernel(np.array([[[1, 3, 2**31]]]))


def test_product_is_exact():
    assert product(np.array([[2**20 + 1]]), np.array([[2**12 + 1]])).tolist() == [[(2**20 + 1) * (2**12 + 1)]]


def test_sum_pool_drops_the_edge():
    x = np.arange(15).reshape(5, 3, 1)
    assert sum_pool(x, (2, 3), (2, 3))[..., 0].tolist() == [[0 + 1 + 2 + 3 + 4 + 5], [6 + 7 + 8 + 9 + 10 + 11]]


def arrivals(plan):
    return {p.name: p.arrival for p in plan.processes}


def test_branches_meet_at_one_time():
    plan = make_plan(residual(), "current")
    assert arrivals(plan) == {
        "p0": 0,
        "conv1": 0,
        "conv2": 1,
        "relay:p0:p1:1": 0,
        "p1": 2,
        "fc": 2,
        "readout": 3,
    }
    assert next(p for p in plan.processes if p.process == "Relay").parameters["delay"] == 2
    assert Connection("p1", "fc", views=(residual().nodes["fc"].input_shape,)) in plan.connections
    assert plan.lava_steps(10) == 10 * 4 + 3
    assert plan.latency == 4 + 3


def test_sent_images_arrive_one_synapse_later():
    plan = make_plan(residual(), "graded")
    assert arrivals(plan)["input"] == 0
    assert arrivals(plan)["p0"] == 1
    assert arrivals(plan)["readout"] == 4


def test_layerwise_takes_depth_times_t():
    plan = make_plan(residual(schedule="layerwise"), "current")
    # a layer emits at the last of its T steps, its synapse adds one: T per layer, one more for the second synapse
    assert arrivals(plan)["p1"] == 3 + 2
    assert arrivals(plan)["readout"] == 3 + 2 + 3 + 1


def test_calibration_takes_rho_per_layer():
    plan = make_plan(residual(CalibratedIF(3), timesteps=2), "current")
    assert plan.steps == 3
    assert arrivals(plan)["p1"] == 2 + 2
    assert arrivals(plan)["readout"] == 2 + 2 + 2 + 1


def test_one_source_read_twice_gets_a_relay():
    base = residual()
    nodes = dict(base.nodes)
    nodes["flat2"] = Flatten("flat2", ("p1",), (2, 3, 4), (24,))
    nodes["fc"] = affine("fc", "flat", np.ones((3, 24), np.int64))
    nodes["fc"] = dataclasses.replace(nodes.pop("fc"), sources=("flat", "flat2"))
    nodes["readout"] = nodes.pop("readout")
    plan = make_plan(IntegerGraph(nodes, 4, "pipelined"), "current")
    into = [c.source for c in plan.connections if c.target == "fc"]
    assert into == ["p1", "relay:p1:fc:1"]


@pytest.mark.parametrize(("groups", "wanted"), [(127, 127), (128, 64), (131, 1)])
def test_many_groups_become_few(groups, wanted):
    rng = np.random.default_rng(groups)
    shape = (groups * 2, 2, 3)
    weight = rng.integers(-9, 9, (groups * 3, 2, 1, 1))
    node = convolution("conv", "p", shape, weight, groups)
    graph = graph_of(
        InputNode("input", shape, "uint8", 1.0),
        population("p", ("input",), shape),
        node,
        Flatten("flat", ("conv",), node.output_shape, (groups * 18,)),
        Readout("readout", ("flat",), (groups * 18,), np.zeros(groups * 18, np.int64), 1.0),
    )
    spec = next(p for p in make_plan(graph, "current").processes if p.process == "Conv")
    assert spec.parameters["groups"] == wanted
    x = rng.integers(0, 2, shape)
    settings = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    few = Kernel(spec.arrays["weight"][:, ::-1, ::-1], groups=wanted, **settings)
    many = Kernel(weight.transpose(0, 3, 2, 1), groups=groups, **settings)
    np.testing.assert_array_equal(few(lava_layout(x)), many(lava_layout(x)))


def dense_graph(weight, exponent=0):
    inputs = weight.shape[1]
    return graph_of(
        InputNode("input", (inputs,), "uint8", 1.0),
        population("p", ("input",), (inputs,)),
        affine("fc", "p", weight, exponent),
        Readout("readout", ("fc",), (len(weight),), np.zeros(len(weight), np.int64), 1.0),
    )


def test_dense_weights_are_doubled_and_halved():
    spec = make_plan(dense_graph(np.array([[-128, 127, 3]]) * 8, 3), "current").processes[1]
    assert spec.arrays["weights"].tolist() == [[-256, 254, 6]]
    assert spec.parameters["weight_exp"] == 2


@pytest.mark.parametrize(("weight", "exponent"), [(128, 0), (-129, 0), (4, 3)])
def test_dense_weights_beyond_8_bits_do_not_fit(weight, exponent):
    with pytest.raises(DoesNotFit, match="fc: its weights are not 8-bit"):
        make_plan(dense_graph(np.array([[weight]]), exponent), "current")


@pytest.mark.parametrize("name", ["kernel size", "stride", "padding", "dilation"])
@pytest.mark.parametrize("value", [127, 128])
def test_settings_of_a_convolution_beyond_8_bits_do_not_fit(name, value):
    """Along one axis, of a map large enough for each of them."""
    shape, size = (1, 300, 1), value if name == "kernel size" else 2
    stride, padding, dilation = (((value, 1) if name == each else (1, 1)) for each in ("stride", "padding", "dilation"))
    padding = (padding[0] if name == "padding" else 0, 0)
    out = (1, (300 + 2 * padding[0] - dilation[0] * (size - 1) - 1) // stride[0] + 1, 1)
    weight = np.ones((1, 1, size, 1), np.int64)
    graph = graph_of(
        InputNode("input", shape, "uint8", 1.0),
        population("p", ("input",), shape),
        Convolution("conv", ("p",), shape, out, weight, np.zeros(1, np.int64), stride, padding, dilation),
        Flatten("flat", ("conv",), out, (out[1],)),
        Readout("readout", ("flat",), (out[1],), np.zeros(out[1], np.int64), 1.0),
    )
    if value == 127:
        make_plan(graph, "current")
        return
    with pytest.raises(DoesNotFit, match=f"conv: {name} 128 does not fit Lava's Conv"):
        make_plan(graph, "current")


def wide(weight, inputs):
    shape = (inputs, 1, 1)
    return graph_of(
        InputNode("input", shape, "uint8", 1.0),
        population("p", ("input",), shape),
        convolution("conv", "p", shape, np.full((1, inputs, 1, 1), weight)),
        Flatten("flat", ("conv",), (1, 1, 1), (1,)),
        Readout("readout", ("flat",), (1,), np.zeros(1, np.int64), 1.0),
    )


def test_conv_sums_must_stay_below_24_bits():
    check_ranges(wide(2**13 - 1, 1024), image_is_sent=False)
    with pytest.raises(RangeError, match=f"conv: sums can reach {2**23} in one step"):
        check_ranges(wide(2**13, 1024), image_is_sent=False)
    with pytest.raises(RangeError, match="conv: sums can reach"):
        check_ranges(wide(-(2**13), 1024), image_is_sent=False)


def test_ranges_know_what_is_sent():
    shape = (2, 1, 1)
    conv = convolution("conv", "input", shape, np.full((1, 2, 1, 1), 2**15))
    graph = graph_of(
        InputNode("input", shape, "uint8", 1.0),
        conv,
        Flatten("flat", ("conv",), (1, 1, 1), (1,)),
        Readout("readout", ("flat",), (1,), np.zeros(1, np.int64), 1.0),
    )
    check_ranges(graph, image_is_sent=False)
    with pytest.raises(RangeError, match=str(255 * 2**16)):
        check_ranges(graph, image_is_sent=True)


def test_currents_hold_image_and_bias(random_images, oracle):
    """Without populations the readout is T times its current."""
    rng = np.random.default_rng(0)
    shape = (2, 4, 3)
    weight, bias = rng.integers(-9, 9, (3, 2, 1, 1)), rng.integers(-9, 9, 3)
    conv = Convolution("conv", ("input",), shape, (3, 4, 3), weight, bias, (1, 1), (0, 0), (1, 1))
    graph = graph_of(
        InputNode("input", shape, "uint8", 1.0),
        conv,
        Flatten("flat", ("conv",), (3, 4, 3), (36,)),
        Affine("fc", ("flat",), (36,), (5,), rng.integers(-9, 9, (5, 36)), rng.integers(-9, 9, 5)),
        Readout("readout", ("fc",), (5,), np.zeros(5, np.int64), 1.0),
    )
    images = random_images(rng, graph, 4)
    current = constant_currents(graph, images)["readout"]
    np.testing.assert_array_equal(4 * current, oracle(graph, images).output)
    silent = constant_currents(graph, None)["readout"]
    np.testing.assert_array_equal(4 * silent, oracle(graph, np.zeros_like(images[:1])).output)


@pytest.mark.parametrize("options", [{"input": "spikes"}, {"workers": 0}, {"chunk": -1}, {"stall_seconds": 0}])
def test_options_are_checked(options):
    with pytest.raises(ToolchainError, match=next(iter(options))):
        LavaOptions(**options)


def test_missing_lava_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'spikec[lava]'" in (LavaTarget.available() or "")
    with pytest.raises(TargetUnavailable, match="pip install"):
        LavaTarget().compile(residual())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"theta": np.full((2, 3, 4), 6)}, None),
        ({"theta": np.full((2, 3, 4), 5)}, "its threshold 5 is odd"),
        ({"theta": np.arange(2, 26).reshape(2, 3, 4)}, "its thresholds differ"),
        ({"theta": np.full((2, 3, 4), 2**17)}, "half its threshold 131072 exceeds 65535"),
        ({"theta": np.full((2, 3, 4), 6), "v_init": np.full((2, 3, 4), -(2**17))}, "its input can add up to"),
        ({"theta": np.full((2, 3, 4), 2)}, "an initial membrane reaches the threshold"),
        ({"neuron": SignedIF()}, "its neurons are of kind signed_if"),
        ({"theta": np.full((2, 3, 4), 6), "neuron": IF(spikes=3)}, "its neurons fire up to 3 times in a step"),
    ],
)
def test_what_lavas_own_neuron_can_be(changes, reason):
    graph = residual()
    graph.nodes["p0"] = dataclasses.replace(graph.nodes["p0"], **changes)
    found = unfit(graph, pace=1).get("p0")
    assert found is None if reason is None else reason in found
    assert unfit(dataclasses.replace(graph, schedule="layerwise"), pace=1)["p0"] in (
        "the schedule is layerwise",
        "its neurons are of kind signed_if",
        "its neurons fire up to 3 times in a step",
    )


def test_lavas_own_neurons_take_one_image_at_a_time():
    graph = residual()
    plan = make_plan(graph, "current", stock={"p1": ATRLIF})
    assert plan.tail == 3
    assert plan.pieces == (4 + 3, 3 + 1)
    assert plan.stride == 11
    assert plan.lava_steps(10) == 110
    window = Window(2, 4, 2, 11)
    assert [window.at(t + 1) for t in (1, 2, 5, 6, 12, 13, 16, 24)] == [
        None,
        (0, 0),
        (0, 3),
        None,
        None,
        (1, 0),
        (1, 3),
        None,
    ]

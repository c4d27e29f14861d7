"""The lossless certificate: its counts against levels computed here, and what it may call proven."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.cases import UNLEVELLED, kind_cases, steps_of
from helpers.drawn import drawn
from helpers.oracle import LARGEST_LEVELS, REPEATS, level_sent
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF, SignedIF, kind_named
from spikec.ir.operations import Affine, Convolution, SumPool
from spikec.ir.walks import depth


def linear(node, x, *, bias):
    """One linear node on float64 [N, ...] that holds integers."""
    added = torch.tensor(node.bias, dtype=torch.float64) if bias and isinstance(node, Convolution | Affine) else None
    if isinstance(node, Convolution):
        weight = torch.tensor(node.weight, dtype=torch.float64)
        return F.conv2d(x, weight, added, node.stride, node.padding, node.dilation, node.groups)
    if isinstance(node, Affine):
        weight = torch.tensor(node.weight, dtype=torch.float64)
        return F.linear(x.flatten(1), weight.flatten(1), added)
    if isinstance(node, SumPool):
        return F.avg_pool2d(x, node.kernel, node.stride, divisor_override=1)
    return x.flatten(1)


def levels_and_output(graph, integers):
    """Level of every neuron and the output of the quantised network, driven and steady input kept apart: ``steady`` is
    what image and biases add per step, and there are T steps of it unless everything enters once."""
    repeats = REPEATS[graph.populations[0].neuron.name](graph.timesteps)
    driven, steady, levels = {}, {}, {}
    for node in graph:
        if isinstance(node, InputNode):
            steady[node.name] = torch.tensor(integers, dtype=torch.float64)
            driven[node.name] = torch.zeros_like(steady[node.name])
            continue
        d, s = (sum(values[source] for source in node.sources) for values in (driven, steady))
        if not isinstance(node, Population | Readout):
            driven[node.name], steady[node.name] = linear(node, d, bias=False), linear(node, s, bias=True)
            continue
        total = torch.tensor(node.v_init, dtype=torch.float64) + d + repeats * s
        if isinstance(node, Readout):
            return levels, total.numpy()
        top = LARGEST_LEVELS[node.neuron.name](node.neuron, graph.timesteps)
        level = torch.floor(total / torch.tensor(node.theta, dtype=torch.float64)).clamp(0, top)
        levels[node.name] = level.numpy()
        driven[node.name], steady[node.name] = level, torch.zeros_like(level)
    raise AssertionError("no readout")


def emitted(graph, trace, name):
    """What the neurons of a population sent in all."""
    return level_sent(graph.nodes[name].neuron, np.moveaxis(trace.spikes[name], 1, 0))


def pushed(rng, graph):
    """The same graph with extreme initial membranes, thresholds of one and large negative biases here and there."""
    nodes = dict(graph.nodes)
    for name, node in nodes.items():
        chance = rng.integers(5)
        if isinstance(node, Population) and chance == 0:
            nodes[name] = replace(node, v_init=rng.integers(-5000, 5000, node.shape))
        elif isinstance(node, Population) and chance == 1:
            nodes[name] = replace(node, theta=np.ones_like(node.theta), v_init=rng.integers(-2, 3, node.shape))
        elif isinstance(node, Convolution | Affine) and chance == 0:
            nodes[name] = replace(node, bias=-50 * abs(node.bias))
    return replace(graph, nodes=nodes)


@settings(max_examples=drawn(60), deadline=None)
@given(seed=st.integers(0, 2**32), which=st.sampled_from(kind_cases(drain=0, without=UNLEVELLED)), small=st.booleans())
def test_differences_are_those_to_the_levels_and_what_is_proven_holds(random_graph, random_images, seed, which, small):
    rng = np.random.default_rng(seed)
    kind, schedule, _ = which
    timesteps = steps_of(kind, int(rng.integers(1, 6)))
    graph = pushed(rng, random_graph(rng, kind=kind, schedule=schedule, timesteps=timesteps, small=small))
    if kind_named(kind).drains and schedule == "pipelined":
        if rng.integers(2):
            graph = replace(graph, nodes={n.name: without_negative(n) for n in graph})
        graph = replace(graph, drain=timesteps * int(rng.integers(0, depth(graph) + 1)))
    integers = random_images(rng, graph, 3)
    images = integers * graph.input.scale
    certificate = tc.certify(graph, images)
    trace = tc.simulate(graph, images, record="spikes")
    levels, output = levels_and_output(graph, integers)
    assert [layer.layer for layer in certificate.layers] == list(levels)
    for layer in certificate.layers:
        gap = abs(emitted(graph, trace, layer.layer).astype(int) - levels[layer.layer])
        assert (layer.neurons, layer.differing, layer.largest) == (gap.size, (gap > 0).sum(), gap.max())
    assert certificate.outputs == (trace.output != output).any(1).sum()
    assert certificate.images == 3
    assert certificate.lossless or not certificate.proof
    assert bool(certificate.proof) == may_be_proven(graph)


def without_negative(node):
    return replace(node, neuron=SignedIF()) if isinstance(node, Population) else node


def may_be_proven(graph):
    kind = graph.populations[0].neuron.name
    if kind in ("graded", "bit_serial"):
        return True
    if graph.schedule == "layerwise":
        return True
    if graph.timesteps == 1 and not graph.drain and kind != "calibrated_if":
        return True
    negative = [p.neuron.theta_neg for p in graph.populations if kind == "signed_if"]
    one_unit = all(theta is None or (theta == 1).all() for theta in negative)
    return kind == "signed_if" and one_unit and graph.drain == graph.timesteps * depth(graph)


def test_one_drain_step_too_few_is_not_called_proven(one_layer):
    """Input of +3 theta, then nothing: three spikes are due, the last of them in drain step T - 1."""
    graph = one_layer(weight=[[3]], bias=[0], theta=1, v_init=0, kind="signed_if", timesteps=3, drain=2)
    images = np.array([[1.0]])
    assert str(tc.certify(graph, images)) == "lossless on these 1 images (measured, not proven)"
    assert str(tc.certify(replace(graph, drain=3), images)).startswith("lossless: proven (dual-threshold")


def test_mismatch_names_the_worst_layer(one_layer):
    """The first neuron fires at step 1, the second at step 2, and what they send cancels: one spike too many."""
    early = one_layer(weight=[[0], [0]], bias=[0, 1], theta=2, v_init=[2, 0], timesteps=2)
    graph = replace(
        early,
        nodes={
            **{name: early.nodes[name] for name in ("input", "dense", "neurons")},
            "mix": Affine("mix", ("neurons",), (2,), (1,), np.array([[1, -1]]), np.array([0])),
            "late": Population("late", ("mix",), (1,), IF(), np.array([1]), np.array([0])),
            "out": Affine("out", ("late",), (1,), (1,), np.array([[1]]), np.array([0])),
            "readout": Readout("readout", ("out",), (1,), np.array([0]), 1.0),
        },
    )
    certificate = tc.certify(graph, np.zeros((4, 1)))
    assert not certificate.lossless
    assert str(certificate) == "not lossless: 4 of 4 images have other outputs; most in late: 100.00 % of the counts"
    assert tc.certify(replace(graph, schedule="layerwise"), np.zeros((4, 1))).lossless


def test_image_through_several_weights_counts_once_per_step():
    """Chains and skips of synapses before the first neuron, and the image once more before a later one."""
    rng = np.random.default_rng(0)

    def affine(name, *sources):
        return Affine(name, sources, (3,), (3,), rng.integers(-3, 4, (3, 3)), rng.integers(-4, 5, 3))

    def neurons(name, *sources):
        return Population(name, sources, (3,), IF(), np.array([5, 6, 7]), np.array([2, 3, 3]))

    nodes = (
        InputNode("input", (3,), "uint8", 1.0),
        affine("a", "input"),
        affine("b", "a"),
        neurons("first", "a", "b"),
        affine("c", "first", "a"),
        neurons("second", "c", "b"),
        affine("d", "second"),
        Readout("readout", ("d",), (3,), np.zeros(3, np.int64), 1.0),
    )
    integers = rng.integers(0, 9, (50, 3))
    for schedule in ("layerwise", "pipelined"):
        graph = IntegerGraph({node.name: node for node in nodes}, 3, schedule)
        certificate = tc.certify(graph, integers.astype(float))
        levels, _ = levels_and_output(graph, integers)
        trace = tc.simulate(graph, integers.astype(float))
        assert [layer.differing for layer in certificate.layers] == [
            (trace.counts[name] != level).sum() for name, level in levels.items()
        ]
        assert certificate.lossless or schedule == "pipelined"


def test_images_are_run_twice_so_an_iterator_is_refused(one_layer):
    graph = one_layer(weight=[[1]], bias=[0], theta=1)
    with pytest.raises(tc.DataError, match="give an array"):
        tc.certify(graph, iter([np.array([[1.0]])]))


def test_image_without_a_weight_is_refused(one_layer):
    graph = one_layer(weight=[[1]], bias=[0], theta=1, timesteps=2)
    nodes = {**graph.nodes, "neurons": replace(graph.nodes["neurons"], sources=("dense", "input"))}
    with pytest.raises(tc.GraphError, match="neurons: the image enters without a weight"):
        tc.certify(replace(graph, nodes=nodes), np.array([[1.0]]))

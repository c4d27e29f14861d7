"""Other tools' numbers against their definitions, on rasters where these can be written in a line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikec.energy import convention, count, priced
from spikec.energy.conventions import mean
from spikec.errors import ToolchainError
from spikec.ir.kinds import IF, CalibratedIF, SignedIF
from spikec.simulation import simulate
from spikec.simulation.trace import Trace


def executed(net, raster, pixels):
    """A trace of the emissions ``raster[name]`` [N, T, *shape]."""
    images = next(iter(raster.values())).shape[0]
    output = np.zeros((images, net.readout.shape[0]), dtype=np.int64)
    return Trace(
        {"output": output},
        {"output": 1.0},
        {name: r.sum(axis=1).astype(np.int32) for name, r in raster.items()},
        {name: (r != 0).sum(axis=1).astype(np.int32) for name, r in raster.items()},
        input_events=pixels,
        timesteps=net.timesteps,
    )


@pytest.fixture
def case(make):
    """conv on spikes with stride, border and zero weights; (net, trace, raster) for emissions drawn from ``values``."""

    def build(values, kind="if", **options):
        rng = np.random.default_rng(0)
        net = make.graph(
            [
                make.input("input", (2, 7, 6), "uint8", 1.0),
                make.convolution("first", ["input"], (2, 7, 6), rng.integers(1, 3, (3, 2, 1, 1))),
                make.population("n", ["first"], (3, 7, 6), kind, **options),
                make.convolution("conv", ["n"], (3, 7, 6), rng.integers(-1, 2, (4, 3, 3, 3)), stride=2, padding=1),
                make.readout("readout", ["conv"], (4, 4, 3)),
            ]
        )
        raster = rng.choice(values, (5, 4, 3, 7, 6))
        return net, executed(net, {"n": raster}, np.full((2, 7, 6), 5, dtype=np.int32)), raster

    return build


def run_conv(raster, weight):
    """Sum of the outputs of the layer run on ``raster``, as the tools do it."""
    x = torch.from_numpy(raster.reshape(-1, 3, 7, 6)).double()
    return float(torch.nn.functional.conv2d(x, torch.from_numpy(weight).double(), stride=2, padding=1).sum())


def test_neurobench_binarises_inputs_and_weights(case):
    net, trace, raster = case([-1, 0, 1], "signed_if")
    got = convention(net, trace, "neurobench").values
    expected = run_conv((raster != 0).astype(float), (net.nodes["conv"].weight != 0).astype(float)) / 5
    assert got["Effective_ACs"] == expected
    assert got["Effective_MACs"] == 4 * 2 * 7 * 6 * 3
    ones = run_conv(np.ones((1, 4, 3, 7, 6)), np.ones((4, 3, 3, 3)))
    assert got["Dense"] == ones + 4 * 2 * 7 * 6 * 3


def test_sinabs_weights_by_value(case):
    for values, kind, options in (([-1, 0, 1], "signed_if", {}), ([0, 3, 7], "graded", {"levels": 7})):
        net, trace, raster = case(values, kind, **options)
        got = convention(net, trace, "sinabs")
        assert got.values["synops"] == pytest.approx(run_conv(raster, np.ones((4, 3, 3, 3))) / 5)
        assert got.values["synops"] != got.ours["SynOps"]


def test_syops_multiplies_all_positions_by_the_rate(case):
    net, trace, raster = case([0, 1])
    got = convention(net, trace, "syops").values
    padded, neurons = 4 * 3 * 9 * 4 * 3, 3 * 7 * 6
    assert got["ACs"] == pytest.approx(padded * 4 * raster.mean() + neurons * 4)
    assert got["MACs"] == 4 * 2 * 7 * 6 * 3
    assert got["joules"] == pytest.approx(got["ACs"] * 0.9e-12 + got["MACs"] * 4.6e-12)
    assert got["ACs"] > count(net, trace).synapses["conv"].synops / 5
    net, trace, raster = case([-1, 0, 1], "signed_if")
    assert convention(net, trace, "syops").values["ACs"] == 0


def test_keras_spiking_multiplies_connections_by_the_mean_rate(case):
    net, trace, raster = case([0, 1])
    got = convention(net, trace, "keras-spiking").values
    assert got["synops"] == pytest.approx(4 * 3 * 9 * 4 * 3 * 4 * raster.mean())
    neurons = 3 * 7 * 6
    assert got["joules"] == pytest.approx(got["synops"] * 27.1e-12 + neurons * 4 * 81e-12)


def test_notes_and_unknown_tools(case):
    net, trace, _ = case([-1, 0, 1], "signed_if")
    assert "cancel" in str(convention(net, trace, "sinabs"))
    with pytest.raises(ToolchainError, match="neurobench"):
        convention(net, trace, "nengo")


def test_a_note_for_each_difference_that_applies(case):
    cases = {"signs": ([-1, 0, 1], "signed_if", {}), "payloads": ([0, 3, 7], "graded", {"levels": 7})}
    cases["plain"] = ([0, 1], "if", {})
    said = {}
    for name, (values, kind, options) in cases.items():
        net, trace, _ = case(values, kind, **options)
        found = convention(net, trace, "sinabs")
        said[name] = (" cancel in " in str(found), "payload" in str(found))
        assert f"here SynOps: {found.ours['SynOps']:.6g}" in str(found)
        assert "padding count" in str(convention(net, trace, "syops"))
    assert said == {"signs": (True, False), "payloads": (False, True), "plain": (False, False)}
    assert "taken as rates" in str(convention(net, trace, "keras-spiking", np.ones((5, 2, 7, 6))))


def test_without_rasters_it_says_what_it_uses_instead(make):
    net = make.small_network(np.random.default_rng(0))
    images = np.random.default_rng(1).random((3, 2, 7, 7))
    for record, says in ((None, True), ("spikes", False)):
        trace = simulate(net, images, record=record)
        for tool, instead in (("neurobench", "stand in for its non-zero pooled"), ("syops", "are taken for dense")):
            assert ("without rasters (record='spikes')" in str(convention(net, trace, tool))) == says
            assert (instead in str(convention(net, trace, tool))) == says


@pytest.mark.parametrize("tool", ["neurobench", "sinabs", "syops", "keras-spiking"])
def test_calibrated_neurons_that_run_on_after_the_raster(make, tool):
    """T = 2 and rho = 5: rasters hold two of five steps, so the tools are given what the events alone tell."""
    rng = np.random.default_rng(0)
    net = replace(make.small_network(rng), timesteps=2)
    kinds = {p.name: replace(p, neuron=CalibratedIF(5)) for p in net.populations}
    net = replace(net, nodes={**net.nodes, **kinds})
    images = rng.random((4, 2, 7, 7), dtype=np.float32)
    found = convention(net, simulate(net, images, record="spikes"), tool, images)
    assert found.values == convention(net, simulate(net, images), tool, images).values
    assert tool in ("sinabs", "keras-spiking") or "beyond T" in str(found)
    estimated = priced(net, simulate(net, images, record="spikes"), draws=10)
    assert estimated.synapses == priced(net, simulate(net, images), draws=10).synapses


CASES = {
    "3x3 s1 p1": (3, 1, 1, 1, [0, 0, 1], {}),
    "3x3 s2 p1": (3, 2, 1, 1, [0, 0, 1], {}),
    "3x3 s2 p0": (3, 2, 0, 1, [0, 0, 1], {}),
    "5x5 s1 p0": (5, 1, 0, 1, [0, 0, 1], {}),
    "depthwise": (3, 1, 1, 8, [0, 0, 1], {}),
    "border": (3, 1, 1, 1, [0, 0, 1], {}),
    "ternary": (3, 1, 1, 1, [-1, 0, 1], {"kind": "signed_if"}),
    "graded": (3, 1, 1, 1, range(8), {"kind": IF(spikes=7)}),
    "graded, signed": (3, 1, 1, 1, range(-7, 8), {"kind": SignedIF(spikes=7)}),
    "pruned": (3, 1, 1, 1, [0, 0, 1], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_tool_on_the_cases_that_tell_them_apart(make, name):
    """8 to 16 channels on 11 x 13, batch of 2: each tool's rule written with torch on the tensors it would see."""
    kernel, stride, padding, groups, values, neuron = CASES[name]
    rng = np.random.default_rng(1)
    weight = rng.choice([-2, -1, 1, 2], (16, 8 // groups, kernel, kernel))
    if name == "pruned":
        weight *= rng.random(weight.shape) < 0.5
    raster = rng.choice(values, (2, 4, 8, 11, 13))
    if name == "border":
        raster[..., 1:-1, 1:-1] = 0
    first = make.convolution("first", ["input"], (8, 11, 13), np.ones((8, 8, 1, 1)))
    conv = make.convolution("conv", ["n"], (8, 11, 13), weight, stride=stride, padding=padding, groups=groups)
    nodes = [make.input("input", (8, 11, 13), "uint8", 1.0), first]
    nodes += [make.population("n", ["first"], (8, 11, 13), **neuron), conv]
    nodes.append(make.readout("readout", ["conv"], conv.output_shape))
    net = make.graph(nodes)
    trace = executed(net, {"n": raster}, np.zeros((8, 11, 13), dtype=np.int32))
    trace.spikes["n"] = raster

    def through(x, w):
        flat, kernels = torch.from_numpy(x.reshape(-1, 8, 11, 13)).double(), torch.from_numpy(w).double()
        return torch.nn.functional.conv2d(flat, kernels, None, stride, padding, 1, groups).sum().item() / 2

    ones, dense = np.ones_like(weight), int(np.prod(conv.output_shape)) * 8 // groups * kernel**2 * 4
    found = {tool: convention(net, trace, tool).values for tool in ("neurobench", "sinabs", "syops", "keras-spiking")}
    operations = "Effective_MACs" if name.startswith("graded") else "Effective_ACs"
    assert found["neurobench"][operations] == through((raster != 0).astype(int), (weight != 0).astype(int))
    assert found["sinabs"]["synops"] == through(raster, ones)
    assert found["keras-spiking"]["synops"] == pytest.approx(dense * np.abs(raster).mean())
    binary = set(np.unique(raster)) <= {0, 1}
    neurons = 0 if neuron else 8 * 11 * 13 * 4  # an IFNode; others it does not know
    assert found["syops"]["ACs"] == pytest.approx(neurons + (dense * raster.mean() if binary else 0))
    first_layer = 8 * 8 * 11 * 13 * 4
    assert found["syops"]["MACs"] == first_layer + (0 if binary else dense)


def test_pooled_sums_are_operations_where_they_are_not_zero(make):
    """NeuroBench sees what the pool hands on: a raster tells which sums are zero, and a step of ones counts as AC."""
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    raster = {p.name: (rng.random((3, 4, *p.shape)) < 0.1).astype(np.int8) for p in net.populations}
    trace = executed(net, raster, np.zeros(net.input.shape, dtype=np.int32))
    trace.spikes.update(raster)
    accumulated = multiplied = 0.0
    for step in range(4):
        for name in ("conv2", "fc"):
            mask = torch.from_numpy((net.nodes[name].weight != 0).astype(float))
            if name == "conv2":
                x = torch.from_numpy(raster["if1"][:, step].astype(float))
                x = torch.nn.functional.avg_pool2d(x, 2) * 4
                total = torch.nn.functional.conv2d((x != 0).double(), mask, padding=1).sum().item()
            else:
                x = torch.from_numpy(raster["if2"][:, step].reshape(3, -1).astype(float))
                total = ((x != 0).double() @ mask.T).sum().item()
            if x.abs().max() <= 1:
                accumulated += total
            else:
                multiplied += total
    found = convention(net, trace, "neurobench").values
    assert found["Effective_ACs"] == accumulated / 3
    assert found["Effective_MACs"] == multiplied / 3
    assert multiplied


def test_syops_call_by_call(make):
    """Layers, pools and neurons as ``ops.py`` charges a call: two values in [0, 1] or dense, biases times the rate."""
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    nodes = dict(net.nodes)
    nodes["conv2"] = replace(nodes["conv2"], bias=np.ones(5, dtype=np.int64))
    net = replace(net, nodes=nodes)
    raster = {p.name: (rng.random((3, 4, *p.shape)) < 0.1).astype(np.int8) for p in net.populations}
    raster["if1"][:, 1] = 0  # an empty step, and one whose pooled values are 0 and a quarter
    raster["if1"][:, 2] = 0
    raster["if1"][:, 2, 0, 0, 0] = 1
    trace = executed(net, raster, np.zeros(net.input.shape, dtype=np.int32))
    trace.spikes.update(raster)
    acs = macs = 0.0

    def call(x, operations):
        nonlocal acs, macs
        if len(np.unique(x)) <= 2 and x.max() <= 1 and x.min() >= 0:
            acs += operations * x.mean()
        else:
            macs += operations

    images = rng.random((3, 2, 7, 7)).astype(np.float32)
    for step in range(4):
        x = raster["if1"][:, step].astype(float)
        pooled = torch.nn.functional.avg_pool2d(torch.from_numpy(x), 2).numpy()
        call(np.rint(images * 255), 3 * 4 * 2 * 9 * 49)
        call(x, 3 * 4 * 49)
        call(pooled, 3 * (5 * 4 * 9 * 9 + 5 * 9))
        call(raster["if2"][:, step], 3 * 45 * 3 + 3)
        acs += 3 * (4 * 49 + 5 * 9)
    found = convention(net, trace, "syops", images).values
    assert found["ACs"] == pytest.approx(acs / 3)
    assert found["MACs"] == pytest.approx(macs / 3)
    assert 0 < macs < 4 * 3 * (4 * 2 * 9 * 49 + 5 * 4 * 9 * 9 + 5 * 9)
    pixels = np.rint(images * 255) / 255
    fans = convention(net, trace, "sinabs", images).values["synops"] - convention(net, trace, "sinabs").values["synops"]
    first = torch.nn.functional.conv2d(torch.from_numpy(pixels).double(), torch.ones(4, 2, 3, 3).double(), padding=1)
    assert fans == pytest.approx(4 * first.sum().item() / 3)
    rates = [convention(net, trace, "keras-spiking", x).values["synops"] for x in (images, None)]
    assert rates[0] - rates[1] == pytest.approx(4 * 2 * 9 * 49 * 4 * pixels.mean() * 0.001)


def test_batches_add_up(case):
    net, trace, _ = case([0, 1])
    one = convention(net, trace, "neurobench")
    assert mean([(5, one), (5, one)]).values == pytest.approx(one.values)
    assert mean([(5, one), (10, one)]).notes == one.notes

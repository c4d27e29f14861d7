"""Bounds behind neurons and through residuals: attained by constructed images, never exceeded by searched ones."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.analysis.ranges import bounds
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF
from spikec.ir.operations import Affine, Convolution, Flatten
from spikec.simulation.golden import GoldenModel
from spikec.simulation.registers import Register, Registers

_WATCHED = Registers(Register(2**40), Register(2**40), accumulators=True)


def _conv(name, source, channels, weight, padding, stride=1, dilation=1, groups=1, bias=None):
    kernel = dilation * (weight.shape[2] - 1) + 1
    size = (_SIZE + 2 * padding - kernel) // stride + 1
    bias = np.zeros(len(weight), np.int64) if bias is None else bias
    return Convolution(
        name, (source,), (channels, _SIZE, _SIZE), (len(weight), size, size), weight, bias,
        (stride, stride), (padding, padding), (dilation, dilation), groups,
    )  # fmt: skip


_SIZE, _CHANNELS = 5, 2


def _residual(rng, schedule="pipelined", timesteps=3):
    """Pixels that make neurons fire at every step or never; a convolution, a dilated one and a skip into one layer."""
    shape = (_CHANNELS, _SIZE, _SIZE)
    one, start = np.ones(shape, np.int64), np.zeros(shape, np.int64)
    stem = _conv("stem", "input", _CHANNELS, np.ones((_CHANNELS, 1, 1, 1), np.int64), 0, groups=_CHANNELS)
    branches = [
        _conv("body", "spikes", _CHANNELS, rng.integers(-20, 21, (2, 2, 3, 3)), 1, bias=rng.integers(-9, 9, 2)),
        _conv("wide", "spikes", _CHANNELS, rng.integers(-20, 21, (2, 1, 3, 3)), 2, dilation=2, groups=2),
        _conv("skip", "spikes", _CHANNELS, rng.integers(-60, 61, (2, 2, 1, 1)), 0, bias=rng.integers(-9, 9, 2)),
    ]
    theta = np.full(shape, 25)
    nodes = [
        InputNode("input", shape, "uint8", 1.0),
        stem,
        Population("spikes", ("stem",), shape, IF(), one, start),
        *branches,
        Population("merged", tuple(b.name for b in branches), shape, IF(), theta, theta // 2),
        Flatten("flat", ("merged",), shape, (50,)),
        Affine("out", ("flat",), (50,), (3,), rng.integers(-9, 10, (3, 50)), rng.integers(-9, 9, 3)),
        Readout("readout", ("out",), (3,), np.zeros(3, np.int64), 1.0),
    ]
    return IntegerGraph({node.name: node for node in nodes}, timesteps, schedule)


def _effective(graph, neuron):
    """Weight of every neuron of ``spikes`` onto one neuron of ``merged``, all branches added, tap by tap."""
    o, y, x = neuron
    total = np.zeros((_CHANNELS, _SIZE, _SIZE), np.int64)
    for name in ("body", "wide", "skip"):
        node = graph.nodes[name]
        out, per_group, kh, kw = node.weight.shape
        for i, u, v in np.ndindex(per_group, kh, kw):
            row, column = y - node.padding[0] + u * node.dilation[0], x - node.padding[1] + v * node.dilation[1]
            if 0 <= row < _SIZE and 0 <= column < _SIZE:
                total[o // (out // node.groups) * per_group + i, row, column] += node.weight[o, i, u, v]
    return total


@pytest.mark.parametrize("schedule", ["pipelined", "layerwise"])
@pytest.mark.parametrize("seed", [0, 1])
def test_bounds_of_a_residual_layer_are_attained_in_every_neuron(schedule, seed):
    """Sums of one step and membranes: some image reaches the lowest and the highest that are proven."""
    graph = _residual(np.random.default_rng(seed), schedule)
    ranges, model = bounds(graph), GoldenModel(graph, measure=True, registers=_WATCHED)
    bias = sum(graph.nodes[name].bias for name in ("body", "wide", "skip"))
    checked = 0
    for neuron in [(0, 0, 0), (1, 2, 2), (0, 2, 4), (1, 4, 1)]:
        weights = _effective(graph, neuron)
        for extreme, bound, side in ((weights < 0, "lowest", 0), (weights > 0, "highest", 1)):
            image = np.where(extreme, 255, 0)[None].astype(float)
            step = int(weights[extreme].sum())
            proven = int(getattr(ranges.sums["merged"], bound)[neuron])
            assert proven == step
            assert int(getattr(ranges.accumulators["merged"], bound)[neuron]) == step + bias[neuron[0]]
            trace = model.run(image, record="spikes")
            assert trace.accumulator["merged"][side] * (-1, 1)[side] >= proven * (-1, 1)[side]
            z, m = step + int(bias[neuron[0]]), int(graph.nodes["merged"].v_init[neuron])
            seen = []
            for _ in range(graph.timesteps):  # the same input at every step, in whole numbers
                m += z
                seen.append(m)
                m -= 25 * (m >= 25 and schedule == "pipelined")
            reached = (min if side == 0 else max)(seen)
            # Else the extreme is silence, or a neuron that waits just below its threshold for the largest input.
            if z < 0 if side == 0 else z >= (37 if schedule == "pipelined" else 0):
                checked += 1
                assert int(getattr(ranges.membranes["merged"], bound)[neuron]) == reached
    assert checked >= 6


def test_apart_the_branches_would_be_bounded_too_wide():
    """The skip undoes what the convolution does: together no spike moves the neuron."""
    shape = (1, _SIZE, _SIZE)
    one = np.ones(shape, np.int64)
    nodes = [
        InputNode("input", shape, "uint8", 1.0),
        _conv("stem", "input", 1, np.ones((1, 1, 1, 1), np.int64), 0),
        Population("spikes", ("stem",), shape, IF(), one, 0 * one),
        _conv("body", "spikes", 1, np.full((1, 1, 1, 1), 100), 0),
        _conv("skip", "spikes", 1, np.full((1, 1, 1, 1), -100), 0),
        Population("merged", ("body", "skip"), shape, IF(), one, 0 * one),
        Flatten("flat", ("merged",), shape, (25,)),
        Affine("out", ("flat",), (25,), (1,), np.ones((1, 25), np.int64), np.zeros(1, np.int64)),
        Readout("readout", ("out",), (1,), np.zeros(1, np.int64), 1.0),
    ]
    ranges = bounds(IntegerGraph({node.name: node for node in nodes}, 4, "pipelined"))
    assert (ranges.sums["merged"].low, ranges.sums["merged"].high) == (0, 0)
    assert (ranges.membranes["merged"].low, ranges.membranes["merged"].high) == (0, 0)
    assert ranges.magnitudes["merged"] >= 200  # a simulator adds the branches one after the other


@pytest.mark.parametrize("kind", ["if", "signed_if", "calibrated_if", "bit_serial", "graded"])
@settings(max_examples=drawn(12), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_sum_or_membrane_leaves_its_bound(random_graph, kind, seed):
    """Random images, and a climb towards the bound of the layer whose bound is nearest."""
    rng = np.random.default_rng(seed)
    serial = kind in ("bit_serial", "graded")
    graph = random_graph(
        rng, kind=kind, schedule="layerwise" if serial else "pipelined", timesteps=1 if kind == "graded" else 3,
        drain=2 if kind == "signed_if" else 0,
    )  # fmt: skip
    ranges, model = bounds(graph), GoldenModel(graph, measure=True, registers=_WATCHED)
    node = graph.input
    images = rng.integers(node.low, node.high + 1, (8, *node.shape))
    images[:4] = np.where(rng.random((4, *node.shape)) < 0.5, node.low, node.high)
    for _ in range(4):
        trace = model.run(images * node.scale)
        for name, (low, high) in trace.accumulator.items():
            assert ranges.sums[name].low <= low <= high <= ranges.sums[name].high, name
        for name, (low, high) in trace.membrane.items():
            assert ranges.membranes[name].low <= low <= high <= ranges.membranes[name].high, name
        # Keep the images with the most extreme readout and change a few pixels of them to the ends of the range.
        best = images[np.argsort(np.abs(trace.output).max(axis=1))[-4:]]
        ends = np.where(rng.random((8, *node.shape)) < 0.5, node.low, node.high)
        images = np.where(rng.random((8, *node.shape)) < 0.3, ends, np.concatenate([best, best]))

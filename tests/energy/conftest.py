"""Hand-made integer graphs and traces for the energy tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from toolchain.ir.integer import (
    Affine,
    Convolution,
    Flatten,
    InputNode,
    IntegerGraph,
    Population,
    Readout,
    SumPool,
)
from toolchain.simulation.trace import Trace


def convolution(name, sources, shape, weight, *, stride=1, padding=0, dilation=1, groups=1, margin=(0,) * 4):
    stride, padding, dilation = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    out = tuple(
        (shape[i + 1] + 2 * padding[i] - dilation[i] * (weight.shape[i + 2] - 1) - 1) // stride[i] + 1 for i in (0, 1)
    )
    return Convolution(
        name, tuple(sources), shape, (weight.shape[0], *out), weight.astype(np.int64),
        np.zeros(weight.shape[0], dtype=np.int64), stride, padding, dilation, groups, margin,
    )  # fmt: skip


def affine(name, sources, weight):
    outputs, inputs = weight.shape
    bias = np.arange(outputs, dtype=np.int64)
    return Affine(name, tuple(sources), (inputs,), (outputs,), weight.astype(np.int64), bias)


def population(name, sources, shape, kind="if", **kwargs):
    theta = np.full(shape, 10, dtype=np.int64)
    return Population(name, tuple(sources), shape, kind, theta, theta // 2, **kwargs)


def pool(name, sources, shape, size):
    out = (shape[0], shape[1] // size, shape[2] // size)
    return SumPool(name, tuple(sources), shape, out, (size, size), (size, size))


def flatten(name, sources, shape):
    return Flatten(name, tuple(sources), shape, (int(np.prod(shape)),))


def readout(name, sources, outputs):
    return Readout(name, tuple(sources), (outputs,), np.zeros(outputs, dtype=np.int64), 0.5)


def graph(nodes, timesteps=4, schedule="pipelined", drain=0):
    return IntegerGraph({node.name: node for node in nodes}, timesteps, schedule, drain)


def random_trace(net, rng, images=3, density=0.4, highest=None):
    """A trace with random events; not an execution, counting does not care."""
    highest = net.emission_steps if highest is None else highest
    events = {
        p.name: (rng.integers(0, highest + 1, (images, *p.shape)) * (rng.random((images, *p.shape)) < density))
        .astype(np.int32)
        for p in net.populations
    }  # fmt: skip
    pixels = rng.integers(0, images + 1, net.input.shape).astype(np.int32)
    classes = net.readout.shape[0]
    output = np.zeros((images, classes), dtype=np.int64)
    steps = {"timesteps": net.timesteps, "extra_steps": net.emission_steps - net.timesteps}
    return Trace(output, output.astype(np.float32), dict(events), events, input_events=pixels, **steps)


def small_network(rng, timesteps=4, schedule="pipelined"):
    """conv, pool, conv, flatten, affine: the usual shape of a small classifier."""
    w1, w2 = rng.integers(-3, 4, (4, 2, 3, 3)), rng.integers(-3, 4, (5, 4, 3, 3))
    w3 = rng.integers(-3, 4, (3, 5 * 3 * 3))
    return graph(
        [
            InputNode("input", (2, 7, 7), "uint8", 1 / 255),
            convolution("conv1", ["input"], (2, 7, 7), w1, padding=1),
            population("if1", ["conv1"], (4, 7, 7)),
            pool("pool", ["if1"], (4, 7, 7), 2),
            convolution("conv2", ["pool"], (4, 3, 3), w2, padding=1),
            population("if2", ["conv2"], (5, 3, 3)),
            flatten("flatten", ["if2"], (5, 3, 3)),
            affine("fc", ["flatten"], w3),
            readout("readout", ["fc"], 3),
        ],
        timesteps,
        schedule,
    )


@pytest.fixture
def make():
    """Builders of nodes, graphs and traces."""
    return SimpleNamespace(
        input=InputNode, convolution=convolution, affine=affine, population=population, pool=pool,
        flatten=flatten, readout=readout, graph=graph, random_trace=random_trace, small_network=small_network,
    )  # fmt: skip

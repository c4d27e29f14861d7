"""Small deployments made by hand: the same network every time."""

from __future__ import annotations

import numpy as np

from helpers.nodes import affine, convolution, flatten, graph_of, pool, population, readout
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph
from spikec.simulation.trace import Trace


def one_layer(
    *, weight, bias, theta, kind="if", timesteps=4, schedule="pipelined", drain=0, dtype="uint8", **fields
) -> IntegerGraph:
    """input -> dense -> neurons -> copy (one to one, weight 1) -> readout; ``theta`` a number or one per neuron."""
    weight = np.array(weight, np.int64)
    outputs = len(weight)
    nodes = (
        InputNode("input", weight.shape[1:], dtype, 1.0),
        affine("dense", ["input"], weight, np.array(bias, np.int64)),
        population("neurons", ["dense"], (outputs,), kind, theta, **fields),
        affine("copy", ["neurons"], np.eye(outputs), np.zeros(outputs)),
        readout("readout", ["copy"], outputs, scale=1.0),
    )
    return graph_of(nodes, timesteps, schedule, drain)


def small_network(rng, timesteps=4, schedule="pipelined") -> IntegerGraph:
    """conv, pool, conv, flatten, affine: the usual shape of a small classifier, with random weights."""
    w1, w2 = rng.integers(-3, 4, (4, 2, 3, 3)), rng.integers(-3, 4, (5, 4, 3, 3))
    w3 = rng.integers(-3, 4, (3, 5 * 3 * 3))
    nodes = [
        InputNode("input", (2, 7, 7), "uint8", 1 / 255),
        convolution("conv1", ["input"], (2, 7, 7), w1, padding=1),
        population("if1", ["conv1"], (4, 7, 7)),
        pool("pool", ["if1"], (4, 7, 7), 2),
        convolution("conv2", ["pool"], (4, 3, 3), w2, padding=1),
        population("if2", ["conv2"], (5, 3, 3)),
        flatten("flatten", ["if2"], (5, 3, 3)),
        affine("fc", ["flatten"], w3),
        readout("readout", ["fc"], 3),
    ]
    return graph_of(nodes, timesteps, schedule)


def random_trace(net, rng, images=3, density=0.4, highest=None) -> Trace:
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
    return Trace({"output": output}, {"output": 1.0}, dict(events), events, input_events=pixels, **steps)


def two_convolutions(
    channels=8, size=16, kernel=3, kind="if", schedule="pipelined", timesteps=4, theta=100, **options
) -> IntegerGraph:
    """Two 'same' convolutions with a pool between, and a readout; all weights are 1. For places on a chip."""
    shape, half = (channels, size, size), (channels, size // 2, size // 2)
    weight, same = np.ones((channels, channels, kernel, kernel)), kernel // 2
    nodes = [
        InputNode("input", shape, "int8", 0.1),
        convolution("conv1", ["input"], shape, weight, padding=same),
        population("if1", ["conv1"], shape, kind, theta, **options),
        pool("pool", ["if1"], shape, 2),
        convolution("conv2", ["pool"], half, weight, padding=same),
        population("if2", ["conv2"], half, kind, theta, **options),
        flatten("flatten", ["if2"], half),
        affine("fc", ["flatten"], np.ones((10, int(np.prod(half)))), np.zeros(10)),
        readout("readout", ["fc"], 10),
    ]
    return graph_of(nodes, timesteps, schedule)


def digits_network(timesteps=3, seed=0) -> IntegerGraph:
    """For the 8x8 digits: a convolution, a pool and a dense layer of random weights."""
    rng = np.random.default_rng(seed)
    conv = convolution(
        "conv", ["input"], (1, 8, 8), rng.integers(-128, 128, (3, 1, 3, 3)), rng.integers(-500, 500, 3), padding=1
    )
    nodes = [
        InputNode("input", (1, 8, 8), "uint8", 1 / 255),
        conv,
        population("fire", ["conv"], (3, 8, 8), theta=9000),
        pool("pool", ["fire"], (3, 8, 8), 2),
        flatten("flat", ["pool"], (3, 4, 4)),
        affine("head", ["flat"], rng.integers(-128, 128, (10, 48)), np.zeros(10)),
        readout("readout", ["head"], 10, scale=0.01),
    ]
    return graph_of(nodes, timesteps)


def residual_network(seed=0, timesteps=5) -> IntegerGraph:
    """A skip, and a readout of two branches; names that look alike once dots are replaced."""
    rng = np.random.default_rng(seed)

    def ints(*shape):
        return rng.integers(-6, 7, shape)

    def neurons(name, sources, shape, theta):
        return population(name, sources, shape, theta=theta, v_init=rng.integers(-theta, 2 * theta, shape))

    maps = (3, 6, 6)
    nodes = [
        InputNode("input", (1, 6, 6), "uint8", 0.5),
        convolution("conv", ["input"], (1, 6, 6), ints(3, 1, 3, 3), ints(3), padding=1),
        neurons("a.if", ["conv"], maps, 13),
        convolution("branch", ["a.if"], maps, ints(3, 3, 3, 3), ints(3), padding=1),
        convolution("skip", ["a.if"], maps, ints(3, 3, 1, 1), ints(3)),
        neurons("a_if", ["branch", "skip"], maps, 17),
        pool("pool", ["a_if"], maps, 2),
        flatten("flatten", ["pool"], (3, 3, 3)),
        affine("head", ["flatten"], ints(4, 27), ints(4)),
        affine("second", ["flatten"], ints(4, 27), ints(4)),
        readout("readout", ["head", "second"], 4, np.arange(4), 0.25),
    ]
    return graph_of(nodes, timesteps)


def hostile_network(name: str) -> IntegerGraph:
    """A convolution and a dense layer of random weights, their neurons called ``name``; one of them never fires."""
    rng = np.random.default_rng(5)

    def weights(*shape):
        return rng.integers(-9, 10, shape)

    shape = (2, 4, 4)
    theta = rng.integers(20, 60, shape)
    theta[0, 0, 0] = 10**6  # this neuron never fires
    nodes = [
        InputNode("input", (1, 4, 4), "uint8", 1 / 15),
        convolution("conv", ["input"], (1, 4, 4), weights(2, 1, 3, 3), weights(2), padding=1),
        population(name, ["conv"], shape, theta=theta),
        flatten("flat", [name], shape),
        affine("linear", ["flat"], weights(3, 32), weights(3)),
        readout("readout", ["linear"], 3),
    ]
    return graph_of(nodes)

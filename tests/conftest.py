"""Shared fixtures: random integer graphs, and an oracle that executes them straight from the contract.

The oracle is plain int64 numpy, one image, one step, one node at a time; it shares no code with the golden model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

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


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Networks this small run many times slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _randomized(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.5, 1.5)
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.2)
            elif isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model.eval()


@pytest.fixture
def randomized() -> Callable[[nn.Module], nn.Module]:
    """``randomized(model) -> model``: random batch norms, and weights that keep a signal alive through many layers.
    Seeds what the test draws."""
    torch.manual_seed(0)
    return _randomized


# --- random graphs -----------------------------------------------------------------------------------------------


class _Builder:
    """Adds random nodes to a graph; every method returns the name of the node it added."""

    def __init__(self, rng, kind, timesteps, *, small):
        self.rng, self.kind, self.timesteps = rng, kind, timesteps
        self.small = small  # small weights and thresholds: ties and multiples of theta are common
        self.nodes = {}

    def _name(self, stem):
        return f"{stem}{len(self.nodes)}"

    def _shape(self, source):
        return self.nodes[source].output_shape

    def _ints(self, low, high, shape):
        return self.rng.integers(low, high + 1, shape).astype(np.int64)

    def _weights(self, shape):
        return self._ints(-3, 3, shape) if self.small else self._ints(-128, 127, shape)

    def _bias(self, n):
        return self._ints(-4, 4, n) if self.small else self._ints(-2000, 2000, n)

    def input(self, shape, dtype):
        self.nodes["input"] = InputNode("input", shape, dtype, 1.0 if dtype == "int8" else 1 / 255)
        return "input"

    def conv(self, source, channels=None, *, same=False):
        """Random stride, padding, dilation, groups and kernel shape; ``same`` keeps the spatial shape."""
        rng, (c, h, w) = self.rng, self._shape(source)
        groups = int(rng.choice([g for g in (1, 2, 3) if c % g == 0]))
        channels = groups * int(rng.integers(1, 3)) if channels is None else channels
        groups = groups if channels % groups == 0 else 1
        if same:
            k = tuple(int(rng.choice([1, 3])) for _ in "hw")
            stride, dilation = (1, 1), tuple(int(d) for d in rng.integers(1, 3, 2))
            padding = tuple(d * (n // 2) for d, n in zip(dilation, k, strict=True))
        else:
            k = tuple(int(rng.integers(1, min(3, n) + 1)) for n in (h, w))
            stride = tuple(int(s) for s in rng.integers(1, 3, 2))
            padding = tuple(int(p) for p in rng.integers(0, 2, 2))
            dilation = tuple(
                int(rng.integers(1, 3)) if n + 2 * p >= 2 * (a - 1) + 1 else 1
                for n, p, a in zip((h, w), padding, k, strict=True)
            )
        out = tuple(
            (n + 2 * p - d * (a - 1) - 1) // s + 1
            for n, p, d, a, s in zip((h, w), padding, dilation, k, stride, strict=True)
        )
        name = self._name("conv")
        self.nodes[name] = Convolution(
            name,
            (source,),
            (c, h, w),
            (channels, *out),
            self._weights((channels, c // groups, *k)),
            self._bias(channels),
            stride,
            padding,
            dilation,
            groups,
        )
        return name

    def affine(self, source, n):
        shape = self._shape(source)
        name = self._name("affine")
        self.nodes[name] = Affine(name, (source,), shape, (n,), self._weights((n, *shape)), self._bias(n))
        return name

    def pool(self, source):
        c, h, w = self._shape(source)
        kernel = tuple(int(self.rng.integers(1, min(2, n) + 1)) for n in (h, w))
        name = self._name("pool")
        shape = (c, h // kernel[0], w // kernel[1])
        self.nodes[name] = SumPool(name, (source,), (c, h, w), shape, kernel, kernel)
        return name

    def flatten(self, source):
        shape = self._shape(source)
        name = self._name("flatten")
        self.nodes[name] = Flatten(name, (source,), shape, (int(np.prod(shape)),))
        return name

    def _state(self, low, high, shape, per):
        """Integers that are equal over the layer, over each channel, or differ for every neuron."""
        sizes = {"layer": (1,) * len(shape), "channel": (shape[0],) + (1,) * (len(shape) - 1), "neuron": shape}
        return np.broadcast_to(self._ints(low, high, sizes[per]), shape).copy()

    def population(self, *sources):
        rng, shape = self.rng, self._shape(sources[0])
        top = int(rng.choice([3, 12, 60])) if self.small else int(rng.choice([300, 3000, 30000]))
        per = str(rng.choice(["layer", "channel", "neuron"]))
        theta = self._state(1, top, shape, per)
        v_init = theta // 2 + rng.choice([0, 0, 1, 8]) * self._state(-top, top, shape, per)
        signed = self.kind == "signed_if" and self.rng.random() < 0.7
        name = self._name(self.kind)
        self.nodes[name] = Population(
            name,
            sources,
            shape,
            self.kind,
            theta,
            v_init,
            theta_neg=self._ints(1, top, shape) if signed else None,
            levels=int(self.rng.integers(1, 9)) if self.kind == "graded" else None,
            rho=int(self.rng.integers(1, 7)) if self.kind == "calibrated_if" else None,
        )
        return name

    def readout(self, source):
        shape = self._shape(source)
        self.nodes["readout"] = Readout("readout", (source,), shape, self._ints(-50, 50, shape), 0.5)
        return "readout"


def _random_graph(rng, *, kind="if", schedule="pipelined", timesteps=4, drain=0, small=True):
    """A random sound graph of one neuron kind with pools, chains, residuals and branches.

    ``rng``: numpy Generator. ``small`` keeps numbers small, so that ties occur; otherwise weights use all of int8.
    """
    b = _Builder(rng, kind, timesteps, small=small)
    shape = tuple(int(n) for n in rng.integers((1, 3, 3), (4, 8, 8)))
    image = b.input(shape, str(rng.choice(["uint8", "int8"])))
    current = b.conv(image)
    if rng.random() < 0.4:
        current = b.pool(current)  # conv, pool, neuron: the bias passes the pool
    current = b.population(current)
    if rng.random() < 0.7:  # residual: two consumers, fan-in of two or three
        channels = b.nodes[current].output_shape[0]
        branches = [b.conv(current, channels, same=True)]
        shortcut = rng.integers(3)
        if shortcut == 0:
            branches.append(b.conv(current, channels, same=True))
        elif shortcut == 1:
            branches.append(current)
        if rng.random() < 0.3:
            inner = b.population(branches[0])
            branches[0] = b.conv(inner, channels, same=True)
        current = b.population(*branches)
    if rng.random() < 0.5:
        current = b.pool(current)
    if rng.random() < 0.3:
        current = b.conv(current)  # a chain of two linear nodes
    if rng.random() < 0.5:
        current = b.population(b.conv(current))
    current = b.flatten(current)
    if rng.random() < 0.5:
        current = b.population(b.affine(current, int(rng.integers(1, 6))))
    b.readout(b.affine(current, int(rng.integers(1, 5))))
    return IntegerGraph(b.nodes, timesteps, schedule, drain)


@pytest.fixture(scope="session")
def random_graph() -> Callable[..., IntegerGraph]:
    """``random_graph(rng, kind=, schedule=, timesteps=, drain=, small=) -> IntegerGraph``."""
    return _random_graph


def _random_images(rng, graph, n=3):
    """Integer images over the whole range of the input's dtype, many of them at its ends or zero; int64 [n, *shape]."""
    node = graph.input
    top = int(rng.choice([1, 4, node.high]))
    values = rng.integers(max(node.low, -top), top + 1, (n, *node.shape))
    ends = rng.choice([node.low, 0, node.high], (n, *node.shape))
    return np.where(rng.random((n, *node.shape)) < 0.2, ends, values).astype(np.int64)


@pytest.fixture(scope="session")
def random_images() -> Callable[..., np.ndarray]:
    """``random_images(rng, graph, n) -> int64``; real images are ``integers * graph.input.scale``."""
    return _random_images


def _one_layer(*, weight, bias, theta, kind="if", timesteps=4, schedule="pipelined", drain=0, dtype="uint8", **fields):
    """input -> dense -> neurons -> one-to-one readout of weight 1; ``theta`` a number or one per neuron."""
    weight, bias = np.array(weight, np.int64), np.array(bias, np.int64)
    outputs, inputs = weight.shape
    theta = np.broadcast_to(np.int64(theta), (outputs,)).copy()
    v_init = np.broadcast_to(np.int64(fields.pop("v_init", theta // 2)), (outputs,)).copy()
    zero = np.zeros(outputs, np.int64)
    nodes = (
        InputNode("input", (inputs,), dtype, 1.0),
        Affine("dense", ("input",), (inputs,), (outputs,), weight, bias),
        Population("neurons", ("dense",), (outputs,), kind, theta, v_init, **fields),
        Affine("copy", ("neurons",), (outputs,), (outputs,), np.eye(outputs, dtype=np.int64), zero),
        Readout("readout", ("copy",), (outputs,), zero, 1.0),
    )
    return IntegerGraph({node.name: node for node in nodes}, timesteps, schedule, drain)


@pytest.fixture(scope="session")
def one_layer() -> Callable[..., IntegerGraph]:
    """``one_layer(weight=, bias=, theta=, kind=, timesteps=, ...) -> IntegerGraph`` with nodes dense, neurons, copy."""
    return _one_layer


# --- oracle ------------------------------------------------------------------------------------------------------


def _convolve(node, x):
    """Tap by tap: z[o] += w[o, i, u, v] * x[group input i, shifted]."""
    (ph, pw), (sh, sw), (dh, dw) = node.padding, node.stride, node.dilation
    out_channels, in_per_group, kh, kw = node.weight.shape
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw)))
    _, rows, cols = node.output_shape
    z = np.zeros(node.output_shape, np.int64)
    for o in range(out_channels):
        group = o // (out_channels // node.groups)
        for i in range(in_per_group):
            channel = padded[group * in_per_group + i]
            for u in range(kh):
                for v in range(kw):
                    taps = channel[u * dh : u * dh + (rows - 1) * sh + 1 : sh, v * dw :][:, : (cols - 1) * sw + 1 : sw]
                    z[o] += node.weight[o, i, u, v] * taps
    return z


def _sum_pool(node, x):
    (kh, kw), (_, rows, cols) = node.kernel, node.output_shape
    z = np.zeros(node.output_shape, np.int64)
    for u in range(kh):
        for v in range(kw):
            z += x[:, u : rows * kh : kh, v : cols * kw : kw]
    return z


def _outputs(graph, image, emitted, *, on):
    """Output and input of every node at one tick: ``emitted`` gives what each population sends at this tick.

    ``on`` says whether the image and the biases are applied.
    """
    out, into = {}, {}
    for node in graph:
        if isinstance(node, InputNode):
            out[node.name] = image if on else np.zeros_like(image)
            continue
        x = into[node.name] = sum(out[s] for s in node.sources)
        if isinstance(node, Population):
            out[node.name] = emitted(node, x)
        elif isinstance(node, Convolution):
            out[node.name] = _convolve(node, x) + (node.bias.reshape(-1, 1, 1) if on else 0)
        elif isinstance(node, Affine):
            out[node.name] = (node.weight * x).sum(1) + (node.bias if on else 0)
        elif isinstance(node, SumPool):
            out[node.name] = _sum_pool(node, x)
        elif isinstance(node, Flatten):
            out[node.name] = x.reshape(-1)
    return into


class _Neurons:
    """State of one population, advanced a step at a time, neuron by neuron."""

    def __init__(self, node, timesteps):
        self.node, self.timesteps = node, timesteps
        self.v = node.v_init.copy()
        self.c = np.zeros(node.shape, np.int64)
        self.m = []

    def step(self, z, scale=1):
        node, s = self.node, np.zeros(self.node.shape, np.int64)
        m = self.v + z
        self.m.append(m.copy())
        for i in np.ndindex(*node.shape):
            theta = int(node.theta[i]) * scale
            negative = 1 if node.theta_neg is None else int(node.theta_neg[i])
            if node.kind == "signed_if":
                if m[i] >= theta and self.c[i] < self.timesteps:
                    s[i] = 1
                elif m[i] <= -negative and self.c[i] > 0:
                    s[i] = -1
            elif m[i] >= theta:
                s[i] = 1
            self.v[i] = m[i] - s[i] * theta
        self.c += s
        return s


def _pipelined(graph, image):
    """All layers step together, except that a calibrated layer first sees its input of rho steps (pass 1)."""
    if any(p.kind == "calibrated_if" for p in graph.populations):
        return _calibrated(graph, image)
    state = {p.name: _Neurons(p, graph.timesteps) for p in graph.populations}
    trains = {p.name: [] for p in graph.populations}
    v, curve = graph.readout.v_init.copy(), []

    def emit(node, z):
        s = state[node.name].step(z)
        trains[node.name].append(s)
        return s

    for step in range(graph.timesteps + graph.drain):
        into = _outputs(graph, image, emit, on=step < graph.timesteps)
        v = v + into[graph.readout.name]
        curve.append(v)
    return trains, {name: n.m for name, n in state.items()}, np.array(curve)


def _calibrated(graph, image):
    """Layer after layer from the input: the trains of earlier layers are complete before a layer starts."""
    steps = graph.emission_steps
    trains, membranes = {}, {}

    def inputs_of(name):
        """Input of a node at every step, given the trains known so far (later layers silent)."""
        silent = {p.name: np.zeros(p.shape, np.int64) for p in graph.populations}
        return [
            _outputs(
                graph, image, lambda p, _, t=t: trains[p.name][t] if p.name in trains else silent[p.name], on=True
            )[name]
            for t in range(steps)
        ]

    for node in graph.populations:
        currents = inputs_of(node.name)
        second = _Neurons(node, graph.timesteps)
        membranes[node.name] = []
        if node.kind == "calibrated_if":
            first = _Neurons(node, graph.timesteps)
            fired = [first.step(z) for z in currents[: node.rho]]
            membranes[node.name] += first.m
            for i in np.ndindex(*node.shape):
                theta, n, v_rho = int(node.theta[i]), int(first.c[i]), int(first.v[i])
                if v_rho < 0 and n > 0:
                    a = min(int(m[i]) for m, s in zip(first.m, fired, strict=True) if s[i])
                    second.v[i] = node.v_init[i] - max(theta, a - theta + 1)
                elif v_rho >= theta and n < node.rho:
                    b = max(int(m[i]) for m, s in zip(first.m, fired, strict=True) if not s[i])
                    second.v[i] = node.v_init[i] + max(theta, theta - b)
        trains[node.name] = [second.step(z) for z in currents]
        membranes[node.name] += second.m
    curve = graph.readout.v_init + np.cumsum(inputs_of(graph.readout.name)[: graph.timesteps], axis=0)
    return trains, membranes, curve


def _layerwise(graph, image):
    """A layer first receives all ticks of its sources, then emits for T steps without input."""
    bit_serial = any(p.kind == "bit_serial" for p in graph.populations)
    steps = graph.timesteps
    trains, membranes = {}, {}

    def received(name):
        total = 0
        for t in range(steps):

            def sent(p, _, t=t):
                return trains[p.name][t] if p.name in trains else np.zeros(p.shape, np.int64)

            if bit_serial:
                total = 2 * total + _outputs(graph, image, sent, on=False)[name]
            else:
                total = total + _outputs(graph, image, sent, on=True)[name]
        if bit_serial:
            total = total + _outputs(graph, image, lambda p, _: np.zeros(p.shape, np.int64), on=True)[name]
        return total

    for node in graph.populations:
        state = _Neurons(node, steps)
        state.v = state.v + received(node.name)
        if node.kind == "graded":
            membranes[node.name] = [state.v]
            trains[node.name] = [np.clip(state.v // node.theta, 0, node.levels)]
            continue
        powers = [2 ** (steps - k) if node.kind == "bit_serial" else 1 for k in range(1, steps + 1)]
        trains[node.name] = [state.step(0, scale=power) for power in powers]
        membranes[node.name] = state.m
    return trains, membranes, (graph.readout.v_init + received(graph.readout.name))[None]


def _oracle(graph, integers):
    """Run integer images [N, *shape]: output, curve, counts, events, spikes, membrane, overflows as in a trace."""
    run = _pipelined if graph.schedule == "pipelined" else _layerwise
    counted = graph.timesteps + graph.drain
    runs = [run(graph, np.asarray(image, np.int64)) for image in integers]
    names = [p.name for p in graph.populations]
    trains = {name: np.array([r[0][name] for r in runs]) for name in names}
    membranes = {name: np.array([r[1][name] for r in runs]) for name in names}
    membranes[graph.readout.name] = np.array([r[2] for r in runs])
    return SimpleNamespace(
        output=np.array([r[2][-1] for r in runs]),
        curve=membranes[graph.readout.name] if graph.schedule == "pipelined" else None,
        spikes={name: train[:, :counted] for name, train in trains.items()},
        counts={name: train[:, :counted].sum(1) for name, train in trains.items()},
        events={name: (train != 0).sum(1) for name, train in trains.items()},
        membrane={name: (int(m.min()), int(m.max())) for name, m in membranes.items()},
        overflows={name: int(((m < -(2**23)) | (m >= 2**23)).sum()) for name, m in membranes.items()},
    )


@pytest.fixture(scope="session")
def oracle() -> Callable[..., SimpleNamespace]:
    """``oracle(graph, integers) -> output, curve, counts, events, spikes, membrane, overflows`` (plain int64 loops)."""
    return _oracle

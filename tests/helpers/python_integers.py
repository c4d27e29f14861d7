"""Deployment files run in Python integers, which never wrap: an independent reading of NIR graphs in plain loops.

It reads the nodes and the metadata of a ``nir.NIRGraph`` itself and shares no code with the product; numbers may be as
large as they like. Synapses, sum pools, flattens and neurons of the kinds ``if``, ``signed_if`` and ``graded``, and
integrators, pipelined or layerwise, for one image that stays the same.
"""

from __future__ import annotations

from itertools import product
from math import prod

import nir
import numpy as np


def _numbers(values) -> list[int]:
    return [int(x) for x in np.asarray(values).reshape(-1).tolist()]


def _pair(value) -> tuple[int, int]:
    found = _numbers(value)
    return found[0], found[-1]


class Map:
    """Whole numbers of a shape: a list in C order."""

    def __init__(self, shape, values=None):
        self.shape = tuple(int(n) for n in shape)
        self.values = [0] * prod(self.shape) if values is None else list(values)

    def __add__(self, other):
        assert self.shape == other.shape
        return Map(self.shape, [a + b for a, b in zip(self.values, other.values, strict=True)])

    def at(self, c, y, x):
        """0 on the padding."""
        _, rows, columns = self.shape
        return self.values[(c * rows + y) * columns + x] if 0 <= y < rows and 0 <= x < columns else 0


def _convolution(node, x, bias):
    weight, b = np.asarray(node.weight), _numbers(node.bias)
    outputs, inputs, kh, kw = weight.shape
    w = _numbers(weight)
    (sh, sw), (ph, pw), (dh, dw) = _pair(node.stride), _pair(node.padding), _pair(node.dilation)
    rows = (x.shape[1] + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    columns = (x.shape[2] + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    z = Map((outputs, rows, columns))
    for place, (o, y, c) in enumerate(product(range(outputs), range(rows), range(columns))):
        total = b[o] if bias else 0
        for i, u, v in product(range(inputs), range(kh), range(kw)):
            total += w[((o * inputs + i) * kh + u) * kw + v] * x.at(i, y * sh - ph + u * dh, c * sw - pw + v * dw)
        z.values[place] = total
    return z


def _affine(node, x, bias):
    outputs, inputs = np.shape(node.weight)
    w, b = _numbers(node.weight), _numbers(node.bias)
    sums = [sum(w[o * inputs + i] * x.values[i] for i in range(inputs)) for o in range(outputs)]
    return Map((outputs,), [s + b[o] if bias else s for o, s in enumerate(sums)])


def _sum_pool(node, x):
    kh, kw = _pair(node.kernel_size)
    rows, columns = x.shape[1] // kh, x.shape[2] // kw
    z = Map((x.shape[0], rows, columns))
    for place, (c, y, n) in enumerate(product(*map(range, z.shape))):
        z.values[place] = sum(x.at(c, y * kh + u, n * kw + v) for u, v in product(range(kh), range(kw)))
    return z


def _operate(node, x, bias):
    if isinstance(node, nir.Conv2d):
        return _convolution(node, x, bias)
    if isinstance(node, nir.Affine):
        return _affine(node, x, bias)
    if isinstance(node, nir.SumPool2d) and "op" not in node.metadata.get("spikec", {}):
        return _sum_pool(node, x)
    if isinstance(node, nir.Flatten) and not node.metadata.get("spikec"):
        return Map((prod(x.shape),), x.values)
    raise AssertionError(f"{type(node).__name__} is not known here: write it in {__name__}")


class _Neurons:
    """A population: membranes and net spike counts, and how one of its neurons fires."""

    def __init__(self, node, timesteps):
        own = node.metadata["spikec"]
        self.shape, self.timesteps = np.shape(node.v_threshold), timesteps
        self.theta = _numbers(node.v_threshold)
        size = len(self.theta)
        halves = [theta // 2 for theta in self.theta]
        self.v = list(np.broadcast_to(own["v_init_int"], self.shape).reshape(-1)) if "v_init_int" in own else halves
        self.v, self.count = [int(v) for v in self.v], [0] * size
        self.kind, self.levels = str(own["kind"]), int(own.get("levels", 0))
        self.most = int(own.get("max_spikes_per_step", 1))
        negative = np.broadcast_to(own.get("v_threshold_neg_int", 1), self.shape)
        self.negative = _numbers(negative)
        if self.kind not in ("if", "signed_if", "graded"):
            raise AssertionError(f"neurons of kind {self.kind} are not known here: write them in {__name__}")

    def _sent(self, i, m):
        theta, count = self.theta[i], self.count[i]
        if self.kind == "graded":
            return min(max(m // theta, 0), self.levels)
        if self.kind == "if":
            return min(max(m // theta, 0), self.most)
        if m >= theta:
            return min(m // theta, self.most, self.most * self.timesteps - count)
        return -min(-(m // theta), self.most, count) if m <= -self.negative[i] and count > 0 else 0

    def fire(self, z):
        sent = Map(self.shape)
        for i, arriving in enumerate(z.values):
            m = self.v[i] + arriving
            sent.values[i] = s = self._sent(i, m)
            self.v[i], self.count[i] = m - s * self.theta[i], self.count[i] + s
        return sent


def _order(graph):
    """Sources before readers."""
    before = {name: {str(a) for a, b in graph.edges if str(b) == name} for name in graph.nodes}
    done: list[str] = []
    while len(done) < len(before):
        done += [name for name, sources in before.items() if name not in done and sources <= set(done)]
    return done, before


def outputs_of(graph: nir.NIRGraph, image: np.ndarray) -> dict[str, list[int]]:
    """What the readouts hold after the last step, by the names of their nodes, flat. ``image``: whole numbers."""
    own = graph.metadata["spikec"]
    timesteps, drain = int(own["timesteps"]), int(own.get("drain", 0))
    order, before = _order(graph)
    neurons = {name: _Neurons(graph.nodes[name], timesteps) for name in order if isinstance(graph.nodes[name], nir.IF)}
    nodes = [name for name in order if not isinstance(graph.nodes[name], nir.Output)]
    pixels = Map(np.shape(image), _numbers(image))
    readouts = {}
    for name in nodes:
        if isinstance(graph.nodes[name], nir.I):
            shape = np.shape(graph.nodes[name].r)
            start = np.broadcast_to(graph.nodes[name].metadata["spikec"].get("v_init_int", 0), shape)
            readouts[name] = Map(shape, _numbers(start))

    def run(name, out, on):
        """What one node makes of what its sources send; ``on``: with image and biases."""
        node = graph.nodes[name]
        if isinstance(node, nir.Input):
            return pixels if on else Map(pixels.shape)
        parts = [out[source] for source in sorted(before[name])]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total if isinstance(node, nir.IF | nir.I) else _operate(node, total, on)

    if str(own["schedule"]) == "layerwise":
        trains: dict[str, list[Map]] = {}
        for name in nodes:
            per_step = []
            for step in range(timesteps):
                out = {source: trains[source][step] for source in before[name]}
                per_step.append(run(name, out, True))
            if name in neurons:  # everything arrives first, then they fire without input
                for z in per_step[:-1]:
                    neurons[name].v = [v + a for v, a in zip(neurons[name].v, z.values, strict=True)]
                silence = Map(neurons[name].shape)
                per_step = [neurons[name].fire(z) for z in [per_step[-1], *[silence] * (timesteps - 1)]]
            if name in readouts:
                for z in per_step:
                    readouts[name] = readouts[name] + z
            trains[name] = per_step
    else:
        for step in range(timesteps + drain):
            out: dict[str, Map] = {}
            for name in nodes:
                z = run(name, out, step < timesteps)
                out[name] = neurons[name].fire(z) if name in neurons else z
                if name in readouts:
                    readouts[name] = readouts[name] + z
    return {name: found.values for name, found in readouts.items()}

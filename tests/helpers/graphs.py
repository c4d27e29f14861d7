"""Random integer graphs of every neuron kind, and random images for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.cases import random_kind
from helpers.nodes import windows
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import Maximum
from spikec.ir.operations import Affine, Convolution, Flatten, MaxPool, SumPool
from spikec.ir.walks import constant_nodes


class Builder:
    """Adds random nodes to a graph; every method returns the name of the node it added.

    ``small``: small weights and thresholds, so that ties and multiples of a threshold are common. ``spikes``: the most
    in a step, for kinds that have such a field; several numbers to draw from for each layer; random if left out.
    """

    def __init__(
        self, rng: np.random.Generator, kind: str, *, small: bool, spikes: int | tuple[int, ...] | None = None
    ) -> None:
        self.rng, self.kind, self.small, self.spikes = rng, kind, small, spikes
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
        out = tuple(windows(*axis) for axis in zip((h, w), k, stride, padding, dilation, strict=True))
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

    def max_window(self, source):
        """A max pool without neurons: any kernel, stride, padding, dilation, partial windows; or adaptive."""
        c, h, w = shape = self._shape(source)
        name, rng = self._name("window"), self.rng
        self.nodes[name] = MaxPool(name, (source,), shape, *random_windows(rng, c, h, w))
        return name

    def max_pool(self, source):
        """A max pool of a population, with its neurons."""
        kind = Maximum(self.nodes[source].neuron)
        window = self.max_window(source)
        shape, name = self._shape(window), self._name("maximum")
        one = np.ones(shape, np.int64)
        self.nodes[name] = Population(name, (window,), shape, kind, one, 0 * one)
        return name

    def flatten(self, source):
        shape = self._shape(source)
        name = self._name("flatten")
        self.nodes[name] = Flatten(name, (source,), shape, (int(np.prod(shape)),))
        return name

    def _state(self, low, high, shape, per):
        """Integers: one for the whole layer, one per channel, or one per neuron."""
        sizes = {"layer": (1,) * len(shape), "channel": (shape[0],) + (1,) * (len(shape) - 1), "neuron": shape}
        return np.broadcast_to(self._ints(low, high, sizes[per]), shape).copy()

    def population(self, *sources):
        rng, shape = self.rng, self._shape(sources[0])
        top = int(rng.choice([3, 12, 60])) if self.small else int(rng.choice([300, 3000, 30000]))
        per = str(rng.choice(["layer", "channel", "neuron"]))
        theta = self._state(1, top, shape, per)
        v_init = theta // 2 + rng.choice([0, 0, 1, 8]) * self._state(-top, top, shape, per)
        name = self._name(self.kind)
        neuron = random_kind(self.kind, rng, shape, top)
        if self.spikes is not None:
            neuron = replace(
                neuron, spikes=int(rng.choice(self.spikes)) if isinstance(self.spikes, tuple) else self.spikes
            )
        self.nodes[name] = Population(name, sources, shape, neuron, theta, v_init)
        return name

    def readout(self, source):
        shape = self._shape(source)
        self.nodes["readout"] = Readout("readout", (source,), shape, self._ints(-50, 50, shape), 0.5)
        return "readout"


def random_windows(rng, channels, height, width):
    """Output shape, kernel, stride, padding, dilation and ``adaptive`` of a random max pool."""
    if rng.random() < 0.2:
        outputs = tuple(int(rng.integers(1, n + 1)) for n in (height, width))
        kernels = tuple(
            max(-(-(y + 1) * n // m) - y * n // m for y in range(m))
            for n, m in ((height, outputs[0]), (width, outputs[1]))
        )
        return (channels, *outputs), kernels, kernels, (0, 0), (1, 1), True
    axes = []
    for size in (height, width):
        while True:
            kernel, stride, dilation = (int(rng.integers(1, n)) for n in (4, 4, 3))
            padding = int(rng.integers(0, kernel // 2 + 1))
            room = size + 2 * padding - dilation * (kernel - 1) - 1
            outputs = room // stride + 1
            if rng.random() < 0.3 and room >= 0:  # a partial window at the end, if it starts inside
                outputs = -(-room // stride) + 1
                outputs -= (outputs - 1) * stride >= size + padding
            taps = [[y * stride - padding + u * dilation for u in range(kernel)] for y in range(outputs)]
            if outputs > 0 and all(any(0 <= i < size for i in window) for window in taps):
                break
        axes.append((outputs, kernel, stride, padding, dilation))
    outputs, *geometry = zip(*axes, strict=True)
    return (channels, *outputs), *geometry, False


def random_graph(
    rng, *, kind="if", schedule="pipelined", timesteps=4, drain=0, small=True, spikes=None, maxima=False
) -> IntegerGraph:
    """A random sound graph of one neuron kind with pools, chains, residuals and branches.

    ``rng``: numpy Generator. ``small`` keeps numbers small, so that ties occur; otherwise weights use all of int8.
    ``spikes``: the most in a step, for kinds that have such a field; several numbers to draw from for each layer;
    random if left out. ``maxima``: with max pools, of the image too.
    """
    b = Builder(rng, kind, small=small, spikes=spikes)
    shape = tuple(int(n) for n in rng.integers((1, 3, 3), (4, 8, 8)))
    image = b.input(shape, str(rng.choice(["uint8", "int8"])))
    if maxima and rng.random() < 0.3:
        image = b.max_window(image)
    current = b.conv(image)
    if rng.random() < 0.4:
        current = b.pool(current)  # conv, pool, neuron: the bias passes the pool
    current = b.population(current)
    if maxima:
        current = b.max_pool(current)
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
        if maxima and rng.random() < 0.5:
            current = b.max_pool(b.max_pool(current))
    if rng.random() < 0.5:
        current = b.pool(current)
    if rng.random() < 0.3:
        current = b.conv(current)  # a chain of two linear nodes
    if rng.random() < 0.5:
        current = b.population(b.conv(current))
        if maxima and rng.random() < 0.5:
            current = b.max_pool(current)
    current = b.flatten(current)
    if rng.random() < 0.5:
        current = b.population(b.affine(current, int(rng.integers(1, 6))))
    b.readout(b.affine(current, int(rng.integers(1, 5))))
    return IntegerGraph(b.nodes, timesteps, schedule, drain)


#: Names of outputs, some of which no node can have.
_OUTPUTS = ("boxes", "mask 1", "a/b", "a_b", "größe", "input", "output", "readout", "relu.1")


def random_outputs(rng, *, constant=True, **options) -> IntegerGraph:
    """A :func:`random_graph` with one to four readouts, of any shape, at random places: behind neurons, pools,
    convolutions, dense layers, sums of two nodes, and with ``constant`` the image. ``options``: of the random graph.
    """
    graph = random_graph(rng, **options)
    b = Builder(rng, "if", small=options.get("small", True))
    b.nodes = dict(graph.nodes)
    last = b.nodes.pop("readout")
    read = [
        n for n in graph if not isinstance(n, MaxPool | Readout) and (constant or n.name not in constant_nodes(graph))
    ]
    heads = [replace(last, output="classes")] if rng.random() < 0.7 else []
    for number in range(int(rng.integers(1 - len(heads), 4))):
        source = read[int(rng.integers(len(read)))].name
        way = int(rng.integers(4))
        if len(b.nodes[source].output_shape) == 3 and way < 2:
            source = b.conv(source) if way else b.pool(source)
        elif way == 2:
            source = b.affine(source, int(rng.integers(1, 5))) if len(b.nodes[source].output_shape) == 1 else source
        shape = b.nodes[source].output_shape
        others = [n.name for n in read if n.output_shape == shape and n.name != source]
        sources = (source, *(others[: int(rng.integers(2))]))
        state = rng.integers(-50, 51, shape)
        name = str(rng.choice(_OUTPUTS)) + f" {number}" * int(rng.integers(2))
        name = name if all(name != head.output for head in heads) else f"head {number}"
        heads.append(Readout(f"readout.{number}", sources, shape, state, 0.25 * (number + 1), output=name))
    if not heads:
        heads = [last]
    rng.shuffle(heads)
    return replace(graph, nodes=_sorted(rng, _read_by(b.nodes, heads), heads))


def _read_by(nodes, heads):
    """The nodes that lead to readouts."""
    wanted, kept = {source for head in heads for source in head.sources}, []
    for node in reversed(_before(nodes)):
        if node.name in wanted or node.name == "input":
            kept.insert(0, node)
            wanted |= set(node.sources)
    return kept


def _before(nodes):
    """Sources before readers."""
    done, waiting = {}, dict(nodes)
    while waiting:
        name = next(n for n, node in waiting.items() if set(node.sources) <= done.keys())
        done[name] = waiting.pop(name)
    return list(done.values())


def _sorted(rng, nodes, heads):
    """The nodes, with readouts anywhere behind what they read."""
    order = list(nodes)
    for head in heads:
        least = 1 + max(i for i, node in enumerate(order) if node.name in head.sources)
        order.insert(int(rng.integers(least, len(order) + 1)), head)
    places = {node.name: place for place, node in enumerate(order)}
    return {node.name: replace(node, sources=tuple(sorted(node.sources, key=places.get))) for node in order}


def random_images(rng, graph, n=3) -> np.ndarray:
    """Integer images over the whole range of the input's dtype, many of them at its ends or zero; int64 [n, *shape].

    Real images are ``integers * graph.input.scale``.
    """
    node = graph.input
    top = int(rng.choice([1, 4, node.high]))
    values = rng.integers(max(node.low, -top), top + 1, (n, *node.shape))
    ends = rng.choice([node.low, 0, node.high], (n, *node.shape))
    return np.where(rng.random((n, *node.shape)) < 0.2, ends, values).astype(np.int64)

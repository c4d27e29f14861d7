"""Random graphs that read sequences, with leaky neurons and feedback, and an oracle for them: plain Python integers,
one sequence, one step, one neuron at a time. The oracle shares no code with the product."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from helpers.leaky import fields_of, leaky
from helpers.oracle import operate, pooled
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Population, Readout
from spikec.ir.kinds import IF, CubaLIF, SignedIF
from spikec.ir.leak import Leak
from spikec.ir.operations import Affine, Convolution, Flatten, MaxPool


def random_sequence_graph(rng, *, feedback=True, kinds=("cuba_lif",), extreme=False, image=False, delays=True):
    """One or two layers of neurons between affine maps (or a convolution, with ``image``), each perhaps with feedback
    to itself or to the layer before, and perhaps with the input some steps late (``delays``). ``extreme``: numbers at
    which currents wrap and membranes saturate."""
    low, high = (-128, 127) if extreme else (-20, 20)
    shape = (2, 4, 3) if image else (int(rng.integers(1, 6)),)
    nodes = {"input": InputNode("input", shape, "int8", 1.0, encoding="sequence")}

    def affine(name, source, out):
        size = nodes[source].output_shape[0]
        nodes[name] = Affine(
            name, (source,), (size,), (out,), rng.integers(low, high + 1, (out, size)), rng.integers(-3, 4, out)
        )
        return name

    last, layers = "input", int(rng.integers(1, 3))
    sizes = [int(rng.integers(1, 6)) for _ in range(layers)]
    if image:
        weight, bias = rng.integers(low, high + 1, (3, 2, 2, 2)), rng.integers(-3, 4, 3)
        nodes["conv"] = Convolution("conv", ("input",), shape, (3, 3, 2), weight, bias, (1, 1), (0, 0), (1, 1))
        nodes["neurons"] = random_population(rng, "neurons", ("conv",), (3, 3, 2), str(rng.choice(kinds)), extreme)
        nodes["flat"] = Flatten("flat", ("neurons",), (3, 3, 2), (18,))
        last = "flat"
    for i, size in enumerate(sizes):
        sources = [affine(f"w{i}", last, size)]
        back = [j for j in range(i, layers) if feedback and rng.random() < 0.6]
        for j in back:
            before = Delayed.named(f"lif{j}", (sizes[j],), random_delays(rng, sizes[j], 1))
            nodes[before.name] = before
            sources.append(affine(f"r{i}_{j}", before.name, size))
        if not image and delays and rng.random() < 0.5:  # the input, late
            before = Delayed.named("input", shape, random_delays(rng, shape[0], 0))
            nodes[before.name] = before
            sources.append(affine(f"late{i}", before.name, size))
        last = f"lif{i}"
        nodes[last] = random_population(rng, last, tuple(sources), (size,), str(rng.choice(kinds)), extreme)
    out = int(rng.integers(1, 4))
    affine("out", last, out)
    leak = random_leak(rng, (out,)) if rng.random() < 0.5 else None
    decode = str(rng.choice(["membrane", "sum", "maximum"]))
    nodes["readout"] = Readout("readout", ("out",), (out,), np.zeros(out, np.int64), 1.0, leak, decode)
    return IntegerGraph(nodes, 1, "pipelined")


def random_delays(rng, size, low):
    """One number of steps for all, or different ones, of at least ``low``."""
    each = tuple(int(steps) for steps in rng.integers(low, 5, size))
    return each if len(set(each)) > 1 and rng.random() < 0.5 else int(rng.choice([1, 1, 2, 4]))


def random_population(rng, name, sources, shape, kind, extreme):
    theta = rng.integers(1, 131072 if extreme else 60, shape)
    start = rng.integers(-50, 50, shape)
    if kind == "if":
        return Population(name, sources, shape, IF(spikes=int(rng.choice([1, 3]))), theta, start)
    if kind == "signed_if":
        return Population(name, sources, shape, SignedIF(), theta, start)
    leak = random_leak(rng, shape, uniform=rng.random() < 0.5)
    neuron = CubaLIF(leak.du, leak.dv, leak.bias, subtract=int(rng.random() < 0.3))
    return Population(name, sources, shape, neuron, theta, start)


def random_leak(rng, shape, *, uniform=False):
    def draw(choices, low, high):
        value = rng.choice(choices) if rng.random() < 0.4 else rng.integers(low, high)
        return (
            np.full(shape, value)
            if uniform
            else np.where(rng.random(shape) < 0.5, value, rng.integers(low, high, shape))
        )

    return Leak(draw([4095, 0], 0, 4096), draw([0, 4095], 0, 4096), draw([0], -500, 500))


class _Layer:
    def __init__(self, node, steps):
        self.node, self.steps = node, steps
        self.v = {i: int(node.v_init[i]) for i in np.ndindex(*node.shape)}
        self.u, self.sent = dict.fromkeys(self.v, 0), dict.fromkeys(self.v, 0)
        self.membranes = []

    def step(self, z):
        s = np.zeros(self.node.shape, np.int64)
        seen = np.zeros(self.node.shape, np.int64)
        for i in self.v:
            seen[i], s[i] = self._neuron(i, int(z[i]))
        self.membranes.append(seen)
        return s

    def _neuron(self, i, z):
        kind, theta = self.node.neuron, int(self.node.theta[i])
        if kind.name == "cuba_lif":
            self.u[i], m = leaky(fields_of(kind, self.node.shape), i, self.u[i], self.v[i], z)
            s = int(m > 64 * theta)
            self.v[i] = m if not s else (m - 64 * theta if kind.subtract else 0)
            return m, s
        if kind.name == "max_pool":
            return z, z
        m = self.v[i] + z
        if kind.name == "if":
            s = min(max(m // theta, 0), kind.spikes)
        elif m >= theta and self.sent[i] < self.steps:
            s = 1
        else:
            s = -1 if m <= -1 and self.sent[i] > 0 else 0
        self.sent[i] += s
        self.v[i] = m - s * theta
        return m, s


def sent_before(node, frames, trains, step):
    """What a delay sends at a step: for each sender what it sent so many steps before, or nothing."""
    found = np.zeros(node.shape, np.int64)
    for number, place in enumerate(np.ndindex(*node.shape)):
        sent = step - (node.steps if isinstance(node.steps, int) else node.steps[number])
        if sent >= 0:
            found[place] = trains.get(node.of, frames)[sent][place]
    return found


class _Readout:
    """Membranes of an integrator, and what it puts out after each step."""

    def __init__(self, node):
        self.node = node
        self.v = {i: int(node.v_init[i]) for i in np.ndindex(*node.shape)}
        self.u = dict.fromkeys(self.v, 0)
        self.membranes, self.curve = [], []

    def step(self, z):
        seen = np.zeros(self.node.shape, np.int64)
        for i in self.v:
            if self.node.leak is None:
                self.v[i] += int(z[i])
            else:
                self.u[i], self.v[i] = leaky(self.node.leak, i, self.u[i], self.v[i], int(z[i]))
            seen[i] = self.v[i]
        self.membranes.append(seen)
        so_far = np.array(self.membranes)
        self.curve.append({"membrane": seen, "sum": so_far.sum(0), "maximum": so_far.max(0)}[self.node.decode])


def run_sequence(graph, frames):
    """One sequence [steps, *shape]: trains, membranes before reset, and readouts after all steps."""
    layers = {p.name: _Layer(p, len(frames)) for p in graph.populations}
    trains = {name: [] for name in layers}
    read, sent = ({n.name: [] for n in graph if isinstance(n, MaxPool)} for _ in range(2))
    readouts = {r.name: _Readout(r) for r in graph.readouts}
    for step, frame in enumerate(frames):
        out = {}
        for node in graph:
            if isinstance(node, InputNode):
                out[node.name] = np.asarray(frame, np.int64)
            elif isinstance(node, Delayed):
                out[node.name] = sent_before(node, frames, trains, step)
            elif isinstance(node, Population):
                out[node.name] = layers[node.name].step(sum(out[s] for s in node.sources))
                trains[node.name].append(out[node.name])
            elif isinstance(node, Readout):
                readouts[node.name].step(sum(out[s] for s in node.sources))
            elif isinstance(node, MaxPool):
                read[node.name].append(out[node.sources[0]])
                out[node.name] = pooled(node, read[node.name], 1)[0][-1]
                sent[node.name].append(out[node.name])
            else:
                out[node.name] = operate(node, sum(out[s] for s in node.sources), bias=True)
    return trains, {name: layer.membranes for name, layer in layers.items()}, readouts, sent


def sequence_oracle(graph, sequences):
    """Integer sequences, a list of [steps, *shape]: spikes, counts, outputs, membranes, their ranges; output and curve:
    those of the first readout; how often each place of a max pool ``sent`` something."""
    runs = [run_sequence(graph, frames) for frames in sequences]
    longest = max(map(len, sequences))

    def padded(train, shape):
        whole = np.zeros((longest, *shape), np.int64)
        whole[: len(train)] = train
        return whole

    names = {p.name: p.shape for p in graph.populations}
    spikes = {name: np.stack([padded(r[0][name], shape) for r in runs]) for name, shape in names.items()}
    membranes = {name: np.concatenate([np.array(r[1][name]) for r in runs]) for name in names}
    outputs, curves = {}, {}
    for readout in graph.readouts:
        seen = [r[2][readout.name] for r in runs]
        membranes[readout.name] = np.concatenate([np.array(each.membranes) for each in seen])
        outputs[readout.output] = np.stack([each.curve[-1] for each in seen])
        curves[readout.output] = np.stack([each.curve + each.curve[-1:] * (longest - len(each.curve)) for each in seen])
    first = graph.readouts[0].output
    return SimpleNamespace(
        outputs=outputs,
        curves=curves,
        output=outputs[first],
        curve=curves[first],
        spikes=spikes,
        counts={name: train.sum(1) for name, train in spikes.items()},
        events={name: (train != 0).sum(1) for name, train in spikes.items()},
        membranes=membranes,
        membrane={name: (int(seen.min()), int(seen.max())) for name, seen in membranes.items()},
        sent={name: sum((np.array(r[3][name]) != 0).sum(0) for r in runs) for name in runs[0][3]},
    )

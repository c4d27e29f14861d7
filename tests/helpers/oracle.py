"""An oracle that executes integer graphs straight from ``docs/semantics.md``: plain int64 loops, one image, one step,
one node at a time. It shares no code with the product, and reads only arrays, fields and names of its objects."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np

from helpers.leaky import fields_of, leaky
from spikec.ir.coding import InputNode
from spikec.ir.graph import Population, Readout
from spikec.ir.operations import Affine, Convolution, Flatten, MaxPool, SumPool, Unflatten

# --- synapses ----------------------------------------------------------------------------------------------------


def convolve(node, x):
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


def sum_pool(node, x):
    (kh, kw), (_, rows, cols) = node.kernel, node.output_shape
    z = np.zeros(node.output_shape, np.int64)
    for u in range(kh):
        for v in range(kw):
            z += x[:, u : rows * kh : kh, v : cols * kw : kw]
    return z


def window_places(node, axis, index):
    """The rows (axis 0) or columns (axis 1) that a window of a max pool holds, one tap after the other."""
    size = node.input_shape[axis + 1]
    if node.adaptive:
        outputs = node.output_shape[axis + 1]
        return [i for i in range(size) if i * outputs < (index + 1) * size and (i + 1) * outputs > index * size]
    taps = (index * node.stride[axis] - node.padding[axis] + u * node.dilation[axis] for u in range(node.kernel[axis]))
    return [i for i in taps if 0 <= i < size]


def largest(node, x):
    """Window after window of a max pool: the largest of ``x`` [*input_shape]."""
    found = np.zeros(node.output_shape, np.int64)
    for row, column in np.ndindex(*node.output_shape[1:]):
        rows, columns = window_places(node, 0, row), window_places(node, 1, column)
        found[:, row, column] = x[:, rows][:, :, columns].max(axis=(1, 2))
    return found


def pooled(node, emissions, base):
    """What a max pool sends at every step, and the largest sums behind it, from what its source sends at each step.

    ``base``: how much more an emission is worth than one of the next step.
    """
    sums, before, sent, maxima = 0, 0, [], []
    for emission in emissions:
        sums = base * sums + emission
        now = largest(node, sums)
        sent.append(now - base * before)
        maxima.append(now)
        before = now
    return sent, maxima


def operate(node, x, *, bias):
    """What an operation sends for the input ``x`` [*input_shape]; ``bias``: with its bias."""
    if isinstance(node, Convolution):
        return convolve(node, x) + (node.bias.reshape(-1, 1, 1) if bias else 0)
    if isinstance(node, Affine):
        return (node.weight * x).sum(1) + (node.bias if bias else 0)
    if isinstance(node, SumPool):
        return sum_pool(node, x)
    if isinstance(node, MaxPool):  # of an image; what a pool of spikes sends depends on the steps before
        return largest(node, x)
    if isinstance(node, Flatten):
        return x.reshape(-1)
    if isinstance(node, Unflatten):
        return x.reshape(node.output_shape)
    raise AssertionError(f"the oracle does not know the operation {type(node).__name__}: write it in {__name__}")


def _inputs(graph, image, emitted, *, on):
    """Input of every node at one tick: ``emitted(node, x)`` gives what a population sends at this tick.

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
        elif not isinstance(node, Readout):
            out[node.name] = operate(node, x, bias=on)
    return into


# --- neurons -----------------------------------------------------------------------------------------------------


def _most(neuron):
    """The largest number of spikes in a step."""
    return getattr(neuron, "spikes", 1)


def _fire(neuron, _i, m, theta, _count, _timesteps):
    """One threshold after the other."""
    fired = 0
    while fired < _most(neuron) and m - fired * theta >= theta:
        fired += 1
    return fired


def _fire_or_take_back(neuron, i, m, theta, count, timesteps):
    most = _most(neuron)
    negative = 1 if neuron.theta_neg is None else int(neuron.theta_neg[i])
    change = 0
    if m >= theta:
        while change < most and count + change < most * timesteps and m - change * theta >= theta:
            change += 1
    elif m <= -negative:
        while change > -most and count + change > 0 and m - change * theta < 0:
            change -= 1
    return change


def _level(neuron, _i, m, theta, _count, _timesteps):
    return min(max(m // theta, 0), neuron.levels)


#: What one neuron emits, by kind: ``rule(kind, index, membrane before reset, theta, emissions so far, T)``.
RULES = {
    "if": _fire,
    "signed_if": _fire_or_take_back,
    "calibrated_if": _fire,
    "bit_serial": _fire,
    "graded": _level,
    "cuba_lif": None,
}


#: The largest number that the emissions of T steps can write, and how often image and biases enter in T steps.
LARGEST_LEVELS = {
    "if": lambda neuron, timesteps: neuron.spikes * timesteps,
    "signed_if": lambda neuron, timesteps: neuron.spikes * timesteps,
    "calibrated_if": lambda _, timesteps: timesteps,
    "bit_serial": lambda _, timesteps: 2**timesteps - 1,
    "graded": lambda neuron, _: neuron.levels,
    "cuba_lif": lambda _, timesteps: timesteps,
}
REPEATS = {
    "if": lambda timesteps: timesteps,
    "signed_if": lambda timesteps: timesteps,
    "calibrated_if": lambda timesteps: timesteps,
    "bit_serial": lambda _: 1,
    "graded": lambda _: 1,
    "cuba_lif": lambda timesteps: timesteps,
}


def level_sent(neuron, train):
    """The number that emissions [T, ...] of one image write."""
    base = {"if": 1, "signed_if": 1, "calibrated_if": 1, "bit_serial": 2, "graded": 1, "cuba_lif": 1}[neuron.name]
    return sum(base ** (len(train) - 1 - t) * emission.astype(int) for t, emission in enumerate(train))


class _Neurons:
    """State of one population, advanced a step at a time, neuron by neuron."""

    def __init__(self, node, timesteps):
        name = node.neuron.name
        self.u = np.zeros(node.shape, np.int64)
        if name not in RULES:
            raise AssertionError(f"the oracle does not know the neuron kind {name}: write its rule in {__name__}")
        self.rule, self.node, self.timesteps = RULES[name], node, timesteps
        self.v = node.v_init.copy()
        self.c = np.zeros(node.shape, np.int64)
        self.m = []

    def step(self, z, scale=1):
        node, s = self.node, np.zeros(self.node.shape, np.int64)
        if node.neuron.name == "cuba_lif":
            return self._leak_and_fire(z)
        m = self.v + z
        self.m.append(m.copy())
        for i in np.ndindex(*node.shape):
            theta = int(node.theta[i]) * scale
            s[i] = self.rule(node.neuron, i, int(m[i]), theta, int(self.c[i]), self.timesteps)
            self.v[i] = m[i] - s[i] * theta
        self.c += s
        return s

    def _leak_and_fire(self, z):
        node, fields = self.node, fields_of(self.node.neuron, self.node.shape)
        s, m = np.zeros(node.shape, np.int64), np.zeros(node.shape, np.int64)
        for i in np.ndindex(*node.shape):
            self.u[i], m[i] = leaky(fields, i, int(self.u[i]), int(self.v[i]), int(np.broadcast_to(z, node.shape)[i]))
            s[i] = int(m[i] > 64 * node.theta[i])
            self.v[i] = (m[i] - 64 * node.theta[i] if node.neuron.subtract else 0) if s[i] else m[i]
        self.m.append(m)
        return s


def _window(graph, node):
    """The max pool that a population of kind ``max_pool`` reads, and the population that this pool reads."""
    window = graph.nodes[node.sources[0]]
    return window, window.sources[0]


def _rho(node):
    """Steps of the first pass, 0 for neurons that have none."""
    return node.neuron.rho if node.neuron.name == "calibrated_if" else 0


# --- schedules ---------------------------------------------------------------------------------------------------


def _pipelined(graph, image):
    """All layers step together, except that a calibrated layer first sees its input of rho steps (pass 1)."""
    if any(_rho(p) for p in graph.populations):
        return _calibrated(graph, image)
    fired = [p for p in graph.populations if p.neuron.name != "max_pool"]
    state = {p.name: _Neurons(p, graph.timesteps) for p in fired}
    trains = {p.name: [] for p in graph.populations}
    v = {r.name: r.v_init.copy() for r in graph.readouts}
    curves = {name: [] for name in v}

    def emit(node, z):
        if node.neuron.name == "max_pool":
            window, source = _window(graph, node)
            trains[node.name].append(pooled(window, trains[source], 1)[0][-1])
            return trains[node.name][-1]
        s = state[node.name].step(z)
        trains[node.name].append(s)
        return s

    for step in range(graph.timesteps + graph.drain):
        into = _inputs(graph, image, emit, on=step < graph.timesteps)
        for name, curve in curves.items():
            v[name] = v[name] + into[name]
            curve.append(v[name])
    return trains, trains | {name: n.m for name, n in state.items()}, curves


def _calibrated(graph, image):
    """Layer after layer from the input: the trains of earlier layers are complete before a layer starts."""
    assert not graph.drain
    steps = max(graph.timesteps, *(_rho(p) for p in graph.populations))
    trains, membranes = {}, {}

    def inputs_of(name):
        """Input of a node at every step, given the trains known so far (later layers silent)."""

        def sent(p, _, t):
            return trains[p.name][t] if p.name in trains else np.zeros(p.shape, np.int64)

        return [_inputs(graph, image, partial(sent, t=t), on=True)[name] for t in range(steps)]

    for node in graph.populations:
        if node.neuron.name == "max_pool":
            window, source = _window(graph, node)
            trains[node.name] = membranes[node.name] = pooled(window, trains[source], 1)[0]
            continue
        currents = inputs_of(node.name)
        second = _Neurons(node, graph.timesteps)
        membranes[node.name] = []
        if rho := _rho(node):
            first = _Neurons(node, graph.timesteps)
            fired = [first.step(z) for z in currents[:rho]]
            membranes[node.name] += first.m
            for i in np.ndindex(*node.shape):
                theta, n, v_rho = int(node.theta[i]), int(first.c[i]), int(first.v[i])
                if v_rho < 0 and n > 0:
                    a = min(int(m[i]) for m, s in zip(first.m, fired, strict=True) if s[i])
                    second.v[i] = node.v_init[i] - max(theta, a - theta + 1)
                elif v_rho >= theta and n < rho:
                    b = max(int(m[i]) for m, s in zip(first.m, fired, strict=True) if not s[i])
                    second.v[i] = node.v_init[i] + max(theta, theta - b)
        trains[node.name] = [second.step(z) for z in currents]
        membranes[node.name] += second.m
    curves = {r.name: r.v_init + np.cumsum(inputs_of(r.name)[: graph.timesteps], axis=0) for r in graph.readouts}
    return trains, membranes, curves


def _layerwise(graph, image):
    """A layer first receives all ticks of its sources, then emits for T steps without input."""
    bit_serial = any(p.neuron.name == "bit_serial" for p in graph.populations)
    steps = graph.timesteps
    trains, membranes = {}, {}

    def received(name):
        total = 0
        for t in range(steps):

            def sent(p, _, t=t):
                return trains[p.name][t] if p.name in trains else np.zeros(p.shape, np.int64)

            if bit_serial:
                total = 2 * total + _inputs(graph, image, sent, on=False)[name]
            else:
                total = total + _inputs(graph, image, sent, on=True)[name]
        if bit_serial:
            total = total + _inputs(graph, image, lambda p, _: np.zeros(p.shape, np.int64), on=True)[name]
        return total

    for node in graph.populations:
        if node.neuron.name == "max_pool":
            window, source = _window(graph, node)
            trains[node.name], maxima = pooled(window, trains[source], 2 if bit_serial else 1)
            membranes[node.name] = maxima[-1:]
            continue
        state = _Neurons(node, steps)
        state.v = state.v + received(node.name)
        powers = [2 ** (steps - k) if bit_serial else 1 for k in range(1, steps + 1)]
        trains[node.name] = [state.step(0, scale=power) for power in powers]
        membranes[node.name] = state.m
    return trains, membranes, {r.name: (r.v_init + received(r.name))[None] for r in graph.readouts}


def oracle(graph, integers) -> SimpleNamespace:
    """Run integer images [N, *shape]: outputs, curves, counts, events, spikes, membrane, overflows as in a trace;
    output and curve: those of the first readout."""
    run = {"pipelined": _pipelined, "layerwise": _layerwise}[graph.schedule]
    counted = graph.timesteps + graph.drain
    runs = [run(graph, np.asarray(image, np.int64)) for image in integers]
    names = [p.name for p in graph.populations]
    trains = {name: np.array([r[0][name] for r in runs]) for name in names}
    membranes = {name: np.array([r[1][name] for r in runs]) for name in names}
    curves = {r.output: np.array([run[2][r.name] for run in runs]) for r in graph.readouts}
    membranes |= {r.name: curves[r.output] for r in graph.readouts}
    first, pipelined = graph.readouts[0].output, graph.schedule == "pipelined"
    return SimpleNamespace(
        outputs={name: curve[:, -1] for name, curve in curves.items()},
        curves=curves if pipelined else {},
        output=curves[first][:, -1],
        curve=curves[first] if pipelined else None,
        spikes={name: train[:, :counted] for name, train in trains.items()},
        counts={name: train[:, :counted].sum(1) for name, train in trains.items()},
        events={name: (train != 0).sum(1) for name, train in trains.items()},
        membrane={name: (int(m.min()), int(m.max())) for name, m in membranes.items()},
        overflows={name: int(((m < -(2**23)) | (m >= 2**23)).sum()) for name, m in membranes.items()},
    )

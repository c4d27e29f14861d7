"""An executor of NIR files that shares no code with the product: plain int64 numpy over the nodes as NIR holds them.

Weights, biases and thresholds are the float arrays of the nodes; only what NIR cannot express (kind, initial membrane,
steps, schedule) is read from the metadata. Neurons are advanced by the table of ``docs/semantics.md``.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import nir
import numpy as np

#: The kinds this executor knows; the code below tells them apart by name.
KINDS = ("if", "signed_if", "calibrated_if", "bit_serial", "graded")


def whole(values):
    array = np.asarray(values)
    integers = array.astype(np.int64)
    assert (integers == array).all()
    return integers


def convolution(node, x):
    """Cross-correlation, tap by tap."""
    assert int(np.asarray(node.groups)) == 1
    weight = whole(node.weight)
    (sh, sw), (ph, pw), (dh, dw) = (np.broadcast_to(v, 2) for v in (node.stride, node.padding, node.dilation))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    taps_h, taps_w = weight.shape[2:]
    rows = (padded.shape[2] - dh * (taps_h - 1) - 1) // sh + 1
    cols = (padded.shape[3] - dw * (taps_w - 1) - 1) // sw + 1
    z = np.zeros((len(x), weight.shape[0], rows, cols), np.int64)
    for u in range(taps_h):
        for v in range(taps_w):
            tap = padded[:, :, u * dh :: sh, v * dw :: sw][:, :, :rows, :cols]
            z += np.einsum("oi,niyx->noyx", weight[:, :, u, v], tap)
    return z


def pool(node, x):
    kh, kw = np.broadcast_to(node.kernel_size, 2)
    z = np.zeros((*x.shape[:2], x.shape[2] // kh, x.shape[3] // kw), np.int64)
    for y in range(z.shape[2]):
        for c in range(z.shape[3]):
            z[:, :, y, c] = x[:, :, y * kh : (y + 1) * kh, c * kw : (c + 1) * kw].sum((2, 3))
    return z


def windows_of(graph, node, shape):
    """Rows and columns of every window of a max pool whose input has ``shape`` (C, H, W)."""
    own = node.metadata["spikec"]
    found = []
    for axis, size in enumerate(shape[1:]):
        outputs = int(np.broadcast_to(own["output_size"], 2)[axis])
        kernel, stride, padding = (
            int(np.broadcast_to(value, 2)[axis]) for value in (node.kernel_size, node.stride, node.padding)
        )
        dilation = int(np.broadcast_to(own.get("dilation", 1), 2)[axis])
        if int(own.get("adaptive", 0)):
            windows = [range(y * size // outputs, -(-(y + 1) * size // outputs)) for y in range(outputs)]
        else:
            starts = range(-padding, outputs * stride - padding, stride)
            windows = [range(start, start + kernel * dilation, dilation) for start in starts]
        found.append([[i for i in window if 0 <= i < size] for window in windows])
    return found


def largest(graph, node, x):
    """Maxima of the windows of ``x`` [N, C, H, W]."""
    rows, columns = windows_of(graph, node, x.shape[1:])
    z = np.zeros((*x.shape[:2], len(rows), len(columns)), np.int64)
    for y, c in np.ndindex(len(rows), len(columns)):
        z[:, :, y, c] = x[:, :, rows[y]][:, :, :, columns[c]].max((2, 3))
    return z


class Executor:
    def __init__(self, graph, integers):
        self.graph, self.image = graph, integers
        metadata = graph.metadata["spikec"]
        self.timesteps, self.drain = int(metadata["timesteps"]), int(metadata["drain"])
        self.layerwise = str(metadata["schedule"]) == "layerwise"
        self.own = {name: node.metadata.get("spikec", {}) for name, node in graph.nodes.items()}
        for name, own in self.own.items():
            kind = str(own.get("kind"))
            if isinstance(graph.nodes[name], nir.IF) and kind not in KINDS:
                raise AssertionError(f"{name}: the executor does not know the kind {kind}: write it in {__name__}")
        rho = max((int(own.get("rho", 0)) for own in self.own.values()), default=0)
        self.on = max(self.timesteps, rho)  # steps with image and biases
        self.steps = self.on + self.drain
        self.trains, self._memo = {}, {}

    def sources(self, name):
        return [a for a, b in self.graph.edges if b == name]

    def into(self, name, step, on=True, spikes=True):
        """Input of a node at a step. ``on``: include image and biases. ``spikes``: include emissions."""
        return sum(self.out(source, step, on, spikes) for source in self.sources(name))

    def out(self, name, step, on, spikes):
        key = (name, step, on, spikes)
        if key not in self._memo:
            self._memo[key] = self._evaluate(name, step, on, spikes)
        return self._memo[key]

    def _evaluate(self, name, step, on, spikes):
        node = self.graph.nodes[name]
        if isinstance(node, nir.Input):
            return self.image if on else np.zeros_like(self.image)
        if isinstance(node, nir.IF | nir.Threshold):
            emitted = self.train(name)[step]
            return emitted if spikes else np.zeros_like(emitted)
        x = self.into(name, step, on, spikes)
        if isinstance(node, nir.Conv2d):
            return convolution(node, x) + (whole(node.bias).reshape(-1, 1, 1) if on else 0)
        if isinstance(node, nir.Affine):
            return x @ whole(node.weight).T + (whole(node.bias) if on else 0)
        if isinstance(node, nir.SumPool2d):
            return largest(self.graph, node, x) if str(self.own[name].get("op")) == "max_pool" else pool(node, x)
        assert isinstance(node, nir.Flatten)
        size = self.own[name]["output_size"] if str(self.own[name].get("op")) == "unflatten" else (-1,)
        return x.reshape(len(x), *size)

    def train(self, name):
        """All emissions of a population, [steps, N, *shape]."""
        if name not in self.trains:
            maxima = isinstance(self.graph.nodes[name], nir.Threshold)
            self.trains[name] = self._gain(name) if maxima else self._fire(name)
        return self.trains[name]

    def _gain(self, name):
        """What the maxima of a pool gain at every step."""
        (window,) = self.sources(name)
        (source,) = self.sources(window)
        bits = "bit_serial" in {str(own.get("kind")) for own in self.own.values()}
        sums, before, gained = 0, 0, []
        for emitted in self.train(source):
            sums = (2 if bits else 1) * sums + emitted
            now = largest(self.graph, self.graph.nodes[window], sums)
            gained.append(now - (2 if bits else 1) * before)
            before = now
        return np.array(gained)

    def _state(self, name, key, default=0):
        return np.broadcast_to(whole(self.own[name].get(key, default)), np.shape(self.graph.nodes[name].r))

    def _start(self, name):
        shape = np.shape(self.graph.nodes[name].r)
        return np.broadcast_to(self._state(name, "v_init_int"), (len(self.image), *shape)).copy()

    def _received(self, name):
        """Layerwise: initial membrane plus everything that arrives in T steps."""
        v = self._start(name)
        if "bit_serial" in {str(own.get("kind")) for own in self.own.values()}:
            for step in range(self.timesteps):
                v = v + 2 ** (self.timesteps - 1 - step) * self.into(name, step, on=False)
            return v + self.into(name, 0, spikes=False)
        return v + sum(self.into(name, step) for step in range(self.timesteps))

    def _fire(self, name):
        own, theta = self.own[name], whole(self.graph.nodes[name].v_threshold)
        kind = str(own["kind"])
        if self.layerwise:
            v = self._received(name)
            if kind == "graded":
                return np.clip(v // theta, 0, int(own["levels"]))[None]
            powers = [2 ** (self.timesteps - k) if kind == "bit_serial" else 1 for k in range(1, self.timesteps + 1)]
            silence = [np.zeros_like(v)] * self.timesteps
            return self._run(name, kind, v, silence, [theta * power for power in powers])[0]
        currents = [self.into(name, step, on=step < self.on) for step in range(self.steps)]
        v = self._start(name)
        if kind == "calibrated_if":
            v = v + self._shift(name, currents[: int(own["rho"])], theta)
        return self._run(name, kind, v, currents, [theta] * self.steps)[0]

    def _run(self, name, kind, v, currents, thetas):
        """Emissions, membranes before reset, final membrane."""
        negative, most = self._state(name, "v_threshold_neg_int", 1), int(self.own[name].get("max_spikes_per_step", 1))
        count, emitted, membranes = np.zeros_like(v), [], []
        for z, theta in zip(currents, thetas, strict=True):
            m = v + z
            s = np.clip(m // theta, 0, most)
            if kind == "signed_if":
                s = np.minimum(s, most * self.timesteps - count)
                back = np.minimum(np.minimum(np.ceil(-m / theta).astype(np.int64), most), count)
                s = np.where((m <= -negative) & (count > 0), -back, s)
            v, count = m - s * theta, count + s
            emitted.append(s)
            membranes.append(m)
        return np.array(emitted), np.array(membranes), v

    def _shift(self, name, currents, theta):
        """Pass 1 of calibrated_if: what is added to the initial membrane for pass 2."""
        spikes, m, v = self._run(name, "if", self._start(name), currents, [theta] * len(currents))
        n = spikes.sum(0)
        far = 2**60
        least_fired = np.where(spikes == 1, m, far).min(0)
        most_silent = np.where(spikes == 0, m, -far).max(0)
        down = np.maximum(theta, least_fired - theta + 1)
        up = np.maximum(theta, theta - most_silent)
        return np.where((v < 0) & (n > 0), -down, np.where((v >= theta) & (n < len(currents)), up, 0))

    def readout(self):
        (name,) = (name for name, node in self.graph.nodes.items() if isinstance(node, nir.I))
        if self.layerwise:
            return self._received(name)
        counted = self.timesteps + self.drain
        return self._start(name) + sum(self.into(name, t, on=t < self.timesteps) for t in range(counted))


def encoded(graph, images):
    encoding = graph.nodes["input"].metadata["spikec"]
    low, high = (-128, 127) if str(encoding["dtype"]) == "int8" else (0, 255)
    return np.clip(np.rint(np.asarray(images, np.float64) / float(encoding["scale"])), low, high).astype(np.int64)


def execute_nir(graph, images):
    """``spikes`` {population: [N, T + drain, *shape]}, ``counts``, ``output`` [N, classes]; all int64."""
    executor = Executor(graph, encoded(graph, images))
    counted = executor.timesteps + executor.drain
    names = [name for name, node in graph.nodes.items() if isinstance(node, nir.IF | nir.Threshold)]
    spikes = {name: np.moveaxis(executor.train(name)[:counted], 0, 1) for name in names}
    return SimpleNamespace(
        spikes=spikes, counts={name: s.sum(1) for name, s in spikes.items()}, output=executor.readout()
    )


def integer_levels(graph, images):
    """Levels by population and the output, without time: the integer network as a quantised ANN."""
    executor = Executor(graph, encoded(graph, images))
    kinds = {str(own.get("kind")) for own in executor.own.values()}
    steps = executor.timesteps if kinds & {"if", "signed_if"} else 1  # image and bias count once per step
    levels = {}

    def signal(name):
        node = graph.nodes[name]
        if isinstance(node, nir.Input):
            return executor.image * steps
        if isinstance(node, nir.IF):
            return levels[name]
        if isinstance(node, nir.Threshold):
            return total(name)
        x = total(name)
        if isinstance(node, nir.Conv2d):
            return convolution(node, x) + steps * whole(node.bias).reshape(-1, 1, 1)
        if isinstance(node, nir.Affine):
            return x @ whole(node.weight).T + steps * whole(node.bias)
        if str(executor.own[name].get("op")) == "max_pool":
            return largest(graph, node, x)
        return pool(node, x) if isinstance(node, nir.SumPool2d) else x.reshape(len(x), -1)

    def total(name):
        return sum(signal(source) for source in executor.sources(name))

    for name in json.loads(str(graph.metadata["spikec"]["node_order"])):
        if isinstance(graph.nodes[name], nir.IF):
            theta, own = whole(graph.nodes[name].v_threshold), executor.own[name]
            most = executor.timesteps * int(own.get("max_spikes_per_step", 1))
            bits = 2**executor.timesteps - 1 if str(own["kind"]) == "bit_serial" else most
            levels[name] = np.clip((2 * total(name) + theta) // (2 * theta), 0, int(own.get("levels", bits)))
        elif isinstance(graph.nodes[name], nir.I):
            output = total(name)
    return levels, output

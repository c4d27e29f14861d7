"""A float executor of plain NIR: NIR's equations stepped with forward Euler, dt = 1, hard reset, z = [v > threshold].

It takes nodes as dicts of fields (:mod:`helpers.nir_files`), so that it runs files that nir refuses as well. Edges are
a set. A connection that closes a cycle carries what was emitted one step before. It shares no code with the product.
"""

from __future__ import annotations

import numpy as np


def execute(nodes, edges, inputs):
    """``inputs`` [T, *shape] through a graph with one Input and one Output; what arrives at the Output, [T, *shape]."""
    graph = _Graph(nodes, edges)
    return np.array([graph.step(x) for x in np.asarray(inputs, np.float64)])


class _Graph:
    def __init__(self, nodes, edges):
        self.nodes, self.state = nodes, {}
        self.sources = {name: [a for a, b in dict.fromkeys(edges) if b == name] for name in nodes}
        self.inner = {name: _Graph(n["nodes"], n["edges"]) for name, n in nodes.items() if "nodes" in n}
        (self.end,) = (name for name, node in nodes.items() if node["type"] == "Output")
        self.before = {}

    def step(self, x):
        self.x, self.now, self.busy = x, {}, set()
        self._value(self.end)
        for name in self.nodes:  # what nobody reads now may be read in the next step
            self._value(name)
        self.before = self.now
        return self.now[self.end]

    def _value(self, name):
        if name in self.now:
            return self.now[name]
        if name in self.busy:  # a cycle
            return self.before.get(name, 0.0)
        self.busy.add(name)
        if self.nodes[name]["type"] == "Input":
            given = self.x
        else:
            given = sum((self._value(source) for source in self.sources[name]), np.float64(0))
        self.now[name] = self._apply(name, self.nodes[name], given)
        return self.now[name]

    def _apply(self, name, node, x):
        kind = node["type"]
        field = lambda key, default=None: np.asarray(node.get(key, default), np.float64)  # noqa: E731
        if kind in ("Input", "Output"):
            return x
        if kind == "NIRGraph":
            return self.inner[name].step(x)
        if kind in ("Affine", "Linear"):
            return field("weight") @ np.broadcast_to(x, field("weight").shape[1]) + (
                field("bias") if kind == "Affine" else 0
            )
        if kind == "Conv2d":
            return _convolution(node, x)
        if kind == "SumPool2d":
            return _sum_pool(node, x)
        if kind == "Flatten":
            start = int(node["start_dim"])
            end = int(node["end_dim"]) % x.ndim
            return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])
        if kind == "Scale":
            return field("scale") * x
        return self._neuron(name, kind, field, x)

    def _neuron(self, name, kind, field, x):
        v, current = self.state.get(name, (np.zeros(np.shape(x)), np.zeros(np.shape(x))))
        r = field("r")
        if kind.startswith("Cuba"):
            current = current + (-current + field("w_in", 1) * x) / field("tau_syn")
            v = v + (field("v_leak") - v + r * current) / field("tau_mem")
        elif kind in ("LI", "LIF"):
            v = v + (field("v_leak") - v + r * x) / field("tau")
        else:
            assert kind in ("I", "IF"), kind
            v = v + r * x
        out = v
        if kind.endswith("IF"):
            out = (v > field("v_threshold")).astype(np.float64)
            v = np.where(out > 0, field("v_reset", 0), v)
        self.state[name] = (v, current)
        return out


def _convolution(node, x):
    """Cross-correlation by its definition, one output number at a time."""
    weight, groups = np.asarray(node["weight"], np.float64), int(node["groups"])
    stride, dilation = (np.broadcast_to(node[key], 2) for key in ("stride", "dilation"))
    if isinstance(node["padding"], str):
        total = dilation * (np.array(weight.shape[2:]) - 1) if node["padding"] == "same" else np.zeros(2, int)
        pads = [(t // 2, t - t // 2) for t in total]
    else:
        pads = [(p, p) for p in np.broadcast_to(node["padding"], 2)]
    padded = np.pad(x, [(0, 0), *pads])
    reach = dilation * (np.array(weight.shape[2:]) - 1) + 1
    rows, columns = (np.array(padded.shape[1:]) - reach) // stride + 1
    out = np.zeros((len(weight), rows, columns))
    for o, i, j in np.ndindex(*out.shape):
        first = o // (len(weight) // groups) * weight.shape[1]
        top, left = i * stride[0], j * stride[1]
        window = padded[first : first + weight.shape[1], top : top + reach[0] : dilation[0], left : left + reach[1]]
        out[o, i, j] = (weight[o] * window[:, :, :: dilation[1]]).sum() + np.broadcast_to(node["bias"], len(weight))[o]
    return out


def _sum_pool(node, x):
    (kh, kw), (sh, sw), (ph, pw) = (np.broadcast_to(node[key], 2) for key in ("kernel_size", "stride", "padding"))
    padded = np.pad(x, [(0, 0), (ph, ph), (pw, pw)])
    rows, columns = (padded.shape[1] - kh) // sh + 1, (padded.shape[2] - kw) // sw + 1
    out = np.zeros((len(x), rows, columns))
    for i, j in np.ndindex(rows, columns):
        out[:, i, j] = padded[:, i * sh : i * sh + kh, j * sw : j * sw + kw].sum((1, 2))
    return out

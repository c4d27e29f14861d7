"""NIR files written by hand, with h5py alone: whatever a file may hold, whether nir would write it or not.

A node is a dict of its fields; ``type`` is its kind. ``None`` leaves a field out.
"""

from __future__ import annotations

import itertools

import h5py
import numpy as np

from spikec.errors import GraphError


def write(path, nodes, edges, *, version="1.0.8", metadata=None, change=None):
    """Write a file and return its path. ``change(file)`` may do anything to it before it is closed."""
    with h5py.File(path, "w") as file:
        if version is not None:
            file["version"] = version
        write_graph(file.create_group("node"), nodes, edges, metadata)
        if change is not None:
            change(file)
    return path


def write_graph(group, nodes, edges, metadata=None):
    group["type"] = "NIRGraph"
    group.create_dataset("edges", data=np.array(edges, dtype=object).reshape(-1, 2), dtype=h5py.string_dtype())
    inside = group.create_group("nodes")
    for name, fields in nodes.items():
        node = inside.require_group(name)  # "a/b" may have made "a"
        if "nodes" in fields:
            write_graph(node, fields["nodes"], fields["edges"])
            continue
        for key, value in fields.items():
            if value is not None:
                _put(node, key, value)
    if metadata is not None:
        _put(group, "metadata", metadata)


def _put(group, key, value):
    if isinstance(value, dict):
        inside = group.create_group(key)
        for inner, item in value.items():
            _put(inside, inner, item)
    else:
        group[key] = value


def read(path):
    """``nodes``, ``edges`` as :func:`write` takes them, from a sound file."""

    def graph(group):
        nodes = {name: node(inner) for name, inner in group["nodes"].items()}
        return nodes, [(a.decode(), b.decode()) for a, b in group["edges"][()]]

    def node(group):
        if "nodes" in group:
            nodes, edges = graph(group)
            return {"type": "NIRGraph", "nodes": nodes, "edges": edges}
        return {key: _value(value) for key, value in group.items() if isinstance(value, h5py.Dataset)}

    def _value(data):
        value = data[()]
        return value.decode() if isinstance(value, bytes) else value

    with h5py.File(path) as file:
        return graph(file["node"])


def f32(*shape, seed=0, low=-1.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def full(shape, value):
    return np.full(shape, value, np.float32)


def neurons(kind, shape, **changes):
    """A node of neurons with plausible parameters; ``changes`` replace them."""
    values = {
        "r": 1.0,
        "v_threshold": 0.5,
        "v_reset": 0.0,
        "v_leak": 0.0,
        "tau": 2.0,
        "tau_mem": 4.0,
        "tau_syn": 2.0,
        "w_in": 1.0,
    }
    has = {
        "IF": ("r", "v_threshold", "v_reset"),
        "I": ("r",),
        "LI": ("tau", "r", "v_leak"),
        "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
        "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
        "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    }[kind]
    return {"type": kind, **{key: full(shape, values[key]) for key in has}, **changes}


def convolution(shape, weight, *, stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1, **changes):
    fields = {"weight": weight, "bias": f32(len(weight), seed=7), "input_shape": np.array(shape[1:])}
    fields |= {"stride": np.array(stride), "dilation": np.array(dilation), "groups": groups}
    fields["padding"] = padding if isinstance(padding, str) else np.array(padding)
    return {"type": "Conv2d", **fields, **changes}


def dense(rows, columns, seed=1):
    return {"type": "Affine", "weight": f32(rows, columns, seed=seed), "bias": f32(rows, seed=seed + 1)}


def ends(first, last):
    return {"type": "Input", "shape": np.array(first)}, {"type": "Output", "shape": np.array(last)}


def chain(*nodes):
    """Nodes and edges of a chain; nodes as pairs (name, fields)."""
    names = [name for name, _ in nodes]
    return dict(nodes), list(itertools.pairwise(names))


def conv_net(**changes):
    """(2, 8, 8) through a convolution, IF, sum pool, flatten, a dense layer and IF to 5; ``changes`` replace nodes."""
    first, last = ends((2, 8, 8), (5,))
    nodes = {
        "input": first,
        "conv": convolution((2, 8, 8), f32(4, 2, 3, 3)),
        "fire": neurons("IF", (4, 8, 8)),
        "pool": {"type": "SumPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]},
        "flat": {"type": "Flatten", "input_type": np.array([4, 4, 4]), "start_dim": 0, "end_dim": -1},
        "head": dense(5, 64),
        "last": neurons("IF", 5),
        "output": last,
    }
    return chain(*{**nodes, **changes}.items())


def lif_net(**changes):
    """6 values through a recurrent layer of LIF to 3 CubaLI; ``changes`` replace nodes."""
    first, last = ends((6,), (3,))
    nodes = {
        "input": first,
        "fc": dense(5, 6),
        "lif": neurons("LIF", 5),
        "head": {"type": "Linear", "weight": f32(3, 5, seed=4)},
        "read": neurons("CubaLI", 3),
        "output": last,
    }
    nodes, edges = chain(*{**nodes, **changes}.items())
    nodes["rec"] = {"type": "Linear", "weight": f32(5, 5, seed=5)}
    return nodes, [*edges, ("lif", "rec"), ("rec", "lif")]


def attempt(function, *arguments):
    """What it returns and no sentence, or nothing and the sentence of its error."""
    try:
        return function(*arguments), ""
    except GraphError as error:
        return None, str(error)

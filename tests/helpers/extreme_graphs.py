"""Deployments at the ends of what the profile allows, by hand as NIR: numbers as large as float32 holds exactly, wide
branching, chains that multiply them up, geometry beside which the image is small."""

from __future__ import annotations

import nir
import numpy as np

from spikec.ir.metadata import KEY

#: Largest whole number of a weight, bias or threshold.
MOST = 2**24


def _floats(values):
    return np.asarray(values, dtype=np.float32)


def wrapped(nodes, edges, timesteps=1, schedule="pipelined", drain=0, **own):
    """The graph of the profile around nodes."""
    about = {"schema": "spikec.nir/1", "timesteps": timesteps, "schedule": schedule, "drain": drain} | own
    return nir.NIRGraph(nodes, edges, metadata={KEY: about}, type_check=False)


def image(shape, dtype="uint8"):
    about = {"encoding": "constant", "dtype": dtype, "scale": 1.0}
    return nir.Input({"input": np.array(shape)}, metadata={KEY: about})


def affine(weight, bias=None, **own):
    weight = np.atleast_2d(weight)
    bias = np.zeros(len(weight)) if bias is None else bias
    return nir.Affine(_floats(weight), _floats(bias), metadata={KEY: own} if own else {})


def neurons(theta, kind="if", **own):
    theta = np.asarray(theta)
    zero = np.zeros(theta.shape, np.float32)
    return nir.IF(zero + 1, _floats(theta), zero, metadata={KEY: {"kind": kind} | own})


def readout(shape, start=0):
    about = {"kind": "integrator", "scale": 1.0, "v_init_int": np.array([start], np.int32)}
    return nir.I(np.ones(shape, np.float32), metadata={KEY: about})


def output(shape):
    return nir.Output({"output": np.array(shape)}, metadata={KEY: {"decode": "membrane"}})


def convolution(weight, rows_and_columns, bias=None, stride=1, padding=0, dilation=1):
    weight = np.asarray(weight)
    return nir.Conv2d(
        input_shape=tuple(rows_and_columns),
        weight=_floats(weight),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=1,
        bias=_floats(np.zeros(len(weight)) if bias is None else bias),
    )


def branching(branches, chain, weights, *, fired=None, timesteps=1, schedule="pipelined", width=2, start=0, after=1):
    """``branches`` ways from the image, each of ``chain`` layers whose weights are ``weights(shape)``, which meet in an
    ``after``-fold layer; ``fired``: the neurons behind it, by (theta, kind, fields)."""
    nodes, edges = {"input": image((width,))}, []
    for branch in range(branches):
        last = "input"
        for layer in range(chain):
            name = f"b{branch}.{layer}"
            nodes[name] = affine(weights((width, width)), weights((width,)))
            edges.append((last, name))
            last = name
        edges.append((last, "met"))
    nodes["met"], last = affine(after * np.eye(width)), "met"
    if fired is not None:
        theta, kind, own = fired
        nodes["fired"], nodes["behind"] = neurons(np.full(width, theta), kind, **own), affine(weights((width, width)))
        edges += [("met", "fired"), ("fired", "behind")]
        last = "behind"
    nodes["readout"], nodes["output"] = readout((width,), start), output((width,))
    edges += [(last, "readout"), ("readout", "output")]
    return wrapped(nodes, edges, timesteps, schedule)


def _axis(rng):
    """Size, taps, stride, padding and dilation along an axis, with at most six windows."""
    while True:
        size, taps = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        stride = int(rng.choice([1, 2, 3, 2**15 - 1, 2**15]))
        padding = int(rng.choice([0, 1, 2, 5, 2**12]))
        dilation = int(rng.choice([1, 2, 3, 2**12, 2**13 - 1, 2**15]))
        room = size + 2 * padding - dilation * (taps - 1) - 1
        if room >= 0 and room // stride < 6:
            return size, taps, stride, padding, dilation


def extreme_geometry(rng):
    """A convolution beside whose stride, padding or dilation the image is small, along one axis or, where neither
    pads much, along both."""
    axes = [_axis(rng), _axis(rng)]
    if min(axis[3] for axis in axes) > 5:
        axes[int(rng.integers(2))] = (3, 2, 1, 1, 1)
    size, taps, stride, padding, dilation = zip(*axes, strict=True)
    kernel = rng.integers(-128, 128, (2, 2, *taps))
    conv = convolution(kernel, size, rng.integers(-9, 10, 2), stride, padding, dilation)
    shape = (2, *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes))
    own = {} if taps[0] == taps[1] else {"requires": '["nir_type_check=off"]'}
    nodes = {"input": image((2, *size)), "conv": conv, "readout": readout(shape), "output": output(shape)}
    return wrapped(nodes, [("input", "conv"), ("conv", "readout"), ("readout", "output")], **own)

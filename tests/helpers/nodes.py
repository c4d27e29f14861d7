"""Nodes and graphs made by hand, with as few arguments as they need."""

from __future__ import annotations

import numpy as np

from helpers.cases import neuron
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool

__all__ = ["InputNode", "affine", "convolution", "flatten", "graph_of", "pool", "population", "readout", "windows"]


def windows(size, taps, stride, padding, dilation):
    """Positions of a kernel along one axis; ``padding`` on both sides."""
    return (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1


def convolution(
    name, sources, shape, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1, margin=(0,) * 4, exponent=0
):
    """``weight`` [O, I / groups, kH, kW]; one number for both axes or one for each; no bias if none is given."""
    stride, padding, dilation = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    sizes = zip(shape[1:], weight.shape[2:], stride, padding, dilation, strict=True)
    bias = np.zeros(weight.shape[0], np.int64) if bias is None else np.asarray(bias, np.int64)
    return Convolution(
        name, tuple(sources), shape, (weight.shape[0], *(windows(*axis) for axis in sizes)), weight.astype(np.int64),
        bias, stride, padding, dilation, groups, margin, exponent,
    )  # fmt: skip


def affine(name, sources, weight, bias=None, exponent=0):
    """``weight`` [O, I]; the bias counts up from 0 if none is given."""
    outputs, inputs = weight.shape
    bias = np.arange(outputs) if bias is None else np.asarray(bias)
    return Affine(name, tuple(sources), (inputs,), (outputs,), weight.astype(np.int64), bias.astype(np.int64), exponent)


def population(name, sources, shape, kind="if", theta=10, v_init=None, scale=None, **fields):
    """A population. ``kind``: a name, with its ``fields``, or a finished kind.

    ``theta`` and ``v_init`` (default: theta // 2): one number, or one per neuron.
    """
    theta = np.broadcast_to(np.asarray(theta, np.int64), shape).copy()
    v_init = theta // 2 if v_init is None else np.broadcast_to(np.asarray(v_init, np.int64), shape).copy()
    return Population(name, tuple(sources), tuple(shape), neuron(kind, **fields), theta, v_init, scale)


def pool(name, sources, shape, size):
    out = (shape[0], shape[1] // size, shape[2] // size)
    return SumPool(name, tuple(sources), shape, out, (size, size), (size, size))


def flatten(name, sources, shape):
    return Flatten(name, tuple(sources), shape, (int(np.prod(shape)),))


def readout(name, sources, outputs, v_init=0, scale=0.5):
    """``outputs``: how many, or their shape."""
    shape = outputs if isinstance(outputs, tuple) else (outputs,)
    start = np.broadcast_to(np.asarray(v_init, np.int64), shape).copy()
    return Readout(name, tuple(sources), shape, start, scale)


def graph_of(nodes, timesteps=4, schedule="pipelined", drain=0):
    return IntegerGraph({node.name: node for node in nodes}, timesteps, schedule, drain)

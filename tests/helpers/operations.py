"""Random operations, the matrix that plain loops make of one, and boxes of indices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from helpers.graphs import random_windows
from helpers.nodes import affine, convolution, windows
from helpers.oracle import operate
from spikec.ir.operations import Flatten, MaxPool, SumPool, Synapse, Unflatten

_PAIRS = st.tuples(st.integers(1, 2), st.integers(1, 2))


@st.composite
def convolutions(draw):
    """Groups, strides, dilations, rectangular kernels, margins of zeros, and padding beyond the kernel."""
    groups, per_group, inputs = (draw(st.integers(1, 2)) for _ in range(3))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(2))
    size = tuple(draw(st.integers(1, 5)) for _ in range(2))
    geometry = {"stride": draw(_PAIRS), "dilation": draw(_PAIRS)}
    padding = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    before = [draw(st.integers(0, k - 1)) for k in kernel]
    after = [draw(st.integers(0, k - 1 - b)) for k, b in zip(kernel, before, strict=True)]
    margin = (before[0], after[0], before[1], after[1])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    exponent = draw(st.sampled_from([0, 0, 3]))
    weight = rng.integers(-9, 10, (groups * per_group, inputs, *kernel)) << exponent
    weight *= rng.integers(0, 2, weight.shape)
    bias = rng.integers(-9, 10, groups * per_group)
    axes = zip(size, kernel, geometry["stride"], padding, geometry["dilation"], strict=True)
    assume(min(windows(*axis) for axis in axes) > 0)
    node = convolution(
        "node", ["a"], (groups * inputs, *size), weight, bias,
        padding=padding, groups=groups, margin=margin, exponent=exponent, **geometry,
    )  # fmt: skip
    return replace(node, weight=node.weight * node.structure())


@st.composite
def affines(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weight = rng.integers(-9, 10, (draw(st.integers(1, 5)), draw(st.integers(1, 6))))
    exponent = draw(st.sampled_from([0, 2]))
    made = affine("node", ["a"], weight << exponent, rng.integers(-9, 10, len(weight)), exponent)
    if draw(st.booleans()):
        return made
    return replace(made, weight=made.weight * rng.integers(0, 2, weight.shape), sparse=True)


@st.composite
def sum_pools(draw):
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(2))
    shape = (draw(st.integers(1, 3)), *(draw(st.integers(k, 6)) for k in kernel))
    out = (shape[0], *(n // k for n, k in zip(shape[1:], kernel, strict=True)))
    return SumPool("node", ("a",), shape, out, kernel, kernel)


@st.composite
def flattens(draw):
    shape = tuple(draw(st.integers(1, 4)) for _ in range(3))
    return Flatten("node", ("a",), shape, (math.prod(shape),))


@st.composite
def unflattens(draw):
    shape = tuple(draw(st.integers(1, 4)) for _ in range(3))
    return Unflatten("node", ("a",), (math.prod(shape),), shape)


@st.composite
def max_pools(draw):
    """Any kernel, stride, padding, dilation, partial windows, adaptive."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    return MaxPool("node", ("a",), shape, *random_windows(rng, *shape))


SYNAPSES = st.one_of(convolutions(), affines())
LINEAR = st.one_of(convolutions(), affines(), sum_pools(), flattens(), unflattens())
ALL = st.one_of(LINEAR, max_pools())


def matrix(node):
    """[outputs, inputs] of plain loops, without bias."""
    units = np.eye(math.prod(node.input_shape), dtype=np.int64)
    return np.array([operate(node, unit.reshape(node.input_shape), bias=False).reshape(-1) for unit in units]).T


def connected(node):
    """bool [outputs, inputs]: which connections exist, whatever their weights."""
    return matrix(replace(node, weight=node.structure()) if isinstance(node, Synapse) else node) != 0


def boxes(data, shape):
    """A box that is not empty."""
    found = []
    for size in shape:
        low = data.draw(st.integers(0, size - 1))
        found.append((low, data.draw(st.integers(low + 1, size))))
    return tuple(found)


def inside(box, shape):
    """bool [*shape]: what lies in a box."""
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*axis) for axis in box)] = True
    return mask


def around(mask):
    """The box around what is true."""
    return tuple((int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(mask))

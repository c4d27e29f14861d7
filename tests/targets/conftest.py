"""Small graphs with a known place on a chip."""

from __future__ import annotations

import numpy as np
import pytest

from toolchain.ir.integer import Affine, Convolution, Flatten, InputNode, IntegerGraph, Population, Readout, SumPool


def population(name, sources, shape, kind="if", theta=100, **options):
    thresholds = np.broadcast_to(np.asarray(theta, dtype=np.int64), shape).copy()
    return Population(name, sources, shape, kind, thresholds, thresholds // 2, **options)


def convolutional(channels=8, size=16, kernel=3, kind="if", schedule="pipelined", timesteps=4, **options):
    """Two 'same' convolutions with a pool between, and a readout."""
    shape, half = (channels, size, size), (channels, size // 2, size // 2)
    weight = np.ones((channels, channels, kernel, kernel), dtype=np.int64)
    zero, pad = np.zeros(channels, dtype=np.int64), (kernel // 2, kernel // 2)
    inner = int(np.prod(half))
    nodes = [
        InputNode("input", shape, "int8", 0.1),
        Convolution("conv1", ("input",), shape, shape, weight, zero, (1, 1), pad, (1, 1)),
        population("if1", ("conv1",), shape, kind, **options),
        SumPool("pool", ("if1",), shape, half, (2, 2), (2, 2)),
        Convolution("conv2", ("pool",), half, half, weight, zero, (1, 1), pad, (1, 1)),
        population("if2", ("conv2",), half, kind, **options),
        Flatten("flatten", ("if2",), half, (inner,)),
        Affine("fc", ("flatten",), (inner,), (10,), np.ones((10, inner), dtype=np.int64), np.zeros(10, dtype=np.int64)),
        Readout("readout", ("fc",), (10,), np.zeros(10, dtype=np.int64), 0.5),
    ]
    return IntegerGraph({node.name: node for node in nodes}, timesteps, schedule)


@pytest.fixture
def network():
    """``network(channels=, size=, kernel=, kind=, schedule=, timesteps=, theta=)``."""
    return convolutional

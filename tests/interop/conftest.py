"""A small deployment with a skip and a readout of two branches, as integers and as NIR."""

import numpy as np
import pytest

from toolchain.ir.integer import Affine, Convolution, Flatten, InputNode, IntegerGraph, Population, Readout, SumPool


def _graph(seed=0, timesteps=5):
    rng = np.random.default_rng(seed)

    def ints(*shape):
        return rng.integers(-6, 7, shape)

    def population(name, sources, shape, theta):
        full = np.full(shape, theta)
        return Population(name, sources, shape, "if", full, rng.integers(-theta, 2 * theta, shape))

    same = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    nodes = [
        InputNode("input", (1, 6, 6), "uint8", 0.5),
        Convolution("conv", ("input",), (1, 6, 6), (3, 6, 6), ints(3, 1, 3, 3), ints(3), **same),
        population("a.if", ("conv",), (3, 6, 6), 13),
        Convolution("branch", ("a.if",), (3, 6, 6), (3, 6, 6), ints(3, 3, 3, 3), ints(3), **same),
        Convolution("skip", ("a.if",), (3, 6, 6), (3, 6, 6), ints(3, 3, 1, 1), ints(3), (1, 1), (0, 0), (1, 1)),
        population("a_if", ("branch", "skip"), (3, 6, 6), 17),
        SumPool("pool", ("a_if",), (3, 6, 6), (3, 3, 3), (2, 2), (2, 2)),
        Flatten("flatten", ("pool",), (3, 3, 3), (27,)),
        Affine("head", ("flatten",), (27,), (4,), ints(4, 27), ints(4)),
        Affine("second", ("flatten",), (27,), (4,), ints(4, 27), ints(4)),
        Readout("readout", ("head", "second"), (4,), np.arange(4), 0.25),
    ]
    return IntegerGraph({node.name: node for node in nodes}, timesteps, "pipelined")


@pytest.fixture(scope="session")
def deployment():
    """``deployment(seed=0, timesteps=5) -> IntegerGraph``."""
    return _graph


@pytest.fixture(scope="session")
def images():
    """Float images for it whose integers are 0 to 7."""
    return np.random.default_rng(1).integers(0, 8, (3, 1, 6, 6)).astype(np.float32) / 2

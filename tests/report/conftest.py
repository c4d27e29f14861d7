"""A small deployment with names that need escaping, its data, and a report about it."""

from types import SimpleNamespace

import numpy as np
import pytest

from toolchain.ir.integer import Affine, Convolution, Flatten, InputNode, IntegerGraph, Population, Readout
from toolchain.report import Verification, report
from toolchain.simulation import simulate

HOSTILE = '<script src="http://example.org/x.js">alert("&")</script>'


def _deployment():
    rng = np.random.default_rng(5)

    def weights(*shape):
        return rng.integers(-9, 10, shape).astype(np.int64)

    shape = (2, 4, 4)
    theta = rng.integers(20, 60, shape).astype(np.int64)
    theta[0, 0, 0] = 10**6  # this neuron never fires
    v_init = theta // 2
    nodes = [
        InputNode("input", (1, 4, 4), "uint8", 1 / 15),
        Convolution("conv", ("input",), (1, 4, 4), shape, weights(2, 1, 3, 3), weights(2), (1, 1), (1, 1), (1, 1)),
        Population(HOSTILE, ("conv",), shape, "if", theta, v_init),
        Flatten("flat", (HOSTILE,), shape, (32,)),
        Affine("linear", ("flat",), (32,), (3,), weights(3, 32), weights(3)),
        Readout("readout", ("linear",), (3,), np.zeros(3, np.int64), 0.5),
    ]
    return IntegerGraph({node.name: node for node in nodes}, 4, "pipelined")


@pytest.fixture(scope="session")
def deployment():
    """graph, images, labels, trace, ann_logits of 40 random images."""
    graph = _deployment()
    rng = np.random.default_rng(6)
    images = rng.integers(0, 16, (40, 1, 4, 4)) / 15
    trace = simulate(graph, images, measure=True, record="spikes")
    labels = np.where(rng.random(40) < 0.8, trace.predictions, rng.integers(0, 3, 40))
    logits = trace.logits + rng.normal(0, 30, trace.logits.shape)
    return SimpleNamespace(graph=graph, images=images, labels=labels, trace=trace, ann_logits=logits)


@pytest.fixture(scope="session")
def arguments(deployment):
    """Everything ``report`` can be told about the deployment."""
    return {
        "images": deployment.images,
        "labels": deployment.labels,
        "trace": deployment.trace,
        "ann_logits": deployment.ann_logits,
        "verification": Verification("lava", 40, 1, 4, f"{HOSTILE}: 1 against 0"),
        "title": f"Title {HOSTILE}",
        "data_name": HOSTILE,
        "command": f"spikec report '{HOSTILE}'",
        "date": "2026-11-23",
        "seed": 7,
    }


@pytest.fixture(scope="session")
def made(deployment, arguments):
    return report(deployment.graph, path=None, **arguments)


@pytest.fixture(scope="session")
def hostile():
    return HOSTILE

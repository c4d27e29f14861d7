"""A small deployment with names that need escaping, its data, and a report about it."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.networks import hostile_network

from spikec.evidence.crosscheck import Crosscheck
from spikec.reporting import report
from spikec.simulation import Difference, simulate

HOSTILE = '<script src="http://example.org/x.js">alert("&")</script>'


@pytest.fixture(scope="session")
def deployment():
    """graph, images, labels, trace, ann_logits of 40 random images."""
    graph = hostile_network(HOSTILE)
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
        "verification": Crosscheck("lava", 40, 1, 4, Difference(HOSTILE, "counts", 0, None, (0,), 1, 0)),
        "class_names": [HOSTILE, "cat", "cat"],
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

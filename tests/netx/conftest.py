"""Random networks that netx can hold, and an independent simulation of the hard-reset approximation."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from helpers.hard_reset import hard_reset

from spikec.errors import DoesNotFit
from spikec.ir.graph import Population
from spikec.ir.operations import SumPool
from spikec.targets.lava import LavaTarget
from spikec.targets.netx import as_chain


@pytest.fixture(scope="session")
def lava_dl():
    """Skips the test where Lava or lava-dl is not installed."""
    missing = LavaTarget.available()
    if missing is not None or importlib.util.find_spec("lava.lib") is None:
        pytest.skip(missing or "lava-dl is not installed")


@pytest.fixture(scope="session")
def feedforward(random_graph):
    """``feedforward(rng, pools=None, uniform=False, **random_graph options)``: the first that netx can hold.

    ``pools``: with a pool, or without; ``uniform``: one threshold per layer, readout from 0.
    """

    def draw(rng, *, pools=None, uniform=False, **options):
        while True:
            graph = random_graph(rng, **options)
            found = any(isinstance(node, SumPool) for node in graph)
            if uniform:
                graph = replace(graph, nodes={name: _uniform(node) for name, node in graph.nodes.items()})
            try:
                as_chain(graph)
            except DoesNotFit:
                continue
            if pools in (None, found):
                return graph

    return draw


def _uniform(node):
    if isinstance(node, Population):
        return replace(node, theta=np.full_like(node.theta, node.theta.max()))
    return replace(node, v_init=np.zeros_like(node.v_init)) if node.name == "readout" else node


@pytest.fixture(scope="session")
def hard_reset_oracle():
    """``hard_reset_oracle(graph, integers) -> output, counts, spikes``: fires at theta, resets to 0, starts at 0."""
    return hard_reset

"""Builders of integer graphs and traces for the energy tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from helpers import networks, nodes


@pytest.fixture
def make():
    """Builders of nodes, graphs and traces."""
    return SimpleNamespace(
        input=nodes.InputNode, convolution=nodes.convolution, affine=nodes.affine, population=nodes.population,
        pool=nodes.pool, flatten=nodes.flatten, readout=nodes.readout, graph=nodes.graph_of,
        random_trace=networks.random_trace, small_network=networks.small_network,
    )  # fmt: skip

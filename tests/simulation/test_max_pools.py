"""Max pools of every kind and schedule: both engines against plain loops, and torch's own pool on the levels."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from helpers.cases import CASES, UNLEVELLED, kind_cases, steps_of
from helpers.drawn import drawn
from helpers.traces import equals_loops
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikec.analysis.ranges import bounds
from spikec.simulation import simulate
from spikec.simulation.engines import counts_by_layer as layers
from spikec.simulation.engines.counts_by_step import CountsByStep
from spikec.simulation.golden import GoldenModel

SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=drawn(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, timesteps=st.integers(1, 5), small=st.booleans())
def test_both_engines_are_plain_loops(random_graph, random_images, oracle, case, seed, timesteps, small):
    rng = np.random.default_rng(seed)
    kind, schedule, drain = case
    timesteps = steps_of(kind, timesteps)
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=timesteps, drain=drain, small=small, maxima=True)
    integers = random_images(rng, graph, 3)
    expected = oracle(graph, integers)
    images = integers * graph.input.scale
    for few in (layers._FEW, 0):  # layer after layer, and step after step
        with mock.patch.object(layers, "_FEW", few):
            equals_loops(GoldenModel(graph).run(images, record="spikes"), graph, expected)
    equals_loops(simulate(graph, images, record="spikes", measure=True), graph, expected)
    stepwise = simulate(graph, images, record="spikes", measure=True, overflow="wrap")  # its partial sums are seen too
    if bounds(graph).fits:
        equals_loops(stepwise, graph, expected, membranes=False)


@pytest.mark.parametrize("case", kind_cases(without=UNLEVELLED), ids=str)
def test_the_fast_path_runs_them(random_graph, case):
    kind, schedule, drain = case
    steps = steps_of(kind, 3)
    graph = random_graph(
        np.random.default_rng(0), kind=kind, schedule=schedule, timesteps=steps, drain=drain, maxima=True
    )
    assert isinstance(GoldenModel(graph).engine, CountsByStep)

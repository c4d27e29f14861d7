"""Sums of each image in the place of its counts: the same estimate in every number."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.cases import CASES, steps_of
from helpers.drawn import drawn
from helpers.same import same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.energy.by_image import ByImage
from spikec.energy.fanout import fan_outs
from spikec.simulation import GoldenModel


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
@settings(max_examples=drawn(2), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_sums_are_those_of_the_counts(random_graph, random_images, kind, schedule, drain, seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=steps_of(kind, 4), drain=drain, maxima=True)
    trace = GoldenModel(graph).run(random_images(rng, graph, 4) * graph.input.scale)
    short = ByImage(graph)(trace)
    assert not short.counts
    assert not short.events
    for p in graph.populations:
        assert short.image_events[p.name].tolist() == [int(image.sum()) for image in trace.events[p.name]]
    for node in graph.synapses:
        for image in range(4):
            synops = nonzero = 0
            for origin, fan in fan_outs(graph, node).items():
                if origin in trace.events:
                    events = trace.events[origin][image].reshape(-1).tolist()
                    synops += sum(e * f for e, f in zip(events, fan.synapses.reshape(-1).tolist(), strict=True))
                    nonzero += sum(e * f for e, f in zip(events, fan.nonzero.reshape(-1).tolist(), strict=True))
            assert short.image_synops[node.name][image] == synops
            assert short.image_synops_nonzero[node.name][image] == nonzero


@pytest.mark.parametrize("profile", ["loihi2", "cmos45"])
def test_the_estimate_is_the_same(make, profile):
    graph = make.small_network(np.random.default_rng(1))
    images = np.random.default_rng(0).random((9, *graph.input.shape)).astype(np.float32)
    trace = GoldenModel(graph).run(images)
    whole, short = (tc.estimate(graph, each, profile=profile) for each in (trace, ByImage(graph)(trace)))
    assert same(whole, short)
    blind = tc.estimate(graph, replace(trace, counts={}, events={}), profile=profile)
    assert any("leaves out the spread" in line for line in blind.warnings)
    assert not any("leaves out the spread" in line for line in short.warnings)

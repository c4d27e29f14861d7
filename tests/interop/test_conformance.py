"""The conformance cases tell wrong neurons from right ones, and can be handed to any simulator as files."""

from dataclasses import replace

import numpy as np

import spikec as tc
from spikec.targets.interop import write_case
from spikec.targets.interop.conformance import SEEDS, beyond, conformance, conformance_cases, from_zero


def _images(seed):
    return next(case.images for case in conformance_cases() if case.name == f"sum-{seed}")


def test_cases_reach_what_separates_importers():
    """Ties, membranes of two thresholds and more, membranes below minus one threshold, biases."""
    for seed in SEEDS:
        graph, images = from_zero(conformance(seed)), _images(seed)
        trace = tc.simulate(graph, images, record="spikes", measure=True)
        ties = tc.simulate(beyond(conformance(seed)), images, record="spikes")
        assert tc.compare(trace, ties) is not None
        assert any(trace.membrane[p.name][1] >= 2 * p.theta.max() for p in graph.populations)
        assert any(trace.membrane[p.name][0] < -p.theta.max() for p in graph.populations)
        assert all(synapse.bias.any() for synapse in graph.synapses)


def test_beyond_fires_above_the_threshold_only():
    """One neuron with a current of 1 and a threshold of 3, from zero: it reaches 3 at step 3 and 4 at step 4."""
    graph = conformance(0)
    node = graph.nodes["affine"]
    lone = replace(node, weight=np.zeros_like(node.weight), bias=np.ones_like(node.bias))
    three = replace(graph.nodes["if3"], theta=np.full(5, 3))
    graph = replace(graph, nodes={**graph.nodes, "affine": lone, "if3": three})
    on, above = (tc.simulate(g, _images(0)[:1], record="spikes") for g in (from_zero(graph), beyond(graph)))
    assert on.spikes["if3"][0, :, 0].tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    assert above.spikes["if3"][0, :, 0].tolist() == [0, 0, 0, 1, 0, 0, 1, 0]


def test_dense_pool_is_the_sum_pool():
    for seed in SEEDS:
        summed, dense = (
            tc.simulate(conformance(seed, pool=p), _images(seed), record="spikes") for p in ("sum", "dense")
        )
        assert tc.compare(summed, dense) is None


def test_a_written_case_is_the_case(tmp_path):
    for case in conformance_cases():
        write_case(case, tmp_path)
        given = np.load(tmp_path / f"{case.name}.npz")
        assert (given["images"] == case.images).all()
        if case.plain is None:
            read = tc.simulate(tc.load(tmp_path / f"{case.name}.nir"), given["images"], record="spikes")
            assert tc.compare(tc.simulate(case.graph, case.images, record="spikes"), read) is None

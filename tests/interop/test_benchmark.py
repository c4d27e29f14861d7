"""The conformance cases tell wrong neurons from right ones, and the driver counts and complains rightly."""

from dataclasses import replace

import numpy as np

import toolchain as tc
from benchmarks import interop
from benchmarks.interop_cases import SEEDS, beyond, conformance, conformance_cases, from_zero
from benchmarks.marked import replaced


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


def _outcomes(**changes):
    """Outcomes of a framework that does everything as expected, or not where ``changes`` say so."""
    found = []
    for case in conformance_cases():
        for mode in interop.modes(case):
            status, differences = ("refused: no", 0) if case.refused else ("ran", 7 if mode == "importer" else 0)
            status, differences = changes.get(f"{case.name.replace('-', '_')}_{mode}", (status, differences))
            found.append(interop.Outcome(case, mode, status, 100, differences))
    return {"nirtorch": found}


def test_complaints():
    assert interop.complaints(_outcomes()) == []
    assert "3 of 100 differ" in interop.complaints(_outcomes(sum_0_adapter=("ran", 3)))[0]
    assert "should be refused for signed_spikes" in interop.complaints(_outcomes(signed_adapter=("ran", 0)))[0]
    assert "ValueError" in interop.complaints(_outcomes(starts_portable=("ValueError: x", 0)))[0]
    fixed = {f"{c.name.replace('-', '_')}_importer": ("ran", 0) for c in conformance_cases()}
    assert interop.complaints(_outcomes(**fixed)) == [
        "nirtorch: its importer alone is exact now; the adapter may be dropped"
    ]
    assert interop.complaints(_outcomes(**fixed | {"sum_0_importer": ("TypeError: y", 0)})) == []


def test_differences_are_counted():
    case = next(iter(conformance_cases()))
    trace = interop.reference(case.graph, case)
    result = {**trace.spikes, "curve": trace.output_curve}
    assert interop.difference(trace, result) == (sum(s.size for s in trace.spikes.values()), 0)
    flipped = trace.spikes["if1"].copy()
    flipped[0, 0, 0, 0, :3] ^= 1
    assert interop.difference(trace, {**result, "if1": flipped})[1] == 3
    assert interop.difference(trace, {**result, "curve": trace.output_curve + 1})[1] == trace.output_curve.size


def test_matrix_and_its_place_in_the_documentation():
    text = interop.matrix(_outcomes())
    assert text.startswith("| | nirtorch 2.6 |")
    assert "| skip connection | same spikes |" in text
    assert "| signed_if neurons | refused |" in text
    assert f"\n{text}\n" in replaced(interop.PAGE.read_text(), "support", text)

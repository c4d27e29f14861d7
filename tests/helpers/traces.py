"""A trace against what the oracle found."""

from __future__ import annotations

import numpy as np

from spikec.analysis.ranges import bounds


def equals_loops(trace, graph, expected, *, membranes=True):
    """Everything of a trace that the oracle knows, and the proven ranges. ``membranes``: their measured ranges too,
    where the trace has them."""
    assert list(trace.outputs) == list(expected.outputs)
    assert list(trace.output_curves) == list(expected.curves)
    for name, output in expected.outputs.items():
        np.testing.assert_array_equal(trace.outputs[name], output, err_msg=name)
        assert trace.outputs[name].dtype == np.int64
    for name, curve in expected.curves.items():
        np.testing.assert_array_equal(trace.output_curves[name], curve, err_msg=name)
    ranges = bounds(graph)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(trace.counts[name], expected.counts[name], err_msg=name)
        np.testing.assert_array_equal(trace.events[name], expected.events[name], err_msg=name)
        low, high = graph.nodes[name].neuron.emission
        assert low <= spikes.min() <= spikes.max() <= high
    for name, (low, high) in expected.membrane.items():
        assert ranges.membranes[name].low <= low <= high <= ranges.membranes[name].high, name
        if trace.membrane and membranes:
            assert trace.membrane[name] == (low, high), name

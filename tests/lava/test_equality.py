"""Lava's processes against plain int64 loops, on random graphs: every kind, schedule and input coding."""

import numpy as np
import pytest

pytestmark = pytest.mark.lava

CASES = [
    # seed, graph, options
    (1, {"kind": "if", "small": False}, {}),
    (2, {"kind": "if", "timesteps": 3}, {"input": "graded"}),
    (3, {"kind": "if", "small": False}, {"stock": True, "input": "graded"}),
    (4, {"kind": "if", "timesteps": 1}, {"stock": True}),
    (5, {"kind": "if", "schedule": "layerwise", "small": False}, {}),
    (6, {"kind": "if", "schedule": "layerwise", "timesteps": 1}, {"input": "graded"}),
    (7, {"kind": "signed_if", "small": False}, {"input": "graded"}),
    (8, {"kind": "signed_if", "drain": 3}, {}),
    (9, {"kind": "signed_if", "drain": 1, "small": False}, {"input": "graded", "stock": True}),
    (10, {"kind": "signed_if", "schedule": "layerwise"}, {}),
    (11, {"kind": "calibrated_if", "timesteps": 2}, {}),
    (12, {"kind": "calibrated_if", "timesteps": 6, "small": False}, {"input": "graded"}),
    (13, {"kind": "bit_serial", "schedule": "layerwise", "small": False}, {"input": "graded"}),
    (14, {"kind": "bit_serial", "schedule": "layerwise", "timesteps": 3}, {}),
    (15, {"kind": "graded", "schedule": "layerwise", "timesteps": 1, "small": False}, {"stock": True}),
    (16, {"kind": "graded", "schedule": "layerwise", "timesteps": 1}, {"input": "graded"}),
]


def equal_to_oracle(trace, expected, names):
    for name in names:
        np.testing.assert_array_equal(trace.spikes[name], expected.spikes[name], name)
        np.testing.assert_array_equal(trace.counts[name], expected.counts[name], name)
        np.testing.assert_array_equal(trace.events[name], expected.events[name], name)
    np.testing.assert_array_equal(trace.output, expected.output)
    assert (trace.output_curve is None) == (expected.curve is None)
    if expected.curve is not None:
        np.testing.assert_array_equal(trace.output_curve, expected.curve)
    assert trace.membrane == expected.membrane
    assert trace.overflows == expected.overflows


@pytest.mark.parametrize(("seed", "kwargs", "options"), CASES, ids=lambda c: str(c) if isinstance(c, int) else None)
def test_equals_plain_loops(lava, random_graph, random_images, oracle, seed, kwargs, options):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, **kwargs)
    integers = random_images(rng, graph, 3)
    trace = lava.compile(graph, **options).run(integers * graph.input.scale, record="spikes")
    equal_to_oracle(trace, oracle(graph, integers), [p.name for p in graph.populations])

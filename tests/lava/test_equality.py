"""Lava's processes against plain int64 loops, on random graphs: every kind, schedule and input coding."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.thorough import every_second

from spikec.ir.graph import Population

pytestmark = pytest.mark.lava

CASES = [
    # seed, graph, options
    (1, {"kind": "if", "spikes": 1, "small": False}, {}),
    (2, {"kind": "if", "spikes": 1, "timesteps": 3}, {"input": "graded"}),
    (3, {"kind": "if", "spikes": 1, "small": False}, {"stock": True, "input": "graded"}),
    (4, {"kind": "if", "spikes": 1, "timesteps": 1}, {"stock": True}),
    (5, {"kind": "if", "spikes": 1, "schedule": "layerwise", "small": False}, {}),
    (6, {"kind": "if", "spikes": 1, "schedule": "layerwise", "timesteps": 1}, {"input": "graded"}),
    (7, {"kind": "signed_if", "spikes": 1, "small": False}, {"input": "graded"}),
    (8, {"kind": "signed_if", "spikes": 1, "drain": 3}, {}),
    (9, {"kind": "signed_if", "spikes": 1, "drain": 1, "small": False}, {"input": "graded", "stock": True}),
    (10, {"kind": "signed_if", "spikes": 1, "schedule": "layerwise"}, {}),
    (11, {"kind": "calibrated_if", "timesteps": 2}, {}),
    (12, {"kind": "calibrated_if", "timesteps": 6, "small": False}, {"input": "graded"}),
    (13, {"kind": "bit_serial", "schedule": "layerwise", "small": False}, {"input": "graded"}),
    (14, {"kind": "bit_serial", "schedule": "layerwise", "timesteps": 3}, {}),
    (15, {"kind": "graded", "schedule": "layerwise", "timesteps": 1, "small": False}, {"stock": True}),
    (16, {"kind": "graded", "schedule": "layerwise", "timesteps": 1}, {"input": "graded"}),
    (41, {"kind": "if", "spikes": 3, "small": False}, {"input": "graded"}),
    (42, {"kind": "if", "spikes": 200}, {}),
    (43, {"kind": "if", "spikes": 7, "schedule": "layerwise"}, {"stock": True}),
    (44, {"kind": "signed_if", "spikes": 3}, {}),
    (45, {"kind": "signed_if", "spikes": 7, "drain": 3, "small": False}, {"input": "graded", "stock": True}),
    (46, {"kind": "signed_if", "spikes": 200, "drain": 2}, {}),
    (47, {"kind": "signed_if", "spikes": 2, "schedule": "layerwise", "small": False}, {}),
    (54, {"kind": "if", "spikes": (1, 2, 7)}, {"input": "graded"}),  # differs by layer
    (50, {"kind": "signed_if", "spikes": (1, 2, 7), "drain": 2}, {}),
    (52, {"kind": "if", "spikes": (1, 2, 7), "schedule": "layerwise"}, {}),
    (61, {"kind": "if", "spikes": 1, "maxima": True}, {"input": "graded"}),
    (63, {"kind": "signed_if", "spikes": 1, "drain": 2, "maxima": True, "small": False}, {}),
    (64, {"kind": "signed_if", "spikes": 5, "maxima": True}, {"input": "graded"}),
    (65, {"kind": "calibrated_if", "maxima": True}, {}),
    (66, {"kind": "bit_serial", "schedule": "layerwise", "maxima": True}, {"input": "graded"}),
    (68, {"kind": "graded", "schedule": "layerwise", "timesteps": 1, "maxima": True}, {"input": "graded"}),
]


FLOATING = [
    (31, {"kind": "if", "spikes": 1, "small": False}, {}),
    (32, {"kind": "signed_if", "spikes": 1, "drain": 1}, {"input": "graded"}),
    (33, {"kind": "calibrated_if"}, {}),
    (34, {"kind": "bit_serial", "schedule": "layerwise"}, {"input": "graded"}),
    (35, {"kind": "graded", "schedule": "layerwise", "timesteps": 1}, {}),
    (36, {"kind": "if", "spikes": 5}, {}),
    (37, {"kind": "signed_if", "drain": 2, "spikes": 5}, {"input": "graded"}),
    (38, {"kind": "signed_if", "drain": 1, "maxima": True}, {"input": "graded"}),
]


def equal_to_oracle(trace, expected, names, *, unseen=()):
    for name in names:
        np.testing.assert_array_equal(trace.spikes[name], expected.spikes[name], name)
        np.testing.assert_array_equal(trace.counts[name], expected.counts[name], name)
        np.testing.assert_array_equal(trace.events[name], expected.events[name], name)
    np.testing.assert_array_equal(trace.output, expected.output)
    assert (trace.output_curve is None) == (expected.curve is None)
    if expected.curve is not None:
        np.testing.assert_array_equal(trace.output_curve, expected.curve)
    assert trace.membrane == {name: m for name, m in expected.membrane.items() if name not in unseen}
    assert trace.overflows == {name: n for name, n in expected.overflows.items() if name not in unseen}


@pytest.mark.parametrize(
    ("seed", "kwargs", "options"), every_second(CASES), ids=lambda c: str(c) if isinstance(c, int) else None
)
def test_equals_plain_loops(lava, random_graph, random_images, oracle, seed, kwargs, options):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, **kwargs)
    integers = random_images(rng, graph, 3)
    # All three side by side; two, then one beside an empty lane; one by one.
    abreast = 1 if options.get("stock") else (None, 2, 1)[seed % 3]
    trace = lava.compile(graph, abreast=abreast, **options).run(integers * graph.input.scale, record="spikes")
    assert trace.info["abreast"] == str(abreast or 3)
    equal_to_oracle(trace, oracle(graph, integers), [p.name for p in graph.populations])


@pytest.mark.parametrize(("seed", "kwargs", "options"), every_second(FLOATING), ids=[str(case[0]) for case in FLOATING])
def test_floating_point_models(lava, random_graph, random_images, oracle, seed, kwargs, options):
    """The same integers in float64."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, **kwargs)
    integers = random_images(rng, graph, 2)
    trace = lava.compile(graph, precision="floating_pt", **options).run(integers * graph.input.scale, record="spikes")
    assert trace.info["precision"] == "floating_pt"
    equal_to_oracle(trace, oracle(graph, integers), [p.name for p in graph.populations])


def even(node, rng):
    """The population with one even threshold, or at times an odd one; membranes start below it."""
    if not isinstance(node, Population):
        return node
    theta = 2 * (int(node.theta.max()) // 2 + 1) + int(rng.random() < 0.2)
    return replace(node, theta=np.full_like(node.theta, theta), v_init=np.minimum(node.v_init, theta - 1))


@pytest.mark.parametrize(
    ("seed", "kwargs", "options"),
    every_second(
        [
            (22, {"small": True}, {"input": "graded"}),
            (21, {"small": True}, {}),
            (24, {"small": True, "timesteps": 7}, {}),
            (23, {"small": True}, {"stock": True, "input": "graded"}),
        ]
    ),
)
def test_lavas_own_neurons(lava, random_graph, random_images, oracle, seed, kwargs, options):
    """ATRLIF where it fits, ours elsewhere, one image after another through both."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, spikes=1, **kwargs)
    graph = replace(graph, nodes={name: even(node, rng) for name, node in graph.nodes.items()})
    integers = random_images(rng, graph, 3)
    program = lava.compile(graph, neuron="atrlif", **options)
    assert program.stock
    trace = program.run(integers * graph.input.scale, record="spikes")
    equal_to_oracle(trace, oracle(graph, integers), [p.name for p in graph.populations], unseen=program.stock)
    assert set(trace.info["atrlif"].split(", ")) == program.stock

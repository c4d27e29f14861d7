"""Several outputs, of any shape, in Lava: random graphs against plain loops, and converted networks."""

import numpy as np
import pytest
from helpers.graphs import random_images, random_outputs
from helpers.oracle import oracle
from helpers.traces import equals_loops

pytestmark = pytest.mark.lava

CASES = [
    # seed, graph, options
    (1, {"kind": "if"}, {"input": "graded"}),
    (2, {"kind": "if", "small": False, "constant": False}, {}),
    (3, {"kind": "signed_if", "drain": 2}, {"input": "graded", "stock": True}),
    (4, {"kind": "if", "schedule": "layerwise"}, {"input": "graded"}),
    (5, {"kind": "bit_serial", "schedule": "layerwise"}, {"input": "graded"}),
    (6, {"kind": "graded", "schedule": "layerwise", "timesteps": 1, "maxima": True}, {"input": "graded"}),
    (7, {"kind": "calibrated_if", "maxima": True}, {"input": "graded"}),
    (8, {"kind": "if", "constant": False}, {"precision": "floating_pt"}),
]


@pytest.mark.parametrize(("seed", "kwargs", "options"), CASES, ids=lambda c: str(c) if isinstance(c, int) else None)
def test_equals_plain_loops(lava, seed, kwargs, options):
    rng = np.random.default_rng(seed)
    graph = random_outputs(rng, **kwargs)
    integers = random_images(rng, graph, 3)
    trace = lava.compile(graph, **options).run(integers * graph.input.scale, record="spikes")
    expected = oracle(graph, integers)
    equals_loops(trace, graph, expected)
    assert trace.overflows == expected.overflows

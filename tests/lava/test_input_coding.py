"""What the input coding lost is in the traces of Lava and of netx files as in the golden model's."""

import numpy as np
import pytest
from helpers.networks import digits_network
from helpers.sequences import random_sequence_graph

import spikec as tc
from spikec.errors import InputWarning
from spikec.targets.netx import NetxProgram, write

pytestmark = pytest.mark.lava


def test_images(lava, tmp_path):
    graph = digits_network()
    images = np.random.default_rng(0).normal(0.3, 0.4, (6, 1, 8, 8)).astype(np.float32)
    with pytest.warns(InputWarning) as golden:
        expected = tc.simulate(graph, images)
    write(graph, tmp_path / "net.net")
    for program in (lava.compile(graph, chunk=2), NetxProgram.load(tmp_path / "net.net")):
        with pytest.warns(InputWarning) as caught:
            trace = program.run(images)
        assert [str(each.message) for each in caught] == [str(each.message) for each in golden]
        assert tc.compare(expected, trace) is None
        np.testing.assert_array_equal(trace.coding.counts, expected.coding.counts)


def test_sequences(lava):
    rng = np.random.default_rng(0)
    graph = random_sequence_graph(rng)
    frames = [rng.integers(-300, 300, (steps, *graph.input.shape)) for steps in (2, 4)]
    with pytest.warns(InputWarning):
        expected = tc.simulate(graph, frames)
    with pytest.warns(InputWarning, match="which are cut"):
        trace = lava.compile(graph).run(frames)
    np.testing.assert_array_equal(trace.coding.counts, expected.coding.counts)
    assert trace.coding.values == 6 * int(np.prod(graph.input.shape))

"""The golden model against a target, from Python."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from helpers.networks import digits_network

import spikec as tc
from spikec.errors import DataError, TargetUnavailable, ToolchainError
from spikec.evidence import accuracy
from spikec.ir import build
from spikec.models.data import open_dataset
from spikec.targets.golden import GoldenTarget
from spikec.targets.lava import LavaTarget


class Wrong(GoldenTarget):
    """Adds 1 to an output of the image after ``good`` images."""

    name = "wrong"

    def __init__(self, good=0):
        self.good, self.seen = good, 0

    def compile(self, graph, **options):
        golden = super().compile(graph)

        def run(images, *, record=None):
            trace = golden.run(images, record=record)
            index, self.seen = self.good - self.seen, self.seen + len(images)
            output = trace.output.copy()
            if 0 <= index < len(images):
                output[index, 3] += 1
            return replace(trace, outputs={"output": output}, output_curves={}, target="wrong")

        return SimpleNamespace(run=run)


class Absent(GoldenTarget):
    @classmethod
    def available(cls):
        return "pip install absent"


@pytest.fixture
def images():
    return open_dataset("digits").images(slice(9))


@pytest.mark.parametrize("given", [lambda x: x, lambda x: x.numpy(), lambda x: x.double()])
def test_identical(images, given):
    found = tc.crosscheck(digits_network(), "golden", given(images))
    assert found.difference is None
    assert found.identical
    assert str(found) == "9 images, 1 layers, 3 steps: identical"
    assert found.compared == ("spikes", "counts", "events", "curve", "output")


def test_a_data_set_and_a_file(images):
    found = tc.crosscheck(build(digits_network()), "golden", open_dataset("digits").subset(slice(9)))
    assert (found.target, found.images, found.layers, found.timesteps) == ("golden", 9, 1, 3)


def test_the_first_difference(images, monkeypatch):
    """Counted from the first image given, not from that of the batch."""
    monkeypatch.setattr(accuracy, "_SLOW_BATCH", 4)
    done, seen = [], []
    found = tc.crosscheck(digits_network(), Wrong(6), images, progress=done.append, watch=seen.append)
    assert (found.difference.image, found.difference.layer, found.difference.neuron) == (6, "output", (3,))
    assert found.difference.second == found.difference.first + 1
    assert str(found).startswith("9 images, 1 layers, 3 steps: output: first difference at image 6")
    assert done == [4]
    assert [trace.images for trace in seen] == [4, 4]
    assert "curve" not in found.compared


def test_options_reach_both_sides(images):
    found = tc.crosscheck(digits_network(), "golden", images, options={"measure": True}, golden={"threads": 1})
    assert found.identical


def test_refusals(images):
    with pytest.raises(TargetUnavailable, match="pip install absent"):
        tc.crosscheck(digits_network(), Absent(), images)
    with pytest.raises(ToolchainError, match="gilden"):
        tc.crosscheck(digits_network(), "gilden", images)
    with pytest.raises(DataError, match="no images"):
        tc.crosscheck(digits_network(), "golden", torch.zeros(0, 1, 8, 8))


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
def test_lava(images):
    assert tc.crosscheck(digits_network(), "lava", images[:2]).difference is None

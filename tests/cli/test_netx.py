"""``spikec netx``: the file, its refusals, and the accuracy of the approximation."""

from dataclasses import replace

import numpy as np
import pytest

from spikec.ir import build, save
from spikec.targets.lava import LavaTarget
from spikec.targets.netx import read, simulate_hard_reset


def test_soft_reset(spikec, net, tmp_path):
    result = spikec("netx", net, "-o", "net.hdf5")
    assert result.code == 0, result.err
    assert "net.hdf5: 2 layers, pools folded in: pool" in result.out
    assert "stock netx refuses it" in result.out
    assert read(tmp_path / "net.hdf5").timesteps == 3


def test_hard_reset_states_its_accuracy(spikec, net, tmp_path):
    """The accuracy is that of the file, on the images asked for."""
    from spikec.models.data import open_dataset
    from spikec.simulation.encode import encode

    document = spikec("netx", net, "-o", "net.hdf5", "--hard-reset", "--limit", 30, "--json").json
    chain = read(tmp_path / "net.hdf5", reset="hard")
    test = open_dataset("digits", None, "test")
    predictions = simulate_hard_reset(chain, encode(chain.input, test.images(slice(30)).numpy())).output.argmax(axis=1)
    assert document["accuracy"] == np.mean(predictions == test.labels[:30])
    assert document["images"] == 30
    text = spikec("netx", net, "-o", "net.hdf5", "--hard-reset", "--limit", 30).out
    assert "a different network" in text
    assert "30 digits test images" in text


def test_refusal(spikec, tmp_path, digits_graph):
    graph = digits_graph()
    fire = replace(graph.nodes["fire"], theta=np.arange(1, 193).reshape(3, 8, 8))
    save(build(replace(graph, nodes={**graph.nodes, "fire": fire})), tmp_path / "net.nir")
    result = spikec("netx", "net.nir", "-o", "net.hdf5", "--hard-reset")
    assert result.code == 2
    assert "fire has thresholds 1..192" in result.err
    assert not (tmp_path / "net.hdf5").exists()


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
@pytest.mark.parametrize("words", [[], ["--hard-reset"]], ids=["soft", "hard"])
def test_verify(spikec, net, words):
    result = spikec("netx", net, "-o", "net.hdf5", "--verify", 2, *words, "--json")
    assert result.code == 0, result.err
    assert (result.json["verified_images"], result.json["difference"]) == (2, None)

"""``spikec netx``: the file, its refusals, and the accuracy of the approximation."""

from dataclasses import replace
from itertools import pairwise

import nir
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


@pytest.fixture
def leaky(tmp_path):
    """A file of two leaky layers, and sequences for it."""
    rng = np.random.default_rng(0)

    def lif(size):
        return nir.LIF(np.full(size, 5e-3), np.full(size, 2.0), np.zeros(size), np.ones(size), np.zeros(size))

    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "one": nir.Affine(rng.normal(size=(6, 3)), rng.normal(size=6) / 9),
        "fire": lif(6),
        "two": nir.Linear(rng.normal(size=(2, 6))),
        "last": lif(2),
        "output": nir.Output({"output": np.array([2])}),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(pairwise(names)), metadata={}, type_check=False)
    nir.write(tmp_path / "leaky.nir", graph)
    np.savez(tmp_path / "x.npz", x=(rng.random((4, 20, 3)) < 0.6).astype(np.uint8))
    return ["export", "leaky.nir", "--dt", "1e-3", "--data", "npz:x.npz", "-o", "out.nir"]


def test_leaky_neurons_are_stock(spikec, leaky, tmp_path):
    assert spikec(*leaky, "--format", "netx").code == 0
    said = spikec("netx", "out.nir", "-o", "net.hdf5")
    assert said.code == 0, said.err
    assert "net.hdf5: 2 layers of neurons, all of them lava-dl's own: stock netx runs the file" in said.out
    assert spikec("netx", "out.nir", "-o", "hard.hdf5", "--hard-reset").code == 1
    assert not (tmp_path / "hard.hdf5").exists()


def test_what_other_formats_hold_is_refused_with_the_way_out(spikec, leaky):
    assert spikec(*leaky).code == 0
    said = spikec("netx", "out.nir", "-o", "net.hdf5")
    assert said.code == 2
    assert "export with --format netx" in said.err


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
def test_verify_leaky_neurons(spikec, leaky):
    assert spikec(*leaky, "--format", "netx").code == 0
    said = spikec("netx", "out.nir", "-o", "net.hdf5", "--verify", 2, "--data", "npz:x.npz", "--json")
    assert said.code == 0, said.err
    assert (said.json["verified_sequences"], said.json["difference"]) == (2, None)

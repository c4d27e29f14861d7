"""NIR files of leaky and recurrent neurons on the command line: export, run, verify, check, map and energy."""

from __future__ import annotations

import nir
import numpy as np
import pytest


@pytest.fixture
def recurrent(tmp_path):
    """A recurrent CubaLIF network with two classes, and data: sequences of two rates, of different lengths."""
    rng = np.random.default_rng(0)
    n = 5

    def full(size, value):
        return np.full(size, value, np.float64)

    fields = {
        "tau_syn": 2e-3,
        "tau_mem": 5e-3,
        "r": 6.0,
        "v_leak": 0.0,
        "v_threshold": 1.0,
        "v_reset": 0.0,
        "w_in": 2.0,
    }
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "fc1": nir.Affine(rng.normal(size=(n, 3)), rng.normal(size=n) / 9),
        "lif": nir.CubaLIF(**{name: full(n, value) for name, value in fields.items()}),
        "rec": nir.Linear(rng.normal(size=(n, n)) / 3),
        "fc2": nir.Linear(rng.normal(size=(2, n))),
        "li": nir.LI(full(2, 5e-3), full(2, 1.0), full(2, 0.0)),
        "output": nir.Output({"output": np.array([2])}),
    }
    edges = [("input", "fc1"), ("fc1", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "fc2"), ("fc2", "li"),
             ("li", "output")]  # fmt: skip
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, edges, metadata={}, type_check=False))
    y = np.arange(12) % 2
    x = (rng.random((12, 30, 3)) < np.where(y, 0.5, 0.1)[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.savez(tmp_path / "labels.npz", x=x, y=np.arange(12) % 3)
    lengths = rng.integers(5, 31, 12)
    np.savez(tmp_path / "uneven.npz", x=x, y=y, lengths=lengths)
    np.savez(tmp_path / "images.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.zeros(4, int))
    return tmp_path


@pytest.fixture
def deployed(recurrent, spikec):
    said = spikec("export", "net.nir", "--dt", "1e-3", "--data", "npz:data.npz", "-o", "out.nir")
    assert said.code == 0, said.err
    return "out.nir"


def test_export_says_how_far_the_integers_agree(recurrent, spikec):
    said = spikec(
        "export", "net.nir", "--dt", "1e-3", "--data", "npz:data.npz", "--fidelity", "-o", "out.nir", "--json"
    )
    assert said.code == 0, said.err
    (layer,) = said.json["fidelity"]["layers"]
    assert layer["layer"] == "lif"
    assert layer["spikes"] > 0
    assert said.json["timesteps"] == 30


def test_run_inspect_check_map_energy(deployed, spikec):
    ran = spikec("run", deployed, "--data", "npz:data.npz", "--record", "spikes", "-o", "trace.npz", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["images"] == 12
    assert len(ran.json["accuracy_by_timestep"]) == 30
    trace = np.load("trace.npz")
    assert trace["spikes/lif"].shape == (12, 30, 5)
    listing = spikec("inspect", deployed)
    assert "lif, one step before" in listing.out
    assert "leaky integrator" in listing.out
    found = spikec("check", deployed, "--target", "loihi2", "--json")
    assert found.code == 0
    assert {v["rule"] for v in found.json["violations"]} <= {"bias of the current", "synaptic current"}
    assert spikec("map", deployed, "--target", "loihi2").code == 0
    energy = spikec("energy", deployed, "--data", "npz:data.npz", "--profile", "loihi2")
    assert energy.code == 0, energy.err
    assert "input: event_camera" in energy.out
    assert spikec("diff", deployed, deployed).code == 0


def test_sequences_of_different_lengths(deployed, spikec):
    ran = spikec("run", deployed, "--data", "npz:uneven.npz", "-o", "trace.npz", "--json")
    assert ran.code == 0, ran.err
    lengths = np.load("uneven.npz")["lengths"]
    np.testing.assert_array_equal(np.load("trace.npz")["steps"], lengths)
    assert ran.json["mean_steps"] == pytest.approx(lengths.mean())


@pytest.mark.lava
def test_verify_in_lava(deployed, spikec):
    said = spikec("verify", deployed, "--data", "npz:uneven.npz", "--limit", "6")
    assert said.code == 0, said.err
    assert "6 images, 1 layers, " in said.out
    assert "identical" in said.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "npz:data.npz"], "give --dt"),
        (["--dt", "1e-3"], "'digits' are images"),
        (["--dt", "1e-3", "--data", "npz:images.npz"], "takes sequences"),
        (["--dt", "1e-3", "--data", "npz:nothing.npz"], "there is no file nothing.npz"),
        (["--dt", "1e-3", "--data", "npz:labels.npz"], "knows 2 classes, npz:labels.npz has label 2"),
        (["--dt", "1e-3", "--data", "npz:data.npz", "-T", "4"], "leave out --timesteps"),
        (["--dt", "1e-3", "--data", "npz:data.npz", "--v-init", "half"], "leave out --v-init"),
        (["--dt", "1e-3", "--data", "npz:data.npz", "--method", "qcfs"], None),
        (["--dt", "1e-3", "--data", "npz:data.npz", "--calibrate", "full"], "--calibrate: only for trained networks"),
        (["--dt", "1e-3", "--data", "npz:data.npz", "--measure", "9"], "--measure: only for trained networks"),
        (["--dt", "1", "--data", "npz:data.npz"], "longer than tau"),
        (["--dt", "-1", "--data", "npz:data.npz"], "dt must be a positive number"),
    ],
)
def test_refusals(recurrent, spikec, options, words):
    said = spikec("export", "net.nir", *options, "-o", "out.nir")
    assert not (recurrent / "out.nir").exists() or words is None
    if words is not None:
        assert said.code == 1
        assert words in said.err
        assert said.err.count("\n") <= 4  # a line for each layer


def test_without_data_the_file_names_them(deployed, spikec, recurrent):
    ran = spikec("run", deployed, "--json")
    assert (ran.code, ran.json["data"], ran.json["images"]) == (0, "npz:data.npz", 12)
    (recurrent / "data.npz").unlink()
    said = spikec("run", deployed)
    assert said.code == 1
    assert "was exported with npz:data.npz; --data names another" in said.err


def test_images_are_refused_by_a_network_of_sequences(deployed, spikec):
    said = spikec("run", deployed, "--data", "digits")
    assert said.code == 1
    assert "sequences" in said.err
    wrong = spikec("run", deployed, "--data", "npz:images.npz")
    assert wrong.code == 1
    assert "takes frames of 3" in wrong.err


def test_ranges_are_proven_and_not_measured(deployed, spikec):
    assert spikec("ranges", deployed).code == 0
    said = spikec("ranges", deployed, "--data", "npz:data.npz")
    assert said.code == 1
    assert "leave out --data" in said.err


def test_options_of_sequences_need_sequences(recurrent, spikec):
    ones = np.ones(2, np.float32)
    nodes = {"input": nir.Input({"input": np.array([2])}), "w": nir.Linear(np.eye(2)),
             "if": nir.IF(ones, ones, 0 * ones), "output": nir.Output({"output": np.array([2])})}  # fmt: skip
    edges = [("input", "w"), ("w", "if"), ("if", "output")]
    nir.write(recurrent / "plain.nir", nir.NIRGraph(nodes, edges, metadata={}, type_check=False))
    options = ["--reset", "subtract", "--v-init", "zero", "-T", "3", "--reading", "sum"]
    said = spikec("export", "plain.nir", *options, "-o", "out.nir")
    assert said.code == 1
    assert "only for files that run on sequences" in said.err


def test_signals(tmp_path, monkeypatch, spikec):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    nodes = {
        "input": nir.Input({"input": np.array([2, 8])}),
        "conv": nir.Conv1d(8, rng.normal(size=(3, 2, 3)), 1, 1, 1, 1, np.zeros(3)),
        "lif": nir.LIF(*(np.full((3, 8), value) for value in (1e-2, 1.0, 0.0, 0.1))),
        "output": nir.Output({"output": np.array([3, 8])}),
    }
    edges = [("input", "conv"), ("conv", "lif"), ("lif", "output")]
    nir.write("net.nir", nir.NIRGraph(nodes, edges, metadata={}, type_check=False))
    np.savez("x.npz", x=rng.integers(0, 2, (3, 10, 2, 8)))
    said = spikec("export", "net.nir", "--dt", "1e-3", "--data", "npz:x.npz", "--fidelity", "-o", "out.nir")
    assert said.code == 0, said.err
    said = spikec("run", "out.nir", "--data", "npz:x.npz", "--json")
    assert said.code == 0, said.err
    assert said.json["images"] == 3


def test_what_an_archive_holds_after_the_end_of_a_sequence_is_not_read(recurrent, spikec):
    x, lengths = np.load("uneven.npz")["x"].copy(), np.load("uneven.npz")["lengths"]
    said = {}
    for name in ("zeros", "rest"):
        x[np.arange(x.shape[1]) >= lengths[:, None]] = 0 if name == "zeros" else 200
        np.savez(f"{name}.npz", x=x, lengths=lengths)
        options = ("--dt", "1e-3", "--data", f"npz:{name}.npz", "--fidelity", "-o", "out.nir", "--json")
        said[name] = spikec("export", "net.nir", *options).json
    assert said["zeros"]["fidelity"] == said["rest"]["fidelity"]
    assert said["zeros"]["content_sha256"] == said["rest"]["content_sha256"]


def test_sequences_are_not_cut_into_shards(deployed, spikec):
    said = spikec("run", deployed, "--shards", "2")
    assert said.code == 1
    assert "sequences run together, as long as the longest" in said.err

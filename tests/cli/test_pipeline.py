"""The commands that make something: export, energy, report and demo, on the shipped digits network."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from spikec.cli import main
from spikec.ir import as_integer, load
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.reporting.reproducing import reproduction
from spikec.simulation import simulate
from spikec.targets.lava import LavaTarget

ABSENT = "Lava is not installed here: pip install it"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The shipped digits network, exported at T = 4."""
    path = tmp_path_factory.mktemp("digits") / "digits.nir"
    assert main(["export", "digits-cnn", "-o", str(path)]) == 0
    return path


@pytest.fixture
def without_lava(monkeypatch):
    monkeypatch.setattr(LavaTarget, "available", classmethod(lambda cls: ABSENT))


def test_export_says_what_it_made(spikec, digits):
    result = spikec("export", "digits-cnn", "-T", 2, "--per", "channel", "-o", "net.nir", "--json")
    assert result.code == 0, result.err
    graph = as_integer(load("net.nir"))
    assert result.json["content_sha256"] == graph.content_sha256
    assert (result.json["timesteps"], graph.timesteps) == (2, 2)
    assert result.json["layers"] == len(graph.populations)
    assert graph.content_sha256 != as_integer(load(digits)).content_sha256


def test_export_is_reproducible(spikec, digits):
    spikec("export", "digits-cnn", "-o", "again.nir")
    with open("again.nir", "rb") as again:
        assert again.read() == digits.read_bytes()


@pytest.mark.parametrize("options", ["-T 2 --per channel --measure 30", "--method error-compensation --option drain=2"])
def test_a_file_says_the_command_that_makes_it_again(spikec, options):
    assert spikec("export", "digits-cnn", *options.split(), "-o", "net.nir").code == 0
    stated = as_integer(load("net.nir")).info["export"]
    assert "-o" not in stated.split()
    measured = ("--measure", "30") if "--measure" in options else ()
    assert spikec(*shlex.split(stated)[1:], *measured, "-o", "again.nir").code == 0
    assert Path("again.nir").read_bytes() == Path("net.nir").read_bytes()


@pytest.mark.parametrize(
    ("stated", "shown", "complete"),
    [
        ("spikec export my.py:make --weights w.pt -T 2", "spikec export my.py:make --weights w.pt -T 2 -o a.nir", True),
        ("spikec export x; rm -r y", "spikec export 'x;' rm -r y -o a.nir", True),
        ("rm -r spikec export", "spikec export MODEL --weights WEIGHTS --method qcfs -o a.nir", False),
        (None, "spikec export MODEL --weights WEIGHTS --method qcfs -o a.nir", False),
        ("spikec export 'x", "spikec export MODEL --weights WEIGHTS --method qcfs -o a.nir", False),
    ],
)
def test_a_report_says_how_the_file_was_made(stated, shown, complete):
    """A file may say anything: what is shown runs ``spikec export`` and nothing else."""
    info = {"method": "qcfs"} if stated is None else {"method": "qcfs", "export": stated}
    _, made, report = reproduction(info, "spikec report a.nir --data digits", "0.2.0", None, "digits")
    assert (made.command, made.complete) == (shown, complete)
    assert report.command == "spikec report a.nir --data digits"


def test_export_takes_a_file_of_python_and_weights(spikec, digits, tmp_path):
    """The same network from a user's file and its state dictionary is the same deployment."""
    (tmp_path / "mine.py").write_text("import models\n\ndef net():\n    return models.resolve('digits-cnn')\n")
    torch.save(pretrained("digits-cnn").state_dict(), tmp_path / "w.pt")
    result = spikec("export", "mine.py:net", "--weights", "w.pt", "-o", "net.nir")
    assert result.code == 0, result.err
    images = open_dataset("digits").images(slice(20)).numpy()
    np.testing.assert_array_equal(simulate(load("net.nir"), images).output, simulate(load(digits), images).output)


@pytest.mark.parametrize("method", ["qcfs", "error-compensation"])
def test_export_of_several_spikes_per_step(spikec, method):
    """The file says so, in its neurons, its settings and its requirements; Loihi 1 refuses it."""
    result = spikec("export", "digits-cnn", "--method", method, "-T", 2, "--option", "spikes=3", "-o", "net.nir")
    assert result.code == 0, result.err
    graph = as_integer(load("net.nir"))
    assert {p.neuron.spikes for p in graph.populations} == {3}
    assert graph.info["spikes"] == "3"
    assert "max_spikes_per_step" in load("net.nir").metadata["spikec"]["requires"]
    assert "spikes 3" in spikec("inspect", "net.nir").out
    assert spikec("run", "net.nir", "--data", "digits", "--limit", 50).code == 0
    assert spikec("check", "net.nir", "--target", "loihi2").code == 0
    result = spikec("check", "net.nir", "--target", "loihi1")
    assert result.code != 0
    assert "neuron kind" in result.out
    spikec("export", "digits-cnn", "--method", method, "-T", 2, "-o", "one.nir")
    spikec("export", "digits-cnn", "--method", method, "-T", 2, "--option", "spikes=1", "-o", "said.nir")
    with open("one.nir", "rb") as one, open("said.nir", "rb") as said:
        assert one.read() == said.read()
    assert "spikes 1 -> 3" in spikec("diff", "one.nir", "net.nir").out


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
@pytest.mark.parametrize(
    "words", [("qcfs",), ("error-compensation", "--option", "drain=2"), ("qcfs", "--schedule", "layerwise")]
)
def test_several_spikes_per_step_in_lava(spikec, words):
    spikec("export", "digits-cnn", "--method", *words, "-T", 2, "--option", "spikes=3", "-o", "net.nir")
    result = spikec("verify", "net.nir", "--target", "lava", "--limit", 4)
    assert result.code == 0, result.err
    assert "identical" in result.out


def test_export_within_a_spike_budget(spikec):
    """K per layer is printed and stored; what it measured is what the file sends."""
    words = ("--method", "error-compensation", "-T", 2, "--option", "spikes=3", "--calibration", 40)
    result = spikec("export", "digits-cnn", *words, "--spike-budget", 2100, "--json", "-o", "net.nir")
    assert result.code == 0, result.err
    found = json.loads(result.out)["spikes"]
    assert found["measured"] <= found["budget"] == 2100
    graph = as_integer(load("net.nir"))
    assert found["layers"] == {p.name: p.neuron.spikes for p in graph.populations}
    assert graph.info["spike_budget"] == "2100"
    images = open_dataset("digits", split="train").draw(40, 0).images().numpy()
    events = simulate(graph, images, counts="totals").event_totals.values()
    assert sum(int(total.sum()) for total in events) / 40 == found["measured"]


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
def test_spikes_by_layer_in_lava(spikec):
    given = ("--option", "spikes=*=2,3=5,13=1")
    result = spikec("export", "digits-cnn", "--method", "error-compensation", "-T", 2, *given, "-o", "net.nir")
    assert result.code == 0, result.err
    assert [p.neuron.spikes for p in as_integer(load("net.nir")).populations] == [2, 5, 2, 1]
    result = spikec("verify", "net.nir", "--target", "lava", "--limit", 4)
    assert result.code == 0, result.err
    assert "identical" in result.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("digits-cnn", "--spike-budget", "1", "--calibration", "8"),
            "a budget of 1 spikes per image cannot be met: the smallest number",
        ),
        (("digits-cnn", "--spike-budget", "0"), "the spike budget must be more than 0 spikes per image, it is 0"),
        (("digits-cnn", "--spike-budget", "9", "--method", "graded"), "take qcfs or error-compensation"),
        (("digits-cnn", "--spike-budget", "many"), "invalid float value: 'many'"),
        (
            ("digits-cnn", "--option", "spikes=classifier=3"),
            "spikes 'classifier' is the name of no layer; layers: 0, 2",
        ),
        (("digits-cnn", "--option", "spikes=two"), "numbers by layer such as"),
        (("digits-cn",), "did you mean 'digits-cnn'?"),
        (("lenet5",), "lenet5 comes without weights: train it with spikec train, then give them with --weights"),
        (("digits-cnn", "--method", "qfcs"), "did you mean 'qcfs'?"),
        (("digits-cnn", "--option", "levls=3"), "unknown 'levls'"),
        (("digits-cnn", "--weights", "absent.safetensors"), "absent.safetensors"),
        (("absent.py:net",), "absent.py"),
        (("math:pi",), "float"),
    ],
)
def test_export_refuses(spikec, tmp_path, words, says):
    result = spikec("export", *words, "-o", "net.nir")
    assert result.code == 1
    assert says in result.err
    assert list(tmp_path.iterdir()) == []


def test_energy(spikec, digits):
    result = spikec("energy", digits, "--limit", 20, "--json")
    assert result.code == 0, result.err
    total = result.json["total"]
    assert 0 < total["p5"] <= total["p50"] <= total["p95"]
    assert result.json["profile"]["name"] == "loihi2"
    assert "SynOps" in spikec("energy", digits, "--limit", 20).out


def test_energy_with_an_unknown_profile(spikec, digits):
    result = spikec("energy", digits, "--profile", "lohi2")
    assert result.code == 1
    assert "did you mean 'loihi2'?" in result.err


def test_report_without_lava(spikec, digits, tmp_path, without_lava):
    result = spikec("report", digits, "--limit", 20, "-o", "r.html", "--json")
    assert result.code == 0, result.err
    assert ABSENT in result.err
    assert (tmp_path / "r.html").read_text().startswith("<!")
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["images"] == 20
    beside = {name: result.json.pop(name) for name in set(result.json) - set(written)}
    assert beside == {"report": "r.html", "json": "r.json", "command": "report"}
    assert result.json == written


def test_report_states_all_images_beyond_the_energy_sample(spikec, digits, monkeypatch):
    """Accuracy and counts of all images, the same whether or not the energy interval took fewer."""
    from spikec.cli import report

    whole = spikec("report", digits, "--limit", 30, "--verify", 0, "--json").json
    monkeypatch.setattr(report, "SPREAD_IMAGES", 10)
    split = spikec("report", digits, "--limit", 30, "--verify", 0, "--json").json
    for key in ("accuracy", "synapses", "populations", "curve"):
        assert split[key] == whole[key]


def test_demo_without_lava(spikec, tmp_path, without_lava):
    result = spikec("demo", "--json")
    assert result.code == 0, result.err
    assert result.json["lava"] == {"skipped": ABSENT}
    assert result.json["ann_accuracy"] > 0.95
    assert result.json["accuracy"] > 0.95
    assert (tmp_path / "spikec-demo" / "report.html").is_file()
    assert spikec("demo", "--target", "lava").code == 4


def test_demo_needs_a_directory(spikec, tmp_path):
    (tmp_path / "file").write_text("")
    result = spikec("demo", "-o", "file")
    assert result.code == 1
    assert "file is a file" in result.err


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
def test_demo_with_lava(spikec, tmp_path):
    result = spikec("demo", "--verify", 5)
    assert result.code == 0, result.err
    assert "5 images, 4 layers, 4 steps: identical" in result.out
    for part in ("ANN", "golden", "T = 4", "per image on loihi2", "report.html"):
        assert part in result.out
    shutil.rmtree(tmp_path / "spikec-demo")

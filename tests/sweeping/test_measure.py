"""One configuration in this process: the same numbers as the commands give, and what goes wrong."""

import json

import numpy as np
import pytest

from spikec.cli import main
from spikec.deployment import deploy
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.simulation import simulate
from spikec.sweeping import read_grid
from spikec.sweeping.measure import _model, measure
from spikec.sweeping.summary import row


@pytest.fixture
def spikec(capsys):
    def call(*words):
        assert main([*map(str, words), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_the_same_as_export_run_and_energy(spikec, tmp_path):
    """A sweep may not compute anything else than the commands a user would type."""
    grid = {
        "model": "digits-cnn",
        "method": {"name": "offset-spikes", "mode": "static"},
        "timesteps": 3,
        "per": "channel",
        "bits": 6,
        "override": {"13": 4},
        "scale": "power_of_two",
        "calibration": 64,
        "seed": 5,
        "limit": 70,
        "energy": ["loihi2", "cmos45"],
    }
    found = measure(read_grid({"run": [grid]}).runs[0].configuration)
    assert found["state"] == "done", found["error"]
    net = tmp_path / "net.nir"
    options = "--method offset-spikes --option mode=static -T 3 --per channel --bits 6 --override 13=4"
    words = f"{options} --scale power_of_two --calibration 64 --seed 5".split()
    exported = spikec("export", "digits-cnn", *words, "-o", net)
    ran = spikec("run", net, "--limit", 70)
    assert found["content_sha256"] == exported["content_sha256"]
    for key in ("layers", "neurons", "weights"):
        assert found[key] == exported[key]
    for key in ("images", "correct", "accuracy", "interval", "accuracy_by_timestep", "overflows"):
        assert found[key] == ran[key]
    assert found["spikes_per_image_by_layer"] == ran["spikes_per_image"]
    assert found["spikes_per_image"] == pytest.approx(sum(ran["spikes_per_image"].values()))
    for profile in ("loihi2", "cmos45"):
        energy = spikec("energy", net, "--limit", 70, "--profile", profile)
        assert {q: found["energy"][profile][q] for q in ("p5", "p50", "p95")} == {
            q: energy["total"][q] for q in ("p5", "p50", "p95")
        }


def test_a_spike_budget(spikec, tmp_path):
    """The number of spikes per layer is chosen as ``export`` does it; runs without a budget have an empty column."""
    grid = {
        "model": "digits-cnn",
        "timesteps": 1,
        "limit": 20,
        "calibration": 16,
        "method": {"name": "qcfs", "spikes": 2},
    }
    found = measure(read_grid({"run": [{**grid, "spike_budget": 1800}]}).runs[0].configuration)
    assert found["state"] == "done", found["error"]
    words = ["-T", 1, "--option", "spikes=2", "--calibration", 16, "--spike-budget", 1800]
    exported = spikec("export", "digits-cnn", *words, "-o", tmp_path / "net.nir")
    assert found["content_sha256"] == exported["content_sha256"]
    assert exported["spikes"]["measured"] <= 1800
    by_table = {"name": "qcfs", "spikes": {"*": 2, "5": 1}}
    without = measure(read_grid({"run": [{**grid, "method": by_table}]}).runs[0].configuration)
    assert [row(each)["spike_budget"] for each in (found, without)] == [1800, None]
    assert row(without)["options"] == "spikes=*=2,5=1"


def test_weights_that_were_fine_tuned_for_a_precision_keep_it(spikec, tmp_path):
    weights, net = tmp_path / "w.safetensors", tmp_path / "net.nir"
    spikec("train", "digits-cnn", "--weight-bits", 3, "--per", "channel", "--epochs", 1, "-o", weights)
    run = {"model": "digits-cnn", "weights": str(weights), "limit": 20}
    plan = read_grid({"run": [run, {**run, "bits": 4}, {**run, "method": "error-free"}]})
    kept, anew, refused = plan.runs
    assert (kept.configuration.bits, kept.configuration.per, kept.configuration.as_trained) == (3, "channel", True)
    assert (anew.configuration.bits, anew.configuration.per, anew.configuration.as_trained) == (4, "layer", False)
    assert "fine-tuned for method qcfs" in refused.refused
    for run, words in ((kept, []), (anew, ["--bits", 4])):
        exported = spikec("export", "digits-cnn", "--weights", weights, *words, "-o", net)
        assert measure(run.configuration)["content_sha256"] == exported["content_sha256"]


def test_energy_of_a_sample_leaves_accuracy_of_all(monkeypatch, configurations):
    (one,) = configurations(limit=60, timesteps=2, energy=["loihi2"])
    whole = measure(one)
    monkeypatch.setattr("spikec.sweeping.measure.SPREAD_IMAGES", 10)
    split = measure(one)
    for key in ("accuracy", "accuracy_by_timestep", "spikes_per_image", "synops_per_image"):
        assert split[key] == whole[key]
    assert split["energy"]["loihi2"]["images"] == 10


def test_pairs_and_latency(configurations):
    """Against the network's own answers, image by image; and the latency of layers that start one after another."""
    (one,) = configurations(limit=100, timesteps=1, schedule="layerwise", per="channel")
    found = measure(one)
    test = open_dataset("digits").subset(slice(100))
    network = pretrained("digits-cnn")(test.images()).argmax(1).numpy()
    spiking = deploy(one).graph
    predicted = simulate(spiking, test.images()).predictions
    pairs = [(s == label, n == label) for s, n, label in zip(predicted, network, test.labels, strict=True)]
    assert found["paired"]["gained"] == sum(s and not n for s, n in pairs)
    assert found["paired"]["lost"] == sum(n and not s for s, n in pairs)
    assert found["paired"]["agree"] == sum(s == n for s, n in zip(predicted, network, strict=True))
    assert found["latency_steps"] == len(spiking.layers)


def test_held_out_images_are_training_images_that_do_not_calibrate(configurations):
    (one,) = configurations(limit=1000, timesteps=1, split="held-out", calibration=1000, seed=2)
    training = open_dataset("digits", split="train")
    order = np.random.default_rng(2).permutation(1348)
    found, graph = measure(one), deploy(one).graph
    assert found["images"] == 348
    predicted = simulate(graph, training.images(order[1000:])).predictions
    assert found["correct"] == int((predicted == training.labels[order[1000:]]).sum())
    (none,) = configurations(split="held-out", calibration=1348)
    assert "all training images calibrate" in measure(none)["error"]["message"]


def test_the_trained_network_stands_beside(configurations):
    (one,) = configurations(limit=449, timesteps=1)
    test = open_dataset("digits")
    logits = pretrained("digits-cnn")(test.images()).detach().numpy()
    assert measure(one)["ann"]["correct"] == int((np.argmax(logits, axis=1) == test.labels).sum())


@pytest.mark.parametrize(
    ("grid", "kind"),
    [
        ({"method": "srp"}, "ConversionError"),
        ({"timesteps": 2, "bits": 8, "per": "channel", "format": "loihi1"}, "DoesNotFit"),
    ],
)
def test_what_does_not_go_together_is_refused(configurations, grid, kind):
    (one,) = configurations(**grid)
    found = measure(one)
    assert found["state"] == "refused"
    assert found["error"]["kind"] == kind
    assert "accuracy" not in found


def test_what_breaks_has_failed(told, configurations):
    (one,) = configurations(model="mine.py:net")
    told("raise")
    _model.cache_clear()
    found = measure(one)
    assert found["state"] == "failed"
    assert "told to" in found["error"]["message"]
    assert "RuntimeError" in found["error"]["traceback"]

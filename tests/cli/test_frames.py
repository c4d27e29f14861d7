"""Networks of PyTorch on event frames, on the command line: train, export, run, verify, report."""

from __future__ import annotations

import numpy as np
import pytest

from spikec.ir import as_integer, load

NET = """
from torch import nn


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 2),
    )
"""
FROM = ("net.py:cnn", "--weights", "w.safetensors")


def recordings(root, rng, rows=(10, 10)):
    """Events of two classes, in the upper and in the lower half of 10 rows; ``rows`` that those of each split reach."""
    for split, last, each in (("train", rows[0], 12), ("test", rows[1], 4)):
        for label, name in enumerate(("up", "down")):
            (root / split / name).mkdir(parents=True)
            for i in range(each):
                t = np.sort(rng.integers(0, 8000, 150))
                y = np.minimum(rng.integers(0, 5, 150) + 5 * label, last - 1)
                y[-1] = last - 1
                x, p = rng.integers(0, 8, 150), rng.integers(0, 2, 150)
                x[-1] = 7
                content = np.stack([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255], 1).astype(np.uint8)
                (root / split / name / f"{i}.bin").write_bytes(content.tobytes())


@pytest.fixture
def trained(spikec, tmp_path):
    """Weights trained on mean frames, and the name of their data."""
    (tmp_path / "net.py").write_text(NET)
    recordings(tmp_path / "events", np.random.default_rng(0))
    data = "events:events,steps=6,size=10x8"
    made = spikec("train", "net.py:cnn", "--frames", "--data", data, "--method", "relu", "--epochs", 6, "-o", FROM[2])
    assert made.code == 0, made.err
    assert "of 8 mean frames of test sequences" in made.out
    return data


def test_weights_of_mean_frames_are_deployed_on_frames(spikec, trained):
    made = spikec("export", *FROM, "--method", "error-compensation", "-o", "net.nir", "--json")
    assert made.code == 0, made.err
    assert (made.json["timesteps"], made.json["data"]) == (6, trained)
    assert made.json["accuracy"]["images"] == 8
    assert "mean frame of each sequence" in made.err
    graph = as_integer(load("net.nir"))
    assert graph.sequences
    ran = spikec("run", "net.nir", "--json")  # on the data that the file names
    assert (ran.code, ran.json["data"], ran.json["images"]) == (0, trained, 8)
    assert ran.json["accuracy"] == made.json["accuracy"]["spiking"]
    assert ran.json["loss"]["network"] == made.json["accuracy"]["network"]
    assert len(ran.json["accuracy_by_timestep"]) == 6
    longer = spikec("run", "net.nir", "--data", trained.replace("steps=6", "us=500"), "--json")
    assert len(longer.json["accuracy_by_timestep"]) == 16
    for words in (("energy",), ("report", "--verify", 0), ("check",), ("map",), ("ranges",), ("inspect",)):
        said = spikec(words[0], "net.nir", *words[1:])
        assert said.code == 0, said.err
    assert spikec("verify", "net.nir", "--target", "golden").code == 0


@pytest.mark.lava
def test_verify_in_lava(spikec, trained):
    assert spikec("export", *FROM, "--measure", 0, "-o", "net.nir").code == 0
    said = spikec("verify", "net.nir", "--limit", 3)
    assert said.code == 0, said.err
    assert "identical" in said.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-T", "4"], "the weights were trained on mean frames of sequences, so T is the length of the sequences"),
        (["-T", "4", "--frames"], "with frames T is the length of the sequences"),
        (["--method", "graded"], "a layer waits for the last frame"),
        (["--method", "error-free"], "a layer waits for the last frame"),
        (["--schedule", "layerwise"], "a layer waits for the last frame"),
        (["--method", "offset-spikes"], "runs twice"),
        (["--spike-budget", "9"], "leave it out"),
        (["--fidelity"], "--fidelity"),
        (["--portable"], "images that stay the same"),
        (["--data", "digits"], "are images"),
        (["--data", "events:events,steps=6,size=12x8"], "give the data set it was trained on"),
    ],
)
def test_refusals(spikec, trained, options, words):
    said = spikec("export", *FROM, *options, "-o", "net.nir")
    assert said.code == 1
    assert words in said.err
    assert said.err.count("\n") <= 2


def test_commands_that_compare_on_images_say_so(spikec, trained, tmp_path):
    said = spikec("advise", *FROM)
    assert said.code == 1
    assert "trained on mean frames" in said.err


def test_splits_of_different_sizes_name_size(spikec, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    recordings(tmp_path / "events", np.random.default_rng(1), rows=(10, 9))
    data = "events:events,steps=4"
    said = spikec("train", "net.py:cnn", "--frames", "--data", data, "-o", "w.safetensors")
    assert (said.code, "size=HxW" in said.err) == (1, True)
    made = spikec("export", "net.py:cnn", "--frames", "--data", data, "-o", "net.nir")
    assert made.code == 0, made.err
    assert "not measured" in made.err
    assert "size=HxW" in made.err
    said = spikec("run", "net.nir")
    assert (said.code, "size=HxW" in said.err) == (1, True)


def test_labels_beyond_the_outputs_are_refused_when_exporting(spikec, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    np.savez("x.npz", x=np.ones((3, 4, 2, 10, 8), np.uint8), y=[0, 1, 2])
    said = spikec("export", "net.py:cnn", "--frames", "--data", "npz:x.npz", "-o", "net.nir")
    assert said.code == 1
    assert "net.py:cnn knows 2 classes, npz:x.npz has label 2" in said.err


def test_numbers_to_predict_are_measured_on_frames(spikec, tmp_path):
    """The network on mean frames beside the integers on all frames; integers as numbers where a metric says so."""
    (tmp_path / "net.py").write_text(NET)
    rng = np.random.default_rng(3)
    x = rng.poisson(0.5, (24, 4, 2, 10, 8)).astype(np.uint8)
    y = np.stack([x.mean((1, 2, 3, 4)), x[:, :, 0].mean((1, 2, 3))], axis=1).astype(np.float32)
    np.savez("x.npz", x=x, y=y)
    words = ("--frames", "--method", "error-compensation", "--data", "npz:x.npz", "--metric", "mae", "-o", "net.nir")
    made = spikec("export", "net.py:cnn", *words, "--json")
    assert made.code == 0, made.err
    assert made.json["quality"].keys() == {"mae"}
    ran = spikec("run", "net.nir", "--metric", "mae", "--json")
    assert ran.code == 0, ran.err
    (mae,) = ran.json["quality"]
    assert mae["network"]["network"] == pytest.approx(made.json["quality"]["mae"]["network"])
    assert mae["value"] == pytest.approx(made.json["quality"]["mae"]["spiking"])
    assert ran.json["coding"]["values"] == x.size


def test_training_needs_labels(spikec, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    np.savez("x.npz", x=np.ones((3, 4, 2, 10, 8), np.uint8))
    said = spikec("train", "net.py:cnn", "--frames", "--data", "npz:x.npz", "--method", "relu", "-o", "w.safetensors")
    assert (said.code, "holds no y" in said.err) == (1, True)

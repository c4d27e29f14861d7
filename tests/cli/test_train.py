"""``spikec train``: what it writes, that it resumes, fine-tunes and refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from spikec.cli import main
from spikec.evidence.intervals import wilson
from spikec.models import load_weights, resolve
from spikec.models.checkpoints import read_checkpoint
from spikec.training import ClipFloorShift, replace_relu

RECIPE = """
data = "npz:{0}"
threshold = 2.0
validation = 0.25
[fit]
epochs = {1}
batch = 16
lr = 0.02
seed = 1
"""
NETWORK = """
import torch
from torch import nn
def relu(): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
def mlp(): return nn.Sequential(nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 2))
def one_class(): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1))
def linear(): return nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Linear(64, 2)
    def forward(self, x): return self.b(torch.flatten(torch.relu(self.a(x)), 1))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    x = rng.integers(0, 100, (80, 1, 6, 6), dtype=np.uint8)
    x[np.arange(80), 0, 5 * y] += 150
    np.savez("set.npz", x=x[:60], y=y[:60], x_test=x[60:], y_test=y[60:])
    np.savez("shapes.npz", x=x[:60], y=y[:60], x_test=x[60:].reshape(20, 36), y_test=y[60:])
    np.savez("classes.npz", x=x[:60], y=y[:60], x_test=x[60:], y_test=2 * y[60:])
    Path("r.toml").write_text(RECIPE.format(tmp_path / "set.npz", 3))
    Path("net.py").write_text(NETWORK)
    return tmp_path


def test_writes_weights_that_say_how_they_were_made(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["net.py:relu", "--recipe", "r.toml", "--levels", "8", "--epochs", "15"]
    assert main(["train", *words, "-o", "w.safetensors", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert "epoch 15/15" in err
    assert document["validation_images"] in (14, 15, 16)
    assert document["test_images"] == 20
    assert document["test_accuracy"] > 0.9
    assert document["test_interval_95"] == list(wilson(round(20 * document["test_accuracy"]), 20))
    checkpoint = read_checkpoint(Path("w.safetensors"))
    state, info = checkpoint.states[()], checkpoint.info
    assert info["levels"] == 8
    assert info["seed"] == 1
    assert "1.threshold" in state
    lines = Path("w.safetensors.log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(15))


def test_network_that_takes_vectors(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load("set.npz") as images:
        vectors = {k: v.reshape(len(v), 36) if k.startswith("x") else v for k, v in images.items()}
    np.savez("flat.npz", **vectors)
    Path("r.toml").write_text(RECIPE.format(place / "flat.npz", 20))
    assert main(["train", "net.py:mlp", "--recipe", "r.toml", "-o", "w.safetensors"]) == 0
    exported = ["export", "net.py:mlp", "--weights", "w.safetensors", "--data", "npz:flat.npz", "-T", "8"]
    assert main([*exported, "-o", "net.nir"]) == 0
    capsys.readouterr()
    assert main(["run", "net.nir", "--data", "npz:flat.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.8
    assert main(["run", "net.nir", "--data", "npz:set.npz"]) == 1
    assert "takes images of 36, npz:set.npz has 1x6x6" in capsys.readouterr().err


def test_trained_file_measures_what_was_reported(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "net.py:relu", "--recipe", "r.toml", "-o", "w.safetensors", "--json"])
    reported = json.loads(capsys.readouterr().out)["test_accuracy"]
    model = resolve("net.py:relu")
    model[1] = ClipFloorShift(2, 1.0)
    load_weights(model, "w.safetensors")
    with np.load("set.npz") as archive:
        x = torch.from_numpy(archive["x_test"].astype(np.float32) / np.float32(255))
        correct = model(x).argmax(1).numpy() == archive["y_test"]
    assert correct.mean() == reported


def test_finished_run_resumes_to_the_same_file(place: Path) -> None:
    words = ["train", "net.py:relu", "--recipe", "r.toml", "-o", "w.safetensors"]
    assert main(words) == 0
    first = Path("w.safetensors").read_bytes()
    Path("w.safetensors").unlink()
    assert main([*words, "--resume"]) == 0
    assert Path("w.safetensors").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--levels", "8"], "levels was 4, is 8"),
        (["--method", "residual-error"], "method was 'qcfs', is 'residual-error'"),
        (["--method", "relu"], "method was 'qcfs', is 'relu'"),
        (["--epochs", "4"], "epochs was 3, is 4"),
    ],
)
def test_another_run_is_not_resumed(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Its weights would be taken for those of this one."""
    train = ["train", "net.py:relu", "--recipe", "r.toml", "-o", "w.safetensors"]
    assert main(train) == 0
    before = Path("w.safetensors").read_bytes()
    assert main([*train, *words, "--resume"]) == 1
    assert message in capsys.readouterr().err
    assert Path("w.safetensors").read_bytes() == before


def test_fine_tuning_from_relu_weights_starts_from_measured_thresholds(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("relu.toml").write_text(RECIPE.format(place / "set.npz", 3).replace("[fit]", 'method = "relu"\n[fit]'))
    assert main(["train", "net.py:relu", "--recipe", "relu.toml", "-o", "relu.safetensors"]) == 0
    assert not any("threshold" in name for name in read_checkpoint(Path("relu.safetensors")).states[()])
    words = ["train", "net.py:relu", "--recipe", "r.toml", "--weights", "relu.safetensors", "--epochs", "1"]
    capsys.readouterr()
    assert main([*words, "-o", "w.safetensors"]) == 0
    assert "thresholds start at" in capsys.readouterr().err


def test_relu_networks_are_not_validated_as_spiking_ones(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.toml").write_text(RECIPE.format(place / "set.npz", 1) + "timesteps = 4\n")
    words = ["net.py:relu", "--recipe", "t.toml", "--method", "relu"]
    assert main(["train", *words, "-o", "w.safetensors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["validation_timesteps"] == 0


@pytest.mark.parametrize("method", ["offset-spikes", "residual-error", "error-free"])
def test_methods_train(place: Path, method: str) -> None:
    words = ["train", "net.py:relu", "--recipe", "r.toml", "--method", method, "--levels", "7", "-o", "w.safetensors"]
    assert main([*words, "--epochs", "2"]) == 0
    records = [json.loads(line) for line in Path("w.safetensors.log.jsonl").read_text().splitlines()]
    assert (records[1]["sigma"] > 0) == (method == "residual-error")


def test_clipping_without_levels_then_levels_from_its_weights(place: Path) -> None:
    words = ["train", "net.py:relu", "--recipe", "r.toml", "--epochs", "1"]
    assert main([*words, "--levels", "0", "-o", "clip.safetensors"]) == 0
    assert main([*words, "--levels", "2", "--weights", "clip.safetensors", "-o", "w.safetensors"]) == 0
    for path, levels in (("clip.safetensors", None), ("w.safetensors", 2)):
        model = resolve("net.py:relu")
        replace_relu(model, ClipFloorShift)
        load_weights(model, path)
        assert [m.levels for m in model.modules() if isinstance(m, ClipFloorShift)] == [levels]
        export = ["export", "net.py:relu", "--weights", path, "--method", "error-compensation"]
        assert main([*export, "--data", f"npz:{place / 'set.npz'}", "-o", "net.nir"]) == 0


def test_reduced_precision_trains_and_is_recorded_in_the_recipe(place: Path) -> None:
    Path("b.toml").write_text(RECIPE.format(place / "set.npz", 2) + 'precision = "bfloat16"\n')
    assert main(["train", "net.py:relu", "--recipe", "b.toml", "-o", "w.safetensors"]) == 0
    weights = read_checkpoint(Path("w.safetensors")).states[()]
    assert {value.dtype for value in weights.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.py:relu", "--device", "nonsense"], "device 'nonsense' cannot be used"),
        (["net.py:linear"], "no ReLU"),
        (["net.py:relu", "--recipe", "missing.toml"], "missing.toml"),
        (["net.py:relu", "--method", "qfcs"], "did you mean 'qcfs'"),
        (["net.py:relu", "--method", "error-free"], "1, 3, 7"),
        (["digits-cn"], "did you mean 'digits-cnn'"),
        (["net.py:relu", "--data", "fashion"], "did you mean 'fashion-mnist'"),
        (["net.py:relu", "--weights", "missing.pt"], "missing.pt"),
        (["net.py:one_class"], "labels of train run from 0 to 1, but the network tells 1 classes apart"),
        (["net.py:relu", "--seed", str(2**64)], "seed must be a whole number between 0 and"),
        (["net.py:relu", "--data", "npz:shapes.npz"], r"fails on images of test, shape \(2, 36\)"),
        (["net.py:relu", "--data", "npz:classes.npz"], "labels of test run from 0 to 2"),
        (["net.py:relu", "-o", "w.pt"], "call the file w.safetensors"),
        (["net.py:relu", "-o", "out/"], "call the file out.safetensors"),
        (["net.py:relu", "-o", ".safetensors"], "weights are written as safetensors"),
    ],
)
def test_mistakes_are_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    recipe = [] if "--recipe" in words or words[0] == "digits-cn" else ["--recipe", "r.toml"]
    assert main(["train", *recipe, "-o", "w.safetensors", *words]) == 1
    err = capsys.readouterr().err
    assert re.search(message, err), err
    assert "Traceback" not in err


def test_training_through_spikes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "net.py:relu", "--recipe", "r.toml", "-o", "w.safetensors"]) == 0
    words = ["--recipe", "r.toml", "--weights", "w.safetensors", "--through-spikes", "2"]
    capsys.readouterr()
    assert (
        main(["train", "net.py:relu", *words, "--method", "error-compensation", "-o", "w2.safetensors", "--json"]) == 0
    )
    document = json.loads(capsys.readouterr().out)
    info = read_checkpoint(Path("w2.safetensors")).info
    assert info["through_spikes"] is True
    assert info["neuron"] == "signed_if"
    assert document["epochs"] == 2
    export = ["export", "net.py:relu", "--weights", "w2.safetensors", "--data", "npz:set.npz", "-T", "2"]
    assert main([*export, "-o", "net.nir"]) == 0
    assert "were trained through T = 2 pipelined steps of signed_if neurons" in capsys.readouterr().err
    assert main([*export, "--method", "error-compensation", "-o", "net.nir"]) == 0
    assert "were trained through" not in capsys.readouterr().err
    assert main(["run", "net.nir", "--data", "npz:set.npz", "--json"]) == 0
    assert abs(json.loads(capsys.readouterr().out)["accuracy"] - document["test_accuracy"]) <= 1 / 20


def test_weight_bits_are_trained_and_exported(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "net.py:relu", "--recipe", "r.toml", "-o", "w.safetensors"]) == 0
    words = ["--recipe", "r.toml", "--weights", "w.safetensors", "--weight-bits", "3", "--per", "channel"]
    assert main(["train", "net.py:relu", *words, "--epochs", "2", "-o", "w3.safetensors"]) == 0
    export = ["export", "net.py:relu", "--weights", "w3.safetensors", "--data", f"npz:{place}/set.npz", "-o", "net.nir"]
    capsys.readouterr()
    assert main([*export, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weight_format"] == "int3 per channel, scale trained"
    assert main([*export, "--bits", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weight_format"] == "int3 per layer, scale max"
    assert main([*export, "--format", "loihi1"]) == 1
    assert "were fine-tuned for --format generic24, not loihi1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--per", "channel"), "give --weight-bits too"),
        (("--weight-bits", "4"), "give the trained weights with --weights"),
        (("--weight-bits", "4", "--levels", "0"), "--levels 0 has none"),
        (("--weight-bits", "1"), "must be at least 2, not 1"),
        (("--weight-bits", "4", "--method", "relu"), "needs thresholds"),
        (("--weight-bits", "4", "--through-spikes", "2"), "give one of them"),
        (("--through-spikes", "2"), "--through-spikes fine-tunes: give the trained weights"),
        (("--through-spikes", "2", "--method", "srp", "--weights", "w.safetensors"), "qcfs or error-compensation"),
        (("--weight-bits", "4", "--format", "loihi"), "--format: unknown number format 'loihi'"),
    ],
)
def test_wrong_fine_tuning_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert main(["train", "net.py:relu", "--recipe", "r.toml", *words, "-o", "w.safetensors"]) == 1
    assert message in capsys.readouterr().err


def test_every_method_is_offered_without_importing_it():
    """``spikec train --help`` lists the methods by their files, since importing them takes seconds."""
    from spikec.cli.train import method_names
    from spikec.conversion import methods

    assert method_names() == set(methods())

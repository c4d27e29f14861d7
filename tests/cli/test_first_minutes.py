"""From an empty directory: ordinary networks, exported, verified and reported with three commands and no edit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spikec.ir import as_integer, load
from spikec.models import save_weights
from spikec.models.loading import read_header
from spikec.targets.base import get_target

#: Ten lines of PyTorch: functional ReLU, functional max pools, log_softmax, a state dictionary.
SCRIPT = """
import torch, torch.nn as nn, torch.nn.functional as F
from sklearn.datasets import load_digits
class Net(nn.Module):
    def __init__(self): super().__init__(); self.a = nn.Conv2d(1, 6, 3, padding=1); self.b = nn.Linear(96, 10)
    def forward(self, x): return F.log_softmax(self.b(F.max_pool2d(F.relu(self.a(x)), 2).flatten(1)), dim=1)
if __name__ == "__main__":
    (x, y), net = load_digits(return_X_y=True), Net()
    x, y = torch.tensor(x[:700]).float().view(-1, 1, 8, 8) / 16, torch.tensor(y[:700])
    optimizer = torch.optim.Adam(net.parameters(), 0.03)
    for step in range(30):
        optimizer.zero_grad(); F.nll_loss(net(x), y).backward(); optimizer.step()
    torch.save(net.state_dict(), "net.pt")
"""
MLP = """
from torch import nn
def mlp(): return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(dim=1))
"""
RESNET = """
from torch import nn
from torchvision.models import resnet18
def net():
    net = resnet18(num_classes=10)
    net.layer2 = net.layer3 = net.layer4 = nn.Identity()
    net.layer1, net.fc = net.layer1[:1], nn.Linear(64, 10)
    return net
"""


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The script, run as a user would: ``net.pt`` beside ``train.py``."""
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT)
    torch.manual_seed(0)
    exec(compile(SCRIPT, "train.py", "exec"), {"__name__": "__main__"})
    return tmp_path


def three_commands(spikec, model, *words, images=8, target="golden"):
    """Export, verify, report; returns the results of the first and the last."""
    data = words[words.index("--data") :][:2]
    made = spikec("export", model, *words, "-o", "net.nir", "--json")
    assert made.code == 0, made.err
    checked = spikec("verify", "net.nir", *data, "--limit", 2, "--target", target)
    assert checked.code == 0, checked.err
    assert "identical" in checked.out
    report = spikec("report", "net.nir", *data, "--limit", images, "--verify", 0, "-o", "report.html", "--json")
    assert report.code == 0, report.err
    return made, report


def test_functional_network_with_log_softmax(spikec, trained):
    lava = get_target("lava").available() is None
    made, report = three_commands(
        spikec,
        "train.py:Net",
        *("--weights", "net.pt", "-T", 8, "--data", "digits"),
        images=449,
        target="lava" if lava else "golden",
    )
    assert "left out at the end of the network: log_softmax at" in made.err
    assert made.json["accuracy"]["images"] == 449
    loss = report.json["loss"]
    assert loss["network"] == pytest.approx(made.json["accuracy"]["network"])
    assert loss["spiking"] == pytest.approx(report.json["accuracy"]["snn"]["value"])
    assert sum(loss["causes"].values()) == pytest.approx(loss["points"])
    assert report.json["provenance"]["info"]["left_out"] == "log_softmax"
    page = Path("report.html").read_text()
    sentence = f"Network {100 * loss['network']:.2f}, spiking {100 * loss['spiking']:.2f}, {loss['points']:+.2f} points"
    assert sentence in page
    out = spikec("run", "net.nir").out
    assert sentence[1:] in out
    assert "by cause, in points, on the 449 images of digits measured at export: clipping" in out


def test_training_takes_what_export_takes_and_weights_remember(spikec, trained):
    """The same network with functional ReLU is fine-tuned; its weights need no second ``--max-pool average``."""
    words = ("--weights", "net.pt", "--max-pool", "average", "--epochs", 1, "-o", "w.safetensors")
    result = spikec("train", "train.py:Net", *words)
    assert result.code == 0, result.err
    assert "1 max pool is an average pool now" in result.err
    assert read_header(Path("w.safetensors"))["max_pool"] == "average"
    exported = spikec("export", "train.py:Net", "--weights", "w.safetensors", "-o", "net.nir", "--measure", 50)
    assert exported.code == 0, exported.err
    assert "fine-tuning" not in exported.err
    assert [p.name for p in as_integer(load("net.nir")).populations] == ["relu_1"]
    again = spikec("train", "train.py:Net", "--weights", "w.safetensors", "--epochs", 1, "-o", "w2.safetensors")
    assert again.code == 0, again.err
    assert "fine-tuning" not in again.err
    assert read_header(Path("w2.safetensors"))["max_pool"] == "average"


def test_vectors(spikec, tmp_path):
    (tmp_path / "net.py").write_text(MLP)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = (rng.random((90, 12)) + (np.arange(12) % 3 == y[:, None])).astype(np.float32)
    np.savez(tmp_path / "set.npz", x=x[:60], y=y[:60], x_test=x[60:], y_test=y[60:])
    made, report = three_commands(spikec, "net.py:mlp", "--data", "npz:set.npz", "-T", 4, images=30)
    assert made.json["accuracy"]["images"] == report.json["loss"]["images"] == 30


def test_residual_network_of_torchvision(spikec, tmp_path):
    """ResNet-18 with one of its blocks, which uses one ReLU twice."""
    pytest.importorskip("torchvision")
    (tmp_path / "net.py").write_text(RESNET)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "set.npz", x=rng.integers(0, 256, (8, 3, 16, 16), dtype=np.uint8), y=np.arange(8) % 10)
    made, report = three_commands(spikec, "net.py:net", "--data", "npz:set.npz", "-T", 2, "--per", "channel", images=4)
    assert "npz:set.npz has no test images" in made.err
    assert report.json["loss"]["images"] == 4
    assert {"relu", "layer1.0.relu", "layer1.0.relu_1"} <= {row["name"] for row in report.json["populations"]}


def test_a_relu_that_is_used_twice_is_trained(spikec, tmp_path):
    """Each use gets a threshold of its own, also when the weights are read again."""
    pytest.importorskip("torchvision")
    (tmp_path / "net.py").write_text(RESNET)
    (tmp_path / "r.toml").write_text("data = 'npz:set.npz'\nthreshold = 0.5\n[fit]\nepochs = 1\n")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "set.npz", x=rng.integers(0, 256, (40, 3, 16, 16), dtype=np.uint8), y=np.arange(40) % 10)
    words = ("net.py:net", "--max-pool", "average")
    result = spikec("train", *words, "--recipe", "r.toml", "-o", "w.safetensors")
    assert result.code == 0, result.err
    result = spikec("export", "net.py:net", "--weights", "w.safetensors", "--measure", 0, "-o", "net.nir")
    assert result.code == 0, result.err
    names = {p.name for p in as_integer(load("net.nir")).populations}
    assert {"relu", "layer1.0.relu", "layer1.0.relu_2"} <= names


def test_measuring_can_be_bounded_and_turned_off(spikec):
    few = spikec("export", "digits-cnn", "--measure", 100, "-o", "few.nir", "--json")
    assert few.json["accuracy"]["images"] == 100
    off = spikec("export", "digits-cnn", "--measure", 0, "-o", "off.nir", "--json")
    assert "accuracy" not in off.json
    assert few.json["content_sha256"] == off.json["content_sha256"]
    assert spikec("run", "off.nir", "--limit", 10, "--json").json["loss"] is None
    assert spikec("run", "few.nir", "--limit", 10, "--json").json["loss"]["images"] == 10
    assert "network" not in spikec("run", "off.nir", "--limit", 10).out


NETWORKS = """
import torch
from torch import nn
from spikec.training import ClipFloorShift
def rgb(act=nn.ReLU):
    return nn.Sequential(nn.Conv2d(3, 4, 3), act(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
def clipped(): return rgb(ClipFloorShift)
def large(): return nn.Sequential(nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 24 * 24, 10))
def vectors(): return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 10))
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["net.py:rgb"],
            "net.py:rgb takes images of 3 channels (its first layer, 0), digits has 1x8x8: these are the 8 x 8",
        ),
        (["net.py:rgb"], "the default; give --data"),
        (["net.py:rgb", "--data", "digits"], "give the data set it was trained on with --data"),
        (["net.py:large"], "net.py:large fails on images of digits, 1x8x8"),
        (
            ["net.py:vectors"],
            "net.py:vectors takes vectors of 20 numbers (its first layer, 0), digits has 1x8x8: these are",
        ),
        (["net.py:clipped", "--scale", "spikes"], "give --data"),
        (["resnet32", "--weights", "w.safetensors"], "resnet32 is meant for images of 3x32x32"),
    ],
)
def test_a_mismatch_says_so(spikec, tmp_path, words, said):
    (tmp_path / "net.py").write_text(NETWORKS)
    if "w.safetensors" in words:
        from spikec.models import resolve

        save_weights(resolve("resnet32", in_channels=3, activation=torch.nn.ReLU), tmp_path / "w.safetensors", {})
    result = spikec("export", *words, "-o", "net.nir")
    assert result.code == 1
    assert said in result.err
    assert not Path("net.nir").exists()


def test_without_data_the_first_layer_says_what_images_look_like(spikec, tmp_path):
    """A network that has its thresholds needs no data; a plain ReLU network on the default says what it took."""
    (tmp_path / "net.py").write_text(NETWORKS)
    result = spikec("export", "net.py:clipped", "-o", "net.nir", "--json")
    assert result.code == 0, result.err
    assert "random pixels of 3 x 32 x 32" in result.err
    assert as_integer(load("net.nir")).input.shape == (3, 32, 32)
    assert "accuracy" not in result.json


def test_weights_name_their_data(spikec, tmp_path):
    (tmp_path / "net.py").write_text(NETWORKS)
    np.savez(
        tmp_path / "rgb.npz",
        x=np.random.default_rng(0).integers(0, 256, (40, 3, 12, 12), dtype=np.uint8),
        y=np.arange(40) % 10,
    )
    from spikec.models.resolving import resolve

    save_weights(resolve("net.py:clipped"), tmp_path / "w.safetensors", {"data": "npz:rgb.npz", "levels": 4})
    result = spikec("export", "net.py:clipped", "--weights", "w.safetensors", "-o", "net.nir", "--json")
    assert result.code == 0, result.err
    assert result.json["data"] == "npz:rgb.npz"
    assert as_integer(load("net.nir")).input.shape == (3, 12, 12)
    assert json.loads(load("net.nir").metadata["spikec"]["measured"])["images"] == 40


@pytest.mark.parametrize(
    ("last", "test", "says"),
    [
        ("nn.Linear(16, 1), nn.Sigmoid()", {}, "the network has one output, where accuracy needs one for each class"),
        ("nn.Linear(16, 3)", {"x_test": np.ones((9, 5)), "y_test": np.zeros(9, int)}, "npz:set.npz are of 5"),
    ],
)
def test_what_cannot_be_measured_is_said(spikec, tmp_path, monkeypatch, last, test, says):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        f"from torch import nn\ndef net(): return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), {last})"
    )
    np.savez("set.npz", x=np.random.default_rng(0).random((30, 12)), y=np.zeros(30, int), **test)
    made = spikec("export", "net.py:net", "--data", "npz:set.npz", "-o", "net.nir")
    assert made.code == 0, made.err
    assert says in made.err
    assert as_integer(load("net.nir")).measured is None


def test_other_images_than_at_export_are_refused_with_the_name_of_those(spikec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(MLP)
    np.savez("set.npz", x=np.random.default_rng(0).random((30, 12)), y=np.arange(30) % 3)
    assert spikec("export", "net.py:mlp", "--data", "npz:set.npz", "-o", "net.nir").code == 0
    said = spikec("verify", "net.nir", "--target", "golden", "--data", "digits")
    assert said.code == 1
    assert "with --data (npz:set.npz when it was exported)" in said.err


def test_an_archive_with_other_names_says_what_it_holds_and_what_is_wanted(spikec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(MLP)
    np.savez("set.npz", x_train=np.ones((30, 12)), y_train=np.arange(30) % 3, x_test=np.ones((3, 12)))
    said = spikec("export", "net.py:mlp", "--data", "npz:set.npz", "-o", "net.nir")
    assert said.code == 1
    assert "holds x_test, x_train, y_train; expected x and y, and x_test and y_test" in said.err


@pytest.mark.parametrize("kind", ["double", "half"])
def test_weights_of_other_precision_are_taken_as_floats(spikec, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "import torch\nfrom torch import nn\ndef net():\n    torch.manual_seed(0)\n"
        f"    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3)).{kind}()\n"
    )
    np.savez("set.npz", x=np.random.default_rng(0).random((30, 12)), y=np.arange(30) % 3)
    made = spikec("export", "net.py:net", "--data", "npz:set.npz", "-o", "net.nir", "--json")
    assert made.code == 0, made.err
    assert made.json["accuracy"]["images"] == 30

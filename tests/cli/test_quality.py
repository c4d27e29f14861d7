"""Networks that do not classify, on the command line: export, run, verify, report; and what refuses them."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

from spikec.deployment import fill
from spikec.evidence.intervals import wilson
from spikec.ir import as_integer, load
from spikec.sweeping.measure import measure

NET = """
import torch
from torch import nn
def regression():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16, 2))
def bounded(): return nn.Sequential(regression(), nn.Sigmoid())
"""
METRICS = """
import numpy as np
def worst(o, y): return np.abs(o - y.reshape(o.shape)).max(axis=1)
worst.higher_is_better, worst.title = False, "worst error"
def total(o, y): return float(np.abs(o - y.reshape(o.shape)).mean())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """8 x 8 digits with two numbers to predict, how much ink there is and where, and a network that was trained to."""
    folder = tmp_path_factory.mktemp("regression")
    (folder / "net.py").write_text(NET)
    (folder / "mine.py").write_text(METRICS)
    x = (load_digits().images / 16).astype(np.float32)
    y = np.stack([x.mean((1, 2)), (x * np.arange(8)).sum((1, 2)) / x.sum((1, 2)) / 8], axis=1).astype(np.float32)
    test = np.arange(len(x)) % 4 == 3
    np.savez(folder / "reg.npz", x=x[~test], y=y[~test], x_test=x[test], y_test=y[test])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    images, targets = torch.tensor(x[~test])[:, None], torch.tensor(y[~test])
    for _ in range(8):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(images[batch]), targets[batch]).backward()
            optimizer.step()
    save_file(model.state_dict(), folder / "w.safetensors")
    with torch.no_grad():
        exact = model(torch.tensor(x[test])[:, None]).numpy()
    return folder, x[test], y[test], exact


@pytest.fixture
def regression(trained, spikec, monkeypatch):
    """The folder with ``net.nir``; the current one."""
    monkeypatch.chdir(trained[0])
    if not (trained[0] / "net.nir").exists():
        words = ("--weights", "w.safetensors", "--data", "npz:reg.npz", "-T", 8)
        made = spikec("export", "net.py:regression", *words, "-o", "net.nir", "--json")
        assert made.code == 0, made.err
        assert made.json["quality"].keys() == {"mae", "correlation"}
        assert made.json["quality"]["mae"]["images"] == 449
        assert "accuracy" not in made.json
    return trained


def test_run_says_the_error_the_networks_own_and_the_causes(regression, spikec):
    _, _, y, exact = regression
    ran = spikec("run", "net.nir", "--data", "npz:reg.npz", "-o", "trace.npz", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["accuracy"], ran.json["correct"], ran.json["loss"]) == (None, None, None)
    mae, correlation = ran.json["quality"]
    logits = np.load("trace.npz")["logits"].astype(np.float64)
    np.testing.assert_array_equal(np.load("trace.npz")["labels"], y)
    assert mae["value"] == pytest.approx(np.abs(logits - y).mean(), rel=1e-5)
    assert mae["interval"][0] < mae["value"] < mae["interval"][1]
    assert (mae["higher_is_better"], mae["images"], len(mae["by_timestep"])) == (False, 449, 8)
    assert mae["by_timestep"][-1] == pytest.approx(mae["value"])
    own = mae["network"]
    assert own["network"] == pytest.approx(np.abs(exact - y).mean(), rel=1e-4)
    assert own["change"] == pytest.approx(mae["value"] - own["network"])
    assert own["interval"][0] < own["change"] < own["interval"][1]
    assert sum(own["causes"].values()) == pytest.approx(own["change"])
    each = [np.corrcoef(logits[:, i], y[:, i])[0, 1] for i in range(2)]
    assert correlation["value"] == pytest.approx(np.mean(each), abs=1e-5)
    said = spikec("run", "net.nir", "--data", "npz:reg.npz", "--limit", 30, "--metric", "rmse").out
    assert "root mean square error 0.0" in said
    assert "lower is better) on 30 npz:reg.npz test images at T = 8 on golden" in said
    assert "against T, root mean square error: T=1 " in said
    assert "accuracy" not in said
    whole = spikec("run", "net.nir", "--data", "npz:reg.npz").out
    assert "mean absolute error: network 0.0" in whole
    assert "by cause, on the 449 inputs of npz:reg.npz measured at export: clipping " in whole


def test_a_function_of_the_users(regression, spikec):
    _, _, y, exact = regression
    words = ("--metric", "mine.py:worst", "--metric", "mine.py:total")
    made = spikec(
        *("export", "net.py:regression", "--weights", "w.safetensors", "--data", "npz:reg.npz", "-T", 8, *words),
        *("-o", "mine.nir"),
    )
    assert made.code == 0, made.err
    assert "mine.py:total is not kept in the file: it is no mean over inputs" in made.err
    ran = spikec("run", "mine.nir", "--data", "npz:reg.npz", *words, "-o", "mine.npz", "--json")
    assert ran.code == 0, ran.err
    worst, total = ran.json["quality"]
    logits = np.load("mine.npz")["logits"]
    assert worst["value"] == pytest.approx(np.abs(logits - y).max(1).mean(), rel=1e-5)
    assert worst["network"]["network"] == pytest.approx(np.abs(exact - y).max(1).mean(), rel=1e-4)
    assert total["value"] == pytest.approx(np.abs(logits - y).mean(), rel=1e-5)
    assert (total["network"], total["by_timestep"]) == (None, [])


def test_the_report_shows_it(regression, spikec):
    made = spikec("report", "net.nir", "--data", "npz:reg.npz", "--verify", 0, "--metric", "mae", "--json")
    assert made.code == 0, made.err
    assert (made.json["accuracy"], made.json["curve"]) == (None, [])
    (mae,) = made.json["quality"]
    assert len(mae["intervals_by_timestep"]) == 8
    assert mae["network"]["images"] == 449
    assert made.json["provenance"]["command"].endswith("--metric mae")
    page = (regression[0] / "report.html").read_text()
    for part in ("Mean absolute error at T = 8", "mean absolute error against T", "Trained network", "By cause"):
        assert part in page
    assert "classifies" not in page
    assert "Accuracy" not in page.replace("Accuracy of published", "")


def test_images_in_other_units_are_said_beside_the_measure(regression, spikec, tmp_path):
    """Once on stderr, however the images are run; on the page in a section of its own."""
    _, images, y, _ = regression
    np.savez(tmp_path / "other.npz", x=40 * images[:40], y=y[:40])
    for words in (("run", "net.nir"), ("report", "net.nir", "--verify", 0, "-o", tmp_path / "other.html")):
        made = spikec(*words, "--data", f"npz:{tmp_path / 'other.npz'}", "--json")
        assert made.code == 0, made.err
        assert [q["measure"] for q in made.json["quality"]] == ["mae", "correlation"]
        assert made.json["coding"]["clipped"] > 0
        (warned,) = [line for line in made.err.splitlines() if "warning" in line]
        assert warned.endswith(made.json["coding"]["warning"])
    page = (tmp_path / "other.html").read_text()
    assert ">Input</h2>" in page
    assert "Input coding: of 2,560 values" in page


@pytest.mark.lava
def test_lava_runs_it(regression, spikec):
    verified = spikec("verify", "net.nir", "--data", "npz:reg.npz", "--limit", 3)
    assert verified.code == 0, verified.err
    assert "3 images, 1 layers, 8 steps: identical" in verified.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "net.nir", "--metric", "top-1"), "top-1 compares classes"),
        (("run", "net.nir", "--metric", "typo"), "metric: unknown 'typo'"),
        (("run", "net.nir", "--metric", "head=mae"), "no output 'head', but"),
        (("run", "net.nir", "--early-exit", "margin"), "--early-exit stops an image when its class is decided"),
        (("report", "net.nir", "--metric", "miou"), "miou compares masks"),
        (("advise", "net.py:regression"), "advice compares accuracy, and y of npz:reg.npz holds numbers to predict"),
        (("train", "net.py:regression", "-o", "t.safetensors"), "training minimises the cross entropy of classes"),
        (("export", "net.py:regression", "--metric", "top-1", "-o", "no.nir"), "top-1 compares classes"),
        (("export", "net.py:regression", "--metric", "mae", "--measure", 0, "-o", "no.nir"), "and nothing is: leave"),
    ],
)
def test_what_needs_classes_says_so(regression, spikec, words, says):
    said = spikec(*words, "--data", "npz:reg.npz")
    assert said.code == 1
    assert says in said.err


def test_a_sweep_says_so_too(regression):
    configuration, _ = fill({"model": "net.py:regression", "data": "npz:reg.npz", "timesteps": 2})
    assert "a sweep compares accuracy, and y of npz:reg.npz holds numbers" in measure(configuration)["error"]["message"]


def test_a_last_sigmoid_is_left_out_and_what_needs_it_is_not_measured(regression, spikec):
    made = spikec("export", "net.py:bounded", "--data", "npz:reg.npz", "-o", "bounded.nir")
    assert made.code == 0, made.err
    assert "mae is not measured: Sigmoid is left out of the deployment" in made.err
    assert as_integer(load("bounded.nir")).measured is None
    ran = spikec("run", "bounded.nir", "--data", "npz:reg.npz", "--metric", "mae", "--limit", 9)
    assert ran.code == 0, ran.err
    assert ran.err.count("mae is measured on the outputs before Sigmoid") == 1


def test_other_measures_of_a_network_that_classifies(spikec, net):
    ran = spikec("run", net, "--limit", 40, "--metric", "top-1", "--metric", "top-5", "--json")
    one, five = ran.json["quality"]
    assert one["value"] == ran.json["accuracy"]
    assert one["interval"] == ran.json["interval"] == list(wilson(one["count"], 40))
    assert one["by_timestep"] == ran.json["accuracy_by_timestep"]
    assert five["value"] >= one["value"]
    said = spikec("run", net, "--limit", 40, "--metric", "top-5").out
    assert said.startswith("top-5 accuracy ")
    made = spikec("report", net, "--limit", 40, "--metric", "top-1", "--metric", "top-5", "--verify", 0, "--json")
    assert made.json["accuracy"]["snn"]["value"] == one["value"]
    assert "Other measures" in Path("report.html").read_text()


@pytest.fixture
def sequences(tmp_path):
    """A leaky network that ends in an LI, one number to predict, and sequences of different lengths."""
    rng, n = np.random.default_rng(0), 12

    def full(size, value):
        return np.full(size, float(value))

    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "fc1": nir.Affine(rng.normal(size=(n, 3)), rng.normal(size=n) / 9),
        "lif": nir.LIF(full(n, 5e-3), full(n, 3), full(n, 0), full(n, 1), full(n, 0)),
        "fc2": nir.Linear(rng.normal(size=(1, n)) / 4),
        "li": nir.LI(full(1, 2e-2), full(1, 1), full(1, 0)),
        "output": nir.Output({"output": np.array([1])}),
    }
    edges = [("input", "fc1"), ("fc1", "lif"), ("lif", "fc2"), ("fc2", "li"), ("li", "output")]
    nir.write(tmp_path / "leaky.nir", nir.NIRGraph(nodes, edges))
    rates = rng.random(40) * 0.8
    x = (rng.random((40, 30, 3)) < rates[:, None, None]).astype(np.uint8)
    y, lengths = rates.astype(np.float32) / 10, rng.integers(8, 31, 40)
    np.savez(tmp_path / "seq.npz", x=x, y=y)
    np.savez(tmp_path / "uneven.npz", x=x, y=y[:, None], lengths=lengths)
    np.savez(tmp_path / "unlabelled.npz", x=x)
    return x, y, lengths


@pytest.mark.parametrize("data", ["npz:seq.npz", "npz:uneven.npz"])
def test_sequences_with_a_number_to_predict(sequences, spikec, data):
    x, y, lengths = sequences
    made = spikec("export", "leaky.nir", "--dt", "1e-3", "--data", data, "-o", "out.nir", "--json")
    assert made.code == 0, made.err
    ran = spikec("run", "out.nir", "--data", data, "-o", "trace.npz", "--json")
    assert ran.code == 0, ran.err
    mae, correlation = ran.json["quality"]
    logits = np.load("trace.npz")["logits"].astype(np.float64)[:, 0]
    assert mae["value"] == pytest.approx(np.abs(logits - y).mean(), rel=1e-5)
    exact = [_leaky(sequence[:length]) for sequence, length in zip(x, _ends(data, lengths), strict=True)]
    assert mae["network"]["network"] == pytest.approx(np.abs(np.array(exact) - y).mean(), rel=1e-6)
    assert mae["network"]["images"] == 40
    assert made.json["quality"]["mae"]["network"] == mae["network"]["network"]
    assert -1 <= correlation["value"] <= 1
    made = spikec("report", "out.nir", "--data", data, "--verify", 0, "--json")
    assert made.code == 0, made.err
    assert [each["value"] for each in made.json["quality"]] == [mae["value"], correlation["value"]]
    assert made.json["quality"][0]["network"]["images"] == 40


def _ends(data, lengths):
    return lengths if "uneven" in data else [30] * len(lengths)


def _leaky(frames):
    """The network of :func:`sequences`, step by step."""
    rng, n, dt = np.random.default_rng(0), 12, 1e-3
    w1, bias = rng.normal(size=(n, 3)), rng.normal(size=n) / 9
    w2 = rng.normal(size=(1, n)) / 4
    v, out = np.zeros(n), 0.0
    for frame in frames:
        v = v + dt / 5e-3 * (-v + 3 * (w1 @ frame + bias))
        spikes = v > 1
        v = np.where(spikes, 0, v)
        out = out + dt / 2e-2 * (-out + float(w2[0] @ spikes))
    return out


@pytest.mark.lava
def test_lava_runs_the_sequences(sequences, spikec):
    assert spikec("export", "leaky.nir", "--dt", "1e-3", "--data", "npz:uneven.npz", "-o", "out.nir").code == 0
    verified = spikec("verify", "out.nir", "--data", "npz:uneven.npz", "--limit", 3)
    assert verified.code == 0, verified.err
    assert "identical" in verified.out


def test_sequences_without_labels_have_no_quality(sequences, spikec):
    made = spikec("export", "leaky.nir", "--dt", "1e-3", "--data", "npz:unlabelled.npz", "-o", "out.nir", "--json")
    assert made.code == 0, made.err
    assert {"quality", "accuracy"}.isdisjoint(made.json)
    ran = spikec("run", "out.nir", "--data", "npz:unlabelled.npz", "--json")
    assert (ran.code, ran.json["accuracy"], ran.json["quality"]) == (0, None, [])
    assert "without labels (y) no quality is measured" in spikec("run", "out.nir", "--data", "npz:unlabelled.npz").out
    said = spikec("run", "out.nir", "--data", "npz:unlabelled.npz", "--metric", "mae")
    assert (said.code, "holds no y" in said.err) == (1, True)
    made = spikec("report", "out.nir", "--data", "npz:unlabelled.npz", "--verify", 0, "--json")
    assert (made.code, made.json["accuracy"], made.json["quality"]) == (0, None, [])
    assert "ran without labels" in Path("report.html").read_text()

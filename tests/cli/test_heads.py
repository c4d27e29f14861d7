"""Networks of PyTorch that put out maps, numbers or several things, from export to the report, each by its measure."""

from __future__ import annotations

import json

import nir
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import spikec as tc

NETS = '''
import torch
from torch import nn
from torch.nn import functional as F


class Segmenter(nn.Module):
    """A U-Net of two levels: pool, two convolutions on the small map, nearest upsampling, skip connection."""

    def __init__(self):
        super().__init__()
        self.enter, self.down = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.bottom, self.leave = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(12, 3, 3, padding=1)

    def forward(self, x):
        fine = F.relu(self.enter(x))
        coarse = F.relu(self.bottom(F.relu(self.down(F.max_pool2d(fine, 2)))))
        return self.leave(torch.cat([fine, F.interpolate(coarse, scale_factor=2)], dim=1))


def classifier():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


class Policy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.Linear(96, 24)
        self.classes, self.box = nn.Linear(24, 3), nn.Linear(24, 4)

    def forward(self, x):
        x = F.relu(self.fc(F.relu(self.conv(x)).flatten(1)))
        return {"classes": self.classes(x), "box": self.box(x)}
'''


def squares(rng, number):
    """8 x 8 images with one square of three sizes: images, masks (0: nothing, 1: dark, 2: bright), class, box."""
    x, masks = rng.random((number, 1, 8, 8)).astype(np.float32) * 0.2, np.zeros((number, 8, 8), np.int64)
    sizes, boxes = rng.integers(0, 3, number), np.zeros((number, 4), np.float32)
    for i, size in enumerate(sizes):
        edge = int(size) + 2
        top, left = rng.integers(0, 9 - edge, 2)
        bright = rng.random() < 0.5
        here = (slice(top, top + edge), slice(left, left + edge))
        x[(i, 0, *here)] += 0.8 if bright else 0.4
        masks[(i, *here)] = 2 if bright else 1
        boxes[i] = np.array([top, left, top + edge, left + edge]) / 8
    return x, masks, sizes, boxes


def fit(model, x, loss, epochs):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            loss(model(x[rows]), rows).backward()
            optimizer.step()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The three networks with weights, and their data; and what each gives its test inputs."""
    folder, rng = tmp_path_factory.mktemp("heads"), np.random.default_rng(0)
    (folder / "nets.py").write_text(NETS)
    found: dict = {}
    exec(NETS, found)
    torch.manual_seed(0)
    x, masks, sizes, boxes = squares(rng, 500)
    states = rng.uniform(-1, 1, (500, 6)).astype(np.float32)
    actions = np.tanh(states @ rng.normal(0, 1, (6, 2))).astype(np.float32)
    last = slice(400, None)
    np.savez(folder / "mask.npz", x=x[:400], y=masks[:400], x_test=x[last], y_test=masks[last])
    np.savez(folder / "act.npz", x=states[:400], y=actions[:400], x_test=states[last], y_test=actions[last])
    np.savez(
        folder / "both.npz",
        x=x[:400], y_classes=sizes[:400], y_box=boxes[:400],
        x_test=x[last], y_classes_test=sizes[last], y_box_test=boxes[last],
    )  # fmt: skip
    tensors = [torch.from_numpy(each) for each in (x, masks, states, actions, sizes, boxes)]
    images, masked, given, acted, classed, boxed = (each[:400] for each in tensors)
    segmenter, policy, detector = found["Segmenter"](), found["Policy"](), found["Detector"]()
    fit(segmenter, images, lambda out, rows: F.cross_entropy(out, masked[rows]), 6)
    fit(policy, given, lambda out, rows: F.mse_loss(out, acted[rows]), 12)
    fit(
        detector,
        images,
        lambda out, rows: F.cross_entropy(out["classes"], classed[rows]) + 5 * F.mse_loss(out["box"], boxed[rows]),
        12,
    )
    exact = {}
    for name, model, inputs in (("Segmenter", segmenter, x), ("Policy", policy, states), ("Detector", detector, x)):
        save_file(model.state_dict(), folder / f"{name}.safetensors")
        with torch.no_grad():
            exact[name] = model.eval()(torch.from_numpy(inputs[last]))
    return folder, exact, {"masks": masks[last], "actions": actions[last], "classes": sizes[last], "box": boxes[last]}


@pytest.fixture
def exported(trained, spikec, monkeypatch):
    """Exports a network once; the file."""
    monkeypatch.chdir(trained[0])

    def export(name, data):
        if not (trained[0] / f"{name}.nir").exists():
            words = ("--weights", f"{name}.safetensors", "--data", f"npz:{data}.npz", "-T", 8, "-o", f"{name}.nir")
            made = spikec("export", f"nets.py:{name}", *words, "--json")
            assert made.code == 0, made.err
            (trained[0] / f"{name}.json").write_text(json.dumps(made.json))
        return f"{name}.nir", json.loads((trained[0] / f"{name}.json").read_text())

    return export


def iou(labels, masks, classes):
    """Mean over the classes that occur of intersection over union, by plain loops."""
    shares = []
    for c in range(classes):
        pairs = list(zip(labels.reshape(-1).tolist(), masks.reshape(-1).tolist(), strict=True))
        union = sum(a == c or b == c for a, b in pairs)
        if union:
            shares.append(sum(a == b == c for a, b in pairs) / union)
    return sum(shares) / len(shares)


def test_a_segmentation_network_by_its_overlap(trained, exported, spikec):
    _, exact, y = trained
    file, made = exported("Segmenter", "mask")
    own = iou(exact["Segmenter"].argmax(1).numpy(), y["masks"], 3)
    assert own > 0.6  # it has learned something
    assert made["quality"]["miou"]["network"] == pytest.approx(own)
    ran = spikec("run", file, "-o", "segmenter.npz", "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.json["quality"]
    with np.load("segmenter.npz") as trace:
        assert trace["output"].shape == (100, 3, 8, 8)
        assert found["value"] == pytest.approx(iou(trace["output"].argmax(1), y["masks"], 3))
        step = trace["output_curve"][:, 3].argmax(1)
        assert found["by_timestep"][3] == pytest.approx(iou(step, y["masks"], 3))
    assert made["quality"]["miou"]["spiking"] == pytest.approx(found["value"])
    assert found["network"]["network"] == pytest.approx(own)
    assert sum(found["network"]["causes"].values()) == pytest.approx(found["network"]["change"])
    assert (ran.json["accuracy"], ran.json["correct"]) == (None, None)
    made = spikec("report", file, "--verify", 0, "-o", "segmenter.html", "--json")
    assert made.code == 0, made.err
    assert [each["measure"] for each in made.json["quality"]] == ["miou"]
    page = (trained[0] / "segmenter.html").read_text()
    assert ">Outputs</h2>" in page
    assert "Mean IoU at T = 8" in page
    assert "classifies" not in page


def test_a_policy_by_its_error(trained, exported, spikec):
    _, exact, y = trained
    file, made = exported("Policy", "act")
    own = np.abs(exact["Policy"].numpy() - y["actions"]).mean()
    assert own < 0.2
    assert made["quality"]["mae"]["network"] == pytest.approx(own, rel=1e-5)
    ran = spikec("run", file, "-o", "policy.npz", "--metric", "mae", "--json")
    (found,) = ran.json["quality"]
    with np.load("policy.npz") as trace:
        assert found["value"] == pytest.approx(np.abs(trace["logits"] - y["actions"]).mean(), rel=1e-5)
    made = spikec("report", file, "--verify", 0, "-o", "policy.html", "--json")
    assert [each["measure"] for each in made.json["quality"]] == ["mae", "correlation"]
    assert made.json["quality"][0]["value"] == pytest.approx(found["value"])
    assert "reaches a mean absolute error" in (trained[0] / "policy.html").read_text()


def test_two_heads_each_by_its_own_measure(trained, exported, spikec):
    _, exact, y = trained
    file, made = exported("Detector", "both")
    own = {
        "classes=top-1": float((exact["Detector"]["classes"].argmax(1).numpy() == y["classes"]).mean()),
        "box=mae": float(np.abs(exact["Detector"]["box"].numpy() - y["box"]).mean()),
    }
    assert own["classes=top-1"] > 0.5
    assert made["quality"].keys() == {*own, "box=correlation"}
    ran = spikec("run", file, "-o", "heads.npz", "--json")
    assert ran.code == 0, ran.err
    found = {each["measure"]: each for each in ran.json["quality"]}
    assert list(found) == ["classes=top-1", "box=mae", "box=correlation"]
    with np.load("heads.npz") as trace:
        spiking = {
            "classes=top-1": float((trace["output/classes"].argmax(1) == y["classes"]).mean()),
            "box=mae": float(np.abs(trace["logits/box"] - y["box"]).mean()),
        }
        np.testing.assert_array_equal(trace["labels/classes"], y["classes"])
        np.testing.assert_array_equal(trace["labels/box"], y["box"])
    for name, value in spiking.items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-5), name
        assert found[name]["network"]["network"] == pytest.approx(own[name], rel=1e-5), name
        assert made["quality"][name]["spiking"] == pytest.approx(value, rel=1e-5), name
        assert len(found[name]["by_timestep"]) == 8
    said = spikec("run", file, "--metric", "box=mae", "--limit", 20).out
    assert "box: mean absolute error" in said
    assert "accuracy" not in said
    report = spikec("report", file, "--verify", 0, "-o", "heads.html", "--json")
    assert report.code == 0, report.err
    assert [each["measure"] for each in report.json["quality"]] == list(found)
    page = (trained[0] / "heads.html").read_text()
    assert "Box: mean absolute error at T = 8" in page
    assert "reaches classes: " in page


def test_a_report_from_python_takes_names(trained, exported):
    _, exact, _ = trained
    file, made = exported("Detector", "both")
    with np.load("both.npz") as arrays:
        images, labels = arrays["x_test"], {"classes": arrays["y_classes_test"], "box": arrays["y_box_test"]}
    outputs = {name: values.numpy() for name, values in exact["Detector"].items()}
    few = {"estimates": (), "fits": (), "path": None}
    report = tc.report(tc.load(file), images=images, labels=labels, ann_logits=outputs, **few)
    assert (report.accuracy, report.curve) == (None, ())
    assert [row.name for row in report.outputs] == ["classes", "box"]
    for rating in report.quality:
        kept = made["quality"][rating.name]
        assert rating.quality.value == pytest.approx(kept["spiking"])
        assert rating.network.network == pytest.approx(kept["network"])
        assert len(rating.bands) == 8
    assert (
        report.provenance.data_sha256
        != tc.report(
            tc.load(file), images=images, labels=labels | {"box": labels["box"] + 1}, **few
        ).provenance.data_sha256
    )
    with pytest.raises(tc.DataError, match="ann_logits are of shape"):
        tc.report(tc.load(file), images=images, labels=labels, ann_logits=outputs["box"], **few)


@pytest.mark.parametrize(
    ("data", "words", "message"),
    [
        ("both", ("--metric", "mae"), "the network has several outputs, classes, box: say which one"),
        ("both", ("--metric", "mask=mae"), "the network has no output 'mask', but classes, box"),
        ("both", ("--metric", "box=miou"), "output box: miou compares masks"),
        ("mask", (), "several outputs, classes, box: say which one, as --metric NAME=miou, or call the targets y_NAME"),
        ("odd", (), "there must be one target of each output for each input, not classes 3, box 2"),
        ("twice", (), "holds y and y_box: give y, or y_NAME for each output, not both"),
        ("other", (), "there are targets of 'mask' (y_mask), and the network has no output 'mask', but classes, box"),
        ("both", ("--early-exit", "margin"), "--early-exit needs one output of shape (classes), and the network puts"),
    ],
)
def test_targets_that_do_not_fit(trained, exported, spikec, data, words, message):
    file, _ = exported("Detector", "both")
    x = np.zeros((3, 1, 8, 8), np.float32)
    np.savez("odd.npz", x=x, y_classes=np.zeros(3, int), y_box=np.zeros((2, 4), np.float32))
    np.savez("twice.npz", x=x, y=np.zeros(3, int), y_box=np.zeros((3, 4), np.float32))
    np.savez("other.npz", x=x, y_mask=np.zeros((3, 8, 8), int))
    said = spikec("run", file, "--data", f"npz:{data}.npz", *words)
    assert said.code == 1
    assert message in said.err
    assert "Traceback" not in said.err


def test_what_needs_classes_says_so(trained, exported, spikec):
    exported("Detector", "both")
    said = spikec("train", "nets.py:classifier", "--data", "npz:both.npz", "--method", "relu", "-o", "w.safetensors")
    assert said.code == 1
    assert "y of train holds several targets: give data with a class for each input" in said.err


def test_arrays_by_name():
    rng = np.random.default_rng(0)
    outputs = {"a": rng.normal(size=(9, 3)), "b": rng.normal(size=(9, 2))}
    targets = {"a": rng.integers(0, 3, 9), "b": rng.normal(size=(9, 2))}
    network = {name: values + 0.1 for name, values in outputs.items()}
    rated = {each.name: each for each in tc.quality(outputs, targets, network=network)}
    assert list(rated) == ["a=top-1", "b=mae", "b=correlation"]
    assert rated["a=top-1"].quality.value == pytest.approx((outputs["a"].argmax(1) == targets["a"]).mean())
    assert rated["b=mae"].quality.value == pytest.approx(np.abs(outputs["b"] - targets["b"]).mean())
    assert rated["b=mae"].network.network == pytest.approx(np.abs(network["b"] - targets["b"]).mean())
    with pytest.raises(tc.DataError, match="the network's outputs are of shape"):
        tc.quality(outputs, targets, network={"a": network["a"]})


def test_output_nodes_of_a_nir_file_on_sequences(spikec, tmp_path):
    """Spikes that are counted and an integrator, each with numbers to predict of its own; NIR's equations beside."""
    rng = np.random.default_rng(5)
    lif = nir.LIF(*(np.full(6, value) for value in (5.0, 2.0, 0.1, 1.0)), v_reset=np.zeros(6))
    nodes = {
        "input": nir.Input({"input": np.array([4])}), "fc": nir.Affine(rng.normal(size=(6, 4)), rng.normal(size=6)),
        "lif": lif, "head": nir.Affine(rng.normal(size=(3, 6)), np.zeros(3)), "i": nir.I(np.ones(3)),
        "seen": nir.Output({"output": np.array([6])}), "score": nir.Output({"output": np.array([3])}),
    }  # fmt: skip
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "head"), ("head", "i"), ("i", "score"), ("lif", "seen")]
    nir.write("plain.nir", nir.NIRGraph(nodes, edges, type_check=False))
    x, lengths = rng.integers(0, 4, (12, 7, 4)), rng.integers(3, 8, 12)
    y = {"seen": rng.uniform(0, 5, (12, 6)).astype(np.float32), "score": rng.integers(0, 3, 12)}
    np.savez("s.npz", x=x, lengths=lengths, **{f"y_{name}": values for name, values in y.items()})
    words = ("--dt", "1.0", "--data", "npz:s.npz", "--metric", "seen=mae", "--metric", "score=top-1")
    made = spikec("export", "plain.nir", *words, "-o", "net.nir", "--json")
    assert made.code == 0, made.err
    ran = spikec("run", "net.nir", *words[4:], "--json", "-o", "t.npz")
    assert ran.code == 0, ran.err
    mae, top = ran.json["quality"]
    with np.load("t.npz") as trace:
        assert mae["value"] == pytest.approx(np.abs(trace["logits/seen"] - y["seen"]).mean(), rel=1e-5)
        assert top["count"] == (trace["output/score"].argmax(1) == y["score"]).sum()
    for each in (mae, top):
        kept = made.json["quality"][each["measure"]]
        assert (kept["network"], kept["spiking"]) == (each["network"]["network"], pytest.approx(each["value"]))


@pytest.mark.lava
@pytest.mark.parametrize(("name", "data"), [("Segmenter", "mask"), ("Policy", "act"), ("Detector", "both")])
def test_lava_gives_the_same(exported, spikec, name, data):
    file, _ = exported(name, data)
    said = spikec("verify", file, "--limit", 2)
    assert said.code == 0, said.err
    assert "identical" in said.out


def test_numbers_for_each_pixel_of_nn():
    """A spatial output may be a regression too."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
    images = torch.rand(12, 1, 6, 6)
    trace = tc.simulate(tc.lower(tc.convert(model, tc.QCFS(timesteps=8), example=images, calibration=images)), images)
    y = images.numpy() * 2
    (mae,) = tc.quality(trace.logits, y, "mae")
    assert mae.quality.value == pytest.approx(np.abs(trace.logits - y).mean())

"""Files whose outputs are no row of classes: what each command says of them."""

import re

import numpy as np
import pytest
from helpers.nodes import affine, convolution, flatten, graph_of, population

import spikec as tc
from spikec.ir import build
from spikec.ir.coding import InputNode
from spikec.ir.graph import Readout
from spikec.models.data import open_dataset
from spikec.reporting import sentences
from spikec.targets.interop.plain import plain

SAID = "needs one output of shape (classes), and the network puts out mask (2, 8, 8), classes (10)"


def heads_graph(*kept):
    """The 8x8 digits to a mask and to classes, or to one of them."""
    rng = np.random.default_rng(0)
    ints = lambda *shape: rng.integers(-9, 10, shape)  # noqa: E731
    maps = (4, 8, 8)
    nodes = [
        InputNode("input", (1, 8, 8), "uint8", 1 / 16),
        convolution("conv", ["input"], (1, 8, 8), ints(4, 1, 3, 3), padding=1),
        population("if", ["conv"], maps, "if", 200),
    ]
    if "mask" in kept:
        nodes += [
            convolution("head", ["if"], maps, ints(2, 4, 1, 1)),
            Readout("readout.mask", ("head",), (2, 8, 8), np.zeros((2, 8, 8), np.int64), 0.5, output="mask"),
        ]
    if "classes" in kept:
        nodes += [
            flatten("flat", ["if"], maps),
            affine("fc", ["flat"], ints(10, 256)),
            Readout("readout.classes", ("fc",), (10,), np.zeros(10, np.int64), 0.25, output="classes"),
        ]
    return graph_of(nodes, 3, "pipelined")


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return tc.save(build(heads_graph("mask", "classes")), tmp_path_factory.mktemp("heads") / "heads.nir")


def test_run_leaves_accuracy_out_and_writes_every_output(spikec, heads):
    done = spikec("run", heads, "--limit", 20, "-o", "trace.npz", "--json")
    assert done.code == 0
    assert [done.json[key] for key in ("correct", "accuracy", "interval", "accuracy_by_timestep")] == [None] * 4
    assert done.json["images"] == 20
    assert f"accuracy is left out: it {SAID}" in spikec("run", heads, "--limit", 20).out
    trace = tc.simulate(tc.load(heads), open_dataset("digits", split="test").images(slice(20)))
    with np.load("trace.npz") as found:
        for name in ("mask", "classes"):
            np.testing.assert_array_equal(found[f"output/{name}"], trace.outputs[name])
            np.testing.assert_array_equal(found[f"logits/{name}"], trace.logits_of(name))
            np.testing.assert_array_equal(found[f"output_curve/{name}"], trace.output_curves[name])
        assert "output" not in found.files


def test_verify_energy_check_and_map_need_no_classes(spikec, heads):
    assert spikec("verify", heads, "--target", "golden", "--limit", 5).out.startswith("5 images, 1 layers, 3 steps: id")
    assert spikec("energy", heads, "--limit", 5, "--json").json["profile"]["name"] == "loihi2"
    for tool in ("neurobench", "sinabs", "syops", "keras-spiking"):
        assert spikec("energy", heads, "--limit", 5, "--as", tool).code == 0
    assert spikec("check", heads, "--target", "loihi2").code == 0
    assert re.search(r"^  readout.mask +1 ", spikec("map", heads, "--target", "loihi2").out, re.MULTILINE)
    listed = spikec("inspect", heads).out
    assert "mask = output * 0.5 of readout.mask" in listed
    assert "classes = output * 0.25 of readout.classes" in listed


@pytest.mark.parametrize("kept", [("mask", "classes"), ("mask",)])
def test_the_report_shows_every_output(spikec, tmp_path, kept):
    file = tc.save(build(heads_graph(*kept)), tmp_path / "net.nir")
    done = spikec("report", file, "--limit", 20, "--verify", 0, "-o", "report.html", "--json")
    assert done.code == 0
    assert done.json["accuracy"] is None
    assert done.json["network"]["classes"] is None
    assert done.json["curve"] == []
    trace = tc.simulate(tc.load(file), open_dataset("digits", split="test").images(slice(20)))
    for row, (name, values) in zip(done.json["outputs"], trace.outputs.items(), strict=True):
        real = trace.logits_of(name)
        assert row == {
            "name": name, "shape": list(values.shape[1:]), "scale": trace.scales[name],
            "low": pytest.approx(float(real.min())), "high": pytest.approx(float(real.max())),
        }  # fmt: skip
    page = (tmp_path / "report.html").read_text()
    assert "the integer network puts out mask (2, 8, 8)" in page
    assert "Accuracy" not in page
    assert all(f">{name}<" in page for name in kept)


def test_reports_from_python_need_no_labels():
    images = open_dataset("digits", split="test").images(slice(5))
    both = heads_graph("mask", "classes")
    made = tc.report(both, images=images, labels=None, path=None, estimates=(), fits=())
    assert (made.accuracy, made.quality) == (None, ())
    assert "puts out mask (2, 8, 8), classes (10)" in sentences.verdict(made)
    with pytest.raises(tc.DataError, match="ann_accuracy is that of a network that classifies"):
        tc.report(both, images=images, labels=None, path=None, ann_accuracy=0.9)
    with pytest.raises(tc.DataError, match="several outputs, mask, classes: say which one"):
        tc.report(both, images=images, labels=np.zeros(5, int), path=None)


def test_netx_and_plain_nir_refuse_several_outputs(spikec, heads):
    done = spikec("netx", heads, "-o", "net.hdf5")
    assert done.code == 2
    assert "it has several outputs (mask, classes), a netx file has one" in done.err
    with pytest.raises(tc.GraphError, match=r"several outputs \(mask, classes\): a portable file has one"):
        tc.portable(heads_graph("mask", "classes"))
    with pytest.raises(tc.DoesNotFit, match=r"several outputs \(mask, classes\); simulators that read NIR give one"):
        plain(heads_graph("mask", "classes"))


NETWORK = """
from torch import nn

class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
        self.mask, self.fc = nn.Conv2d(4, 2, 1), nn.Linear(256, 10)

    def forward(self, x):
        x = self.relu(self.conv(x))
        return {"mask": self.mask(x), "classes": self.fc(x.flatten(1))}
"""


def test_what_compares_accuracy_refuses_by_name(spikec, tmp_path):
    (tmp_path / "heads.py").write_text(NETWORK)
    done = spikec("export", "heads.py:Heads", "--method", "qcfs", "-T", 2, "-o", "net.nir")
    assert done.code == 0, done.err
    assert f"accuracy is not measured: it {SAID}" in done.err
    (tmp_path / "grid.toml").write_text('[grid]\nmodel = "heads.py:Heads"\nmethod = "qcfs"\ntimesteps = 2\n')
    done = spikec("sweep", "grid.toml", "-o", "results", "--json")
    assert f"the accuracy that sweeps compare {SAID}" in str(done.json)
    done = spikec("advise", "heads.py:Heads", "--budget", "10s")
    assert done.code == 1
    assert "advice compares accuracy, which needs one output [N, classes]; the network returns a dict" in done.err
    done = spikec("export", "heads.py:Heads", "--method", "error-compensation", "--option", "offsets=tuned", "-T", 2,
                  "-o", "net.nir")  # fmt: skip
    assert done.code == 1
    assert "tuned offsets compare class probabilities, and the network returns mask ('N', 2, 8, 8), classes" in done.err

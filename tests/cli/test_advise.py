"""``spikec advise``: the commands it prints make what it measured, and it goes on where it stopped."""

import html
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers.json_schema import errors

from spikec.advising.portfolio import _line
from spikec.advising.trials import PURPOSES
from spikec.cli import advise
from spikec.models.data import load

PORTFOLIO = (_line("error-free", 6), _line("graded", 1, levels=31), _line("error-compensation", 8, offsets="static"))
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "advice.schema.json").read_text())


@pytest.fixture
def three(monkeypatch):
    """Only three deployments are tried, on few images, so that no budget ends."""
    monkeypatch.setattr("spikec.advising.advising.PORTFOLIO", PORTFOLIO)
    monkeypatch.setattr("spikec.advising.bench.ROUNDS", (50, 100))


@pytest.mark.usefixtures("three")
def test_the_printed_command_writes_the_recommended_file(spikec):
    """Every recommendation, for a CNN; and ``--write`` writes the one for no purpose in mind."""
    words = ["advise", "digits-cnn", "--budget", "1h", "--calibration", 64, "--limit", 100, "-o", "results", "--json"]
    first = spikec(*words, "--write", "best.nir")
    assert first.code == 0, first.err
    assert list(errors(SCHEMA, first.json)) == []
    exports = {}
    for purpose, found in first.json["recommendations"].items():
        program, *command = shlex.split(found["export"])
        assert program == "spikec"
        made = spikec(*command, "--json")
        assert made.json["content_sha256"] == found["content_sha256"]
        ran = spikec("run", f"{purpose}.nir", "--limit", 100, "--json").json
        assert ran["correct"] == found["test"]["correct"]
        exports[purpose] = Path(made.json["file"]).read_bytes()
    assert exports
    best = first.json["best"]
    assert first.json["written"] == "best.nir"
    assert Path("best.nir").read_bytes() == exports[best]
    assert Path("results/advice.svg").read_text().startswith("<svg")
    page = html.unescape(re.sub(r"</?span>", "", Path("results/advice.html").read_text()))
    assert all(f"<code>{found['export']}</code>" in page for found in first.json["recommendations"].values())


@pytest.mark.usefixtures("three")
def test_vectors_from_an_archive_without_a_test_set(spikec):
    images, labels = load("digits", split="train")
    np.savez("digits.npz", x=images.flatten(1).numpy(), y=labels.numpy())
    Path("mine.py").write_text(
        "import torch\nfrom torch import nn\n\ndef net():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))\n"
    )
    words = ["advise", "mine.py:net", "--data", "npz:digits.npz", "--budget", "1h", "--svg", "a.svg", "--limit", 50]
    found = spikec(*words, "--html", "b.html")
    assert found.code == 0, found.err
    assert "kept apart, since the data have no test set" in found.out
    assert "--data npz:digits.npz" in found.out
    assert found.out.endswith("written: a.svg and b.html\n")
    assert Path("a.svg").is_file()
    assert Path("b.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["digits-cnn", "--chip", "loihi9"], "--chip: unknown chip 'loihi9', did you mean 'loihi"),
        (["digits-cnn", "--budget", "0"], "is not a time"),
        (["digits-cnn", "--budget", "0.001s"], "no time: the budget of 0.001 s"),
        (["digits-cnn", "--tolerance", "-1"], "no number of points"),
        (["digits-cnn", "--purpose", "lossless"], "give --write"),
        (["digits-cnn", "--format", "loihi9"], "loihi9"),
        (["net.nir"], "advice needs the trained network"),
        (["lenet5"], "comes without weights"),
        (["digits-cnn", "--data", "npz:absent.npz"], "absent.npz"),
        (["resnet20-normalized", "--weights", "x"], "there is no file x"),
        (["vectors.py:net"], "takes vectors of 12 numbers (its first layer, 0), digits has 1x8x8; give the data set"),
    ],
)
def test_mistakes_get_a_sentence(spikec, words, says):
    Path("vectors.py").write_text(
        "from torch import nn\ndef net(): return nn.Sequential(nn.Linear(12, 3), nn.ReLU())\n"
    )
    found = spikec("advise", *words)
    assert found.code == 1
    assert says in found.err
    assert found.err.count("\n") == 1


def test_purposes_are_those_of_the_trials():
    assert tuple(PURPOSES) == advise.PURPOSES

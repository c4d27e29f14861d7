"""JSON, and the files that commands name."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.networks import digits_network
from helpers.nir_files import lif_net, write

import spikec as tc
from spikec.cli.output import as_json
from spikec.ir import build, save
from spikec.models.data import open_dataset


@dataclass
class _Pair:
    a: int
    b: float


def test_json_holds_plain_values():
    document = {
        "array": np.arange(3),
        "scalar": np.float32(0.5),
        "nan": float("nan"),
        "inf": [np.inf],
        "path": Path("x"),
        "pair": _Pair(1, 2.0),
        1: (1, 2),
    }
    assert json.loads(as_json(document)) == {
        "array": [0, 1, 2],
        "scalar": 0.5,
        "nan": None,
        "inf": [None],
        "path": "x",
        "pair": {"a": 1, "b": 2.0},
        "1": [1, 2],
    }


def _files(folder):
    """All but hidden ones, which are the commands' own."""
    return {str(path.relative_to(folder)) for path in folder.rglob("[!.]*") if path.is_file()}


_WRITING = (
    ["export", "digits-cnn", "--measure", 0, "-o", "a.nir"],
    ["run", "net.nir", "--limit", 2, "-o", "a.npz"],
    ["map", "net.nir", "--svg", "a.svg"],
    ["netx", "net.nir", "-o", "a.hdf5"],
    ["c", "net.nir", "-o", "made/here"],
    ["report", "net.nir", "--limit", 5, "--verify", 0, "-o", "a.html"],
    ["nir", "repair", "plain.nir", "-o", "a.nir"],
    pytest.param(["train", "digits-cnn", "--epochs", 1, "-o", "w.safetensors"], marks=pytest.mark.thorough),
    pytest.param(["sweep", "grid.toml", "-o", "out"], marks=pytest.mark.thorough),
    pytest.param(
        ["advise", "digits-cnn", "--budget", "20s", "-o", "out", "--write", "a.nir"], marks=pytest.mark.thorough
    ),
    pytest.param(["demo", "-o", "out", "--verify", 1], marks=pytest.mark.thorough),
)


@pytest.mark.parametrize("words", _WRITING, ids=lambda words: " ".join(map(str, words[:2])))
def test_what_writes_files_ends_with_their_names(spikec, tmp_path, words):
    """All files that are there afterwards and were not there before; ``DIR/`` stands for those in it."""
    save(build(digits_network()), "net.nir")
    write("plain.nir", *lif_net())
    Path("grid.toml").write_text('[defaults]\nlimit = 5\n[grid]\nmodel = "digits-cnn"\ntimesteps = 2\n')
    before = _files(tmp_path)
    done = spikec(*words)
    assert done.code == 0, done.err
    first, _, last = done.out.splitlines()[-1].removeprefix("written: ").rpartition(" and ")
    named = {*filter(None, first.split(", ")), last}
    folders = tuple(name for name in named if name.endswith("/"))
    made = _files(tmp_path) - before
    assert {name for name in made if not name.startswith(folders)} == named - set(folders)
    assert all(any(name.startswith(folder) for name in made) for folder in folders)


@pytest.mark.parametrize("words", [["run", "net.nir", "--limit", 2], ["map", "net.nir"]])
def test_what_writes_no_file_says_nothing_of_files(spikec, words):
    save(build(digits_network()), "net.nir")
    assert "written" not in spikec(*words).out


def test_an_estimate_prints_the_text_of_the_command(spikec):
    graph = build(digits_network())
    save(graph, "net.nir")
    images = open_dataset("digits").images()[:3]
    estimate = tc.estimate(graph, tc.simulate(graph, images))
    assert str(estimate) in spikec("energy", "net.nir", "--limit", 3).out

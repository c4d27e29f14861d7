"""``spikec export`` from and to plain NIR."""

import itertools
import json

import nir
import numpy as np
import pytest

from spikec.cli import main


@pytest.fixture
def plain(tmp_path):
    """A file with one hidden layer for the 8x8 digits."""
    rng = np.random.default_rng(0)
    ones = np.ones(12, np.float32)
    nodes = {
        "input": nir.Input({"input": np.array([1, 8, 8])}),
        "flatten": nir.Flatten({"input": np.array([1, 8, 8])}, 0, -1),
        "hidden": nir.Affine(rng.normal(size=(12, 64)).astype(np.float32), 0 * ones),
        "spikes": nir.IF(r=ones, v_threshold=3 * ones, v_reset=0 * ones),
        "head": nir.Linear(rng.normal(size=(10, 12)).astype(np.float32)),
        "output": nir.Output({"output": np.array([10])}),
    }
    names = list(nodes)
    path = tmp_path / "plain.nir"
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(names)), metadata={}))
    return path


def _export(capsys, *words):
    code = main(["export", *map(str, words)])
    return code, capsys.readouterr()


def test_plain_file_becomes_a_deployment(plain, tmp_path, capsys):
    out = tmp_path / "net.nir"
    code, said = _export(capsys, plain, "--reset", "subtract", "--v-init", "half", "-T", 3, "-o", out, "--json")
    assert code == 0, said.err
    document = json.loads(said.out)
    assert (document["layers"], document["neurons"], document["timesteps"]) == (1, 12, 3)
    assert main(["run", str(out), "--limit", "5"]) == 0


def test_deployment_becomes_a_portable_file(plain, tmp_path, capsys):
    out = tmp_path / "portable.nir"
    options = ["--reset", "subtract", "--v-init", "half", "-T", 3, "--portable"]
    code, said = _export(capsys, plain, *options, "-o", out)
    assert code == 0, said.err
    assert "clock" in nir.read(out).nodes
    assert main(["inspect", str(out)]) == 1
    assert "plain NIR file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-T", 3], "give --reset and --v-init"),
        (["--reset", "subtract", "--v-init", "half"], "give --timesteps"),
        (["--reset", "subtract", "--v-init", "half", "-T", 3, "--method", "graded"], "--method: only for trained"),
        (["--reset", "zero", "--v-init", "half", "-T", 3], "--reset"),
    ],
)
def test_says_what_is_missing_or_useless(plain, tmp_path, capsys, options, sentence):
    code, said = _export(capsys, plain, *options, "-o", tmp_path / "net.nir")
    assert code == 1
    assert sentence in said.err
    assert not (tmp_path / "net.nir").exists()


def test_a_missing_file_is_named_before_its_options(tmp_path, capsys):
    code, said = _export(capsys, tmp_path / "absent.nir", "-o", tmp_path / "net.nir")
    assert code == 1
    assert "no file" in said.err


def test_options_of_plain_files_are_refused_for_networks(tmp_path, capsys):
    code, said = _export(capsys, "digits-cnn", "--v-init", "half", "-o", tmp_path / "net.nir")
    assert code == 1
    assert "--v-init: only for a plain NIR file" in said.err


def test_vectors_are_taken_and_signals_are_not(tmp_path, capsys):
    rng, ones = np.random.default_rng(0), np.ones(5, np.float32)
    for shape, code in (((6,), 0), ((2, 6), 1)):
        nodes = {
            "input": nir.Input({"input": np.array(shape)}),
            "flatten": nir.Flatten({"input": np.array(shape)}, 0, -1),
            "hidden": nir.Linear(rng.normal(size=(5, int(np.prod(shape)))).astype(np.float32)),
            "spikes": nir.IF(r=ones, v_threshold=ones, v_reset=0 * ones),
            "output": nir.Output({"output": np.array([5])}),
        }
        path, data = tmp_path / "plain.nir", tmp_path / "data.npz"
        nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), metadata={}))
        np.savez(data, x=rng.random((20, *shape)), y=np.arange(20) % 5)
        options = ["--reset", "subtract", "--v-init", "zero", "-T", 3, "--data", f"npz:{data}", "--measure", 0]
        found, said = _export(capsys, path, *options, "-o", tmp_path / "net.nir")
        assert found == code, said.err
    assert "the NIR graph takes (2, 6)" in said.err

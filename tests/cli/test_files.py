"""``spikec inspect`` and ``diff``, and files that are no deployment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikec.ir import build, save


@pytest.fixture
def other(digits_graph, tmp_path):
    return save(build(digits_graph(timesteps=5, seed=1)), tmp_path / "other.nir")


def test_inspect_names_every_node(spikec, net, digits_graph):
    result = spikec("inspect", net)
    assert result.code == 0
    assert all(name in result.out for name in digits_graph().nodes)
    assert result.out == spikec("inspect", net).out


def test_inspect_one_layer(spikec, net, digits_graph):
    weights = digits_graph().nodes["conv"].weight
    document = spikec("inspect", net, "--layer", "conv", "--json").json
    assert [node["name"] for node in document["nodes"]] == ["conv"]
    assert document["nodes"][0]["weight"] == weights.tolist()
    assert "conv" in spikec("inspect", net, "--layer", "conv").out


def test_inspect_gives_ranges_of_whole_networks(spikec, net, digits_graph):
    weights = digits_graph().nodes["conv"].weight
    nodes = {node["name"]: node for node in spikec("inspect", net, "--json").json["nodes"]}
    assert nodes["conv"]["weight"] == {"shape": list(weights.shape), "min": weights.min(), "max": weights.max()}


def test_unknown_layer(spikec, net):
    result = spikec("inspect", net, "--layer", "convv")
    assert result.code == 1
    assert "did you mean 'conv'?" in result.err


def test_diff(spikec, net, other):
    same = spikec("diff", net, net, "--json").json
    assert same["identical"] is True
    assert same["deployment_sha256"]["a"] == same["deployment_sha256"]["b"]
    assert spikec("diff", net, net).out == f"identical\ndeployment sha256 {same['deployment_sha256']['a']}\n"
    result = spikec("diff", net, other)
    assert result.code == 0
    assert "timesteps 3 -> 5" in result.out
    assert spikec("diff", net, other, "--json").json["changes"] == result.out.splitlines()[:-1]
    assert result.out.splitlines()[-1].startswith("deployment sha256 ")


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _change_one_weight(path):
    with h5py.File(path, "r+") as file:
        weight = file["node/nodes/conv/weight"]
        weight[0, 0, 0, 0] += 1


def _empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_truncate, _change_one_weight, _empty])
@pytest.mark.parametrize("command", ["inspect", "run", "energy"])
def test_damaged_files_are_refused_in_one_sentence(spikec, net, tmp_path, damage, command):
    path = tmp_path / "damaged.nir"
    path.write_bytes(net.read_bytes())
    damage(path)
    result = spikec(command, path)
    assert result.code == 1
    assert "damaged.nir" in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("run", "net.nir", "--limit", 3, "-o", "net.nir"),
        ("run", "net.nir", "--limit", 3, "-o", "./link.nir"),
        ("report", "net.nir", "--limit", 3, "-o", "net.nir"),
        ("report", "net.json", "--limit", 3, "-o", "net.html"),
        ("map", "net.nir", "--svg", "net.nir"),
        ("netx", "net.nir", "-o", "net.nir"),
        ("run", "net.nir", "--data", "npz:images.npz", "-o", "images.npz"),
        ("export", "model.py:make", "-o", "model.py"),
        ("export", "plain.nir", "--reset", "subtract", "--v-init", "zero", "-T", 4, "-o", "plain.nir"),
        ("export", "digits-cnn", "--weights", "w.safetensors", "-o", "w.safetensors"),
    ],
)
def test_no_output_replaces_what_the_command_reads(spikec, net, tmp_path, words):
    for name in ("net.nir", "net.json", "plain.nir", "model.py", "w.safetensors"):
        shutil.copy(net, tmp_path / name)
    (tmp_path / "link.nir").symlink_to("net.nir")
    np.savez(tmp_path / "images.npz", x=np.zeros((3, 1, 8, 8), np.float32), y=np.arange(3))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    result = spikec(*words)
    assert result.code == 1
    assert "give the output another name" in result.err or "call it " in result.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [("run", "net.nir", "-o"), ("report", "net.nir", "-o"), ("map", "net.nir", "--svg"), ("netx", "net.nir", "-o")],
)
def test_no_output_replaces_a_device(spikec, tmp_path, words):
    """As root, a file moved over /dev/null would take it from the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    result = spikec(*words, "pipe")
    assert result.code == 1
    assert "pipe is a device or a pipe" in result.err
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(("leads_to", "why"), [("none/file", "does not exist"), ("link", "symbolic links")])
def test_a_link_that_cannot_be_written_behind_is_refused_before_the_work(spikec, tmp_path, leads_to, why):
    (tmp_path / "link").symlink_to(leads_to)
    result = spikec("run", "absent.nir", "-o", "link")
    assert result.code == 1
    assert why in result.err
    assert "internal error" not in result.err


def test_a_trace_is_written_behind_a_link(spikec, net, tmp_path):
    (tmp_path / "link.npz").symlink_to("trace.npz")
    assert spikec("run", net, "--limit", 3, "-o", "link.npz").code == 0
    assert (tmp_path / "link.npz").is_symlink()
    assert len(np.load(tmp_path / "trace.npz")["labels"]) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("run", "net.nir", "--limit", "3", "-o", "out.npz"),
        ("map", "net.nir", "--svg", "out.svg"),
        ("netx", "net.nir", "-o", "out.hdf5"),
        ("export", "digits-cnn", "--calibration", "8", "-o", "out.nir"),
    ],
)
def test_a_full_disk_leaves_the_old_file_and_no_other(net, tmp_path, words):
    """HDF5 ends the process where it cannot write, and left half a file. A process of its own, in which no file may
    grow, stands for a full disk: the limit would hold for the output of the tests too."""
    (tmp_path / "net.nir").symlink_to(net)
    out = tmp_path / words[-1]
    out.write_text("old")
    shell = ["sh", "-c", 'ulimit -f 1; exec "$0" -m spikec "$@"', sys.executable]
    process = subprocess.run([*shell, *words], cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 1
    assert out.name in process.stderr
    assert "File too large" in process.stderr
    assert out.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"net.nir", out.name}


def test_a_network_and_a_file_of_its_name_are_no_conflict(spikec, tmp_path):
    (tmp_path / "digits-cnn").touch()
    assert spikec("export", "digits-cnn", "--calibration", 8, "-o", "digits-cnn.nir").code == 0


def test_a_page_that_is_called_like_its_document_is_refused_before_the_work(spikec):
    result = spikec("report", "absent.nir", "-o", "report.json")
    assert result.code == 1
    assert "report.html" in result.err


@pytest.mark.parametrize(
    ("words", "better"),
    [
        (("export", "digits-cnn", "-o", "net.txt"), "net.nir"),
        (("nir", "repair", "net.nir", "-o", "net.h5"), "net.nir"),
        (("run", "net.nir", "-o", "trace.csv"), "trace.npz"),
        (("map", "net.nir", "--target", "loihi2", "--svg", "map.png"), "map.svg"),
        (("train", "digits-cnn", "-o", "w.pt"), "w.safetensors"),
        (("report", "net.nir", "-o", "report.pdf"), "report.html"),
        (("netx", "net.nir", "-o", "net"), "net.hdf5"),
        (("advise", "digits-cnn", "--svg", "advice.png"), "advice.svg"),
    ],
)
def test_a_file_of_another_suffix_is_refused_with_the_name_it_should_have(spikec, words, better):
    done = spikec(*words)
    assert done.code == 1
    assert better in done.err
    assert not list(Path().iterdir())

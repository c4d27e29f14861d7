"""What the doctor says about deploying a file is what ``spikec export`` does with it."""

import shlex

import numpy as np
import pytest
from helpers.nir_files import conv_net, convolution, f32, full, lif_net, neurons, write

import spikec as tc
from spikec.cli import main

pytestmark = pytest.mark.usefixtures("here")


IMAGES = (3, 8, 8)


def _images_net():
    """A net of three channels, which the command line takes."""
    conv = convolution(IMAGES, f32(4, 3, 3, 3))
    return conv_net(input={"type": "Input", "shape": np.array(IMAGES)}, conv=conv)


def _deploy(path):
    return tc.nir.diagnose(path).deploy


@pytest.mark.parametrize("r", [1.0, 0.5])
def test_the_command_runs(tmp_path, r, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nodes, edges = _images_net()
    nodes["fire"]["r"] = full((4, 8, 8), r)
    path = write(tmp_path / "a file.nir", nodes, edges)
    rng = np.random.default_rng(0)
    np.savez("FILE.npz", x=rng.uniform(0, 1, (20, *IMAGES)).astype("f4"), y=np.arange(20) % 5)
    deploy = _deploy(path)
    assert deploy.obstacles == ()
    assert ("--dt" in deploy.command) == (r != 1)
    values = {"half|zero": "half", "T": "4", "SECONDS": "2"}
    words = [values.get(word, word) for word in shlex.split(deploy.command)]
    assert words[0] == "spikec"
    assert main([*words[1:], "--measure", "0"]) == 0
    assert tc.load("a file-deployed.nir")


def test_sequences_have_a_command_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deploy = _deploy(write(tmp_path / "lif.nir", *lif_net()))
    assert deploy.obstacles == ()
    assert "--v-init" not in deploy.command
    rng = np.random.default_rng(0)
    np.savez("FILE.npz", x=rng.uniform(0, 1, (20, 5, 6)), y=np.arange(20) % 3)
    words = [{"SECONDS": "1"}.get(word, word) for word in shlex.split(deploy.command)]
    assert main([*words[1:], "--measure", "0"]) == 0
    assert tc.load("lif-deployed.nir")


def test_a_probe_asks_for_nothing(tmp_path):
    """A leaky population that nothing reads makes no sequences of images, and needs no length of a step."""
    nodes, edges = _images_net()
    probe = {
        **neurons("LIF", 4),
        **{key: full((4, 8, 8), 2.0) for key in ("tau", "r", "v_leak", "v_threshold", "v_reset")},
    }
    deploy = _deploy(write(tmp_path / "net.nir", {**nodes, "probe": probe}, [*edges, ("fire", "probe")]))
    assert deploy.obstacles == ()
    assert "--v-init" in deploy.command
    assert "--dt" not in deploy.command


def test_short_time_constants_are_no_obstacle(tmp_path):
    nodes, edges = lif_net(lif=neurons("LIF", 5, tau=full(5, 2e-4)), read=neurons("LI", 3, tau=full(3, 1e-3)))
    assert _deploy(write(tmp_path / "lif.nir", nodes, edges)).obstacles == ()


def test_obstacles_are_those_of_the_import(tmp_path):
    nodes, edges = lif_net()
    late = {**nodes, "late": {"type": "Delay", "delay": full(5, 2)}}
    deploy = _deploy(write(tmp_path / "late.nir", late, [*edges, ("rec", "late"), ("late", "lif")]))
    assert any("only spikes and the input can be delayed" in obstacle for obstacle in deploy.obstacles)
    assert "--dt" in deploy.command
    wrong = {**nodes, "head": {"type": "Linear", "weight": f32(3, 4)}}
    (obstacle,) = _deploy(write(tmp_path / "wrong.nir", wrong, edges)).obstacles
    assert obstacle.startswith("head: weights of shape (3, 4)")
    nodes, edges = conv_net()
    grouped = convolution((2, 8, 8), f32(4, 1, 3, 3), groups=2)
    assert _deploy(write(tmp_path / "grouped.nir", {**nodes, "conv": grouped}, edges)).obstacles == ()
    short = {**nodes, "flat": {**nodes["flat"], "start_dim": 1}}
    (obstacle,) = _deploy(write(tmp_path / "flat.nir", short, edges)).obstacles
    assert obstacle.startswith("flat: it flattens axes 1")


def test_a_file_nir_refuses_says_so(tmp_path):
    nodes, edges = lif_net()
    (obstacle,) = _deploy(write(tmp_path / "a.nir", {**nodes, "lif": {"type": "LSTM"}}, edges)).obstacles
    assert "errors come first" in obstacle

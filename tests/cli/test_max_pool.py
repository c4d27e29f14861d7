"""``--max-pool average`` of train and export, from ReLU weights to a deployment; weights without thresholds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spikec.ir import as_integer, load
from spikec.ir.operations import SumPool
from spikec.models import resolve, save_weights
from spikec.models.checkpoints import read_checkpoint

NETWORK = """
import torch.nn.functional as F
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.relu, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        self.b, self.act, self.c = nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Linear(24, 10)
    def forward(self, x):
        x = self.pool(self.relu(self.a(x)))
        return self.c(F.max_pool2d(self.act(self.b(x)), 2).flatten(1))
"""
RECIPE = "data = 'digits'\nthreshold = 2.0\n[fit]\nepochs = 1\nbatch = 64\nlr = 0.05\n"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "r.toml").write_text(RECIPE)
    return tmp_path


def test_train_and_export_with_average_pooling(spikec, place):
    words = ("net.py:Net", "--max-pool", "average")
    trained = spikec("train", *words, "--recipe", "r.toml", "-o", "w.safetensors")
    assert trained.code == 0, trained.err
    assert "2 max pools are an average pool now" in trained.err
    exported = spikec("export", *words, "--weights", "w.safetensors", "--calibration", 32, "-o", "net.nir")
    assert exported.code == 0, exported.err
    graph = as_integer(load("net.nir"))
    assert [p.name for p in graph.populations] == ["relu", "act"]
    assert sum(isinstance(node, SumPool) for node in graph) == 2
    state = read_checkpoint(place / "w.safetensors").states[()]
    assert {"relu.threshold", "act.threshold"} < set(state)


def test_relu_weights_of_a_zoo_network_are_calibrated(spikec, place):
    torch.manual_seed(0)
    save_weights(resolve("digits-cnn", activation=torch.nn.ReLU), Path("relu.safetensors"), {})
    result = spikec("export", "digits-cnn", "--weights", "relu.safetensors", "--calibration", 64, "-o", "net.nir")
    assert result.code == 0, result.err
    thetas = [int(np.max(p.theta)) for p in as_integer(load("net.nir")).populations]
    assert len(thetas) == 4
    assert min(thetas) > 0


def test_unknown_replacement(spikec):
    result = spikec("export", "digits-cnn", "--max-pool", "averag", "-o", "net.nir")
    assert result.code == 1
    assert "did you mean 'average'?" in result.err

"""A conversion method from outside is one class: Python, files and the command line know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.cli import main
from spikec.conversion import METHODS, Method, NeuronSpec, register
from spikec.ir.kinds import SignedIF, kinds


@dataclass(frozen=True)
class HalfNegative(Method):
    """Signed spikes with a negative threshold of half the threshold."""

    share: float = 0.5

    name: ClassVar[str] = "half-negative"
    source: ClassVar[str] = "a test"
    training: ClassVar[str] = "qcfs"

    def neuron(self, levels: int | None) -> NeuronSpec:
        return NeuronSpec(SignedIF(), negative=self.share)


@pytest.fixture
def registered() -> Iterator[type[Method]]:
    yield register(HalfNegative)
    METHODS.pop(HalfNegative.name)


def test_python_converts_with_it(registered):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), tc.ClipFloorShift(4, 1.0), nn.Linear(8, 3)).eval()
    images = torch.rand(20, 6)
    graph = tc.decode(tc.lower(tc.convert(model, registered(timesteps=4), example=images), tc.Int8()))
    (population,) = graph.populations
    assert population.neuron.name in kinds()
    assert (population.neuron.theta_neg == np.maximum(np.rint(0.5 * population.theta), 1)).all()
    assert graph.info["method"] == "half-negative"
    assert tc.simulate(graph, images.numpy()).output.shape == (20, 3)


def test_the_command_line_exports_with_it(registered, tmp_path, capsys):
    out = str(tmp_path / "net.nir")
    words = ["export", "digits-cnn", "--method", "half-negative", "--option", "share=0.25", "-T", "2", "-o", out]
    assert main(words) == 0, capsys.readouterr().err
    graph = tc.decode(tc.load(out))
    assert graph.info["share"] == "0.25"
    assert main(["export", "digits-cnn", "--method", "half-negativ", "-o", out]) == 1
    assert "did you mean 'half-negative'?" in capsys.readouterr().err

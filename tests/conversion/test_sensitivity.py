"""Sensitivity of the output to K of one layer alone, against the same networks run as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.conversion import sensitivity as room
from spikec.conversion.sensitivity import sensitivity, symmetric_divergence
from spikec.models import pretrained
from spikec.models.data import open_dataset

CANDIDATES = (1, 4)


@pytest.fixture(scope="module")
def images():
    return open_dataset("digits", split="train").images(slice(12))


@pytest.fixture(scope="module")
def model():
    return pretrained("digits-cnn")


def softmax(scores):
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def divergence(scores, others):
    """KL both ways, in plain numpy."""
    p, q = (softmax(np.asarray(each, dtype=np.float64)) for each in (scores, others))
    return float((p * np.log(p / q) + q * np.log(q / p)).sum(1).mean())


@pytest.mark.parametrize(
    "method",
    [
        tc.QCFS(2, "layerwise"),
        tc.ErrorCompensation(2, drain=1, offsets="static"),
    ],
    ids=str,
)
def test_one_layer_at_a_time(method, model, images, monkeypatch):
    """``convert`` with K of one layer changed is the same network; only offsets are those of a uniform one."""
    monkeypatch.setattr(room, "_AT_ONCE", 2**17)  # several batches
    with torch.no_grad():
        wanted = model(images).numpy()
    calls = []
    found = sensitivity(model, method, images, CANDIDATES, images, lambda done, total: calls.append((done, total)))
    assert found.layers == ("2", "5", "9", "13")
    assert found.images == len(images)
    assert [done for done, _ in calls] == [*range(1, calls[-1][1] + 1)]
    assert len(calls) > len(found.layers)
    uniform = {
        k: tc.convert(model, replace(method, spikes=k), example=images[:1], calibration=images) for k in CANDIDATES
    }
    for row, layer in enumerate(found.layers):
        for column, k in enumerate(CANDIDATES):
            given = f"*={CANDIDATES[-1]},{layer}={k}"
            network = tc.convert(model, replace(method, spikes=given), example=images[:1], calibration=images)
            for name, neuron in network.neurons.items():
                neuron.offset = uniform[k if name == layer else CANDIDATES[-1]].neurons[name].offset
            sent = []
            for neuron in network.neurons.values():
                neuron.register_forward_hook(
                    lambda _module, _input, output, sent=sent: sent.append(int((output != 0).sum()))
                )
            with torch.no_grad():
                scores = network(images).numpy()
            assert len(sent) == 4
            assert found.divergence[row, column] == pytest.approx(divergence(scores, wanted), rel=1e-4)
            assert found.spikes[row, column] == sum(sent)
    np.testing.assert_array_equal(found.spikes[:, -1], found.full)
    np.testing.assert_array_equal(found.costs(), found.spikes - found.full)


def test_the_divergence():
    scores = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    others = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]])
    first, second = symmetric_divergence(scores, others).tolist()
    assert first == 0
    p, q = softmax(np.array([[3.0, 0, 0]]))[0], softmax(np.array([[0, 0, 3.0]]))[0]
    assert second == pytest.approx(float(((p - q) * (np.log(p) - np.log(q))).sum()))


def test_values_after_a_skip_are_kept(images):
    """What does not depend on the layer is not run again, what does is: also past a sum."""

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.c = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.Linear(192, 4)

        def forward(self, x):
            a = self.a(x).relu()
            return self.c((self.b(a).relu() + a).flatten(1))

    model = Skip().eval()
    found = sensitivity(model, tc.QCFS(2), images, (1, 4), images)
    for row, layer in enumerate(found.layers):
        network = tc.convert(model, tc.QCFS(2, spikes=f"*=4,{layer}=1"), example=images[:1], calibration=images)
        with torch.no_grad():
            assert found.divergence[row, 0] == pytest.approx(divergence(network(images), model(images)), rel=1e-4)


def test_one_output_has_no_classes(images):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU(), nn.Linear(3, 1)).eval()
    with pytest.raises(tc.ConversionError, match="one output only"):
        sensitivity(model, tc.QCFS(2), images, (1, 2), images)

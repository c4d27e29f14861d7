"""Surrogate gradients of the neurons, and initial membranes tuned through them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.conversion.offsets import tuned

_IMAGES = torch.rand(200, 2, 6, 6, generator=torch.Generator().manual_seed(1))
_OTHERS = torch.rand(200, 2, 6, 6, generator=torch.Generator().manual_seed(2))


def _network():
    torch.manual_seed(0)
    layers = []
    for inputs in (2, 8, 8):
        layers += [nn.Conv2d(inputs, 8, 3, padding=1), tc.ClipFloorShift(8, 0.4)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(288, 4)).eval()


def _divergence(spiking, ann, images):
    with torch.no_grad():
        found, wanted = (F.log_softmax(model(images), 1) for model in (spiking, ann))
    return float(F.kl_div(found, wanted, log_target=True, reduction="batchmean"))


@pytest.mark.parametrize(
    ("static", "tuned"),
    [
        (tc.OffsetSpikes(timesteps=2, mode="static"), tc.OffsetSpikes(timesteps=2, mode="tuned")),
        (
            tc.ErrorCompensation(timesteps=2, offsets="static"),
            tc.ErrorCompensation(timesteps=2, offsets="tuned"),
        ),
    ],
    ids=lambda m: m.name,
)
def test_tuning_brings_the_outputs_closer_on_other_images_and_is_repeatable(static, tuned):
    ann = _network()
    matched, first, second = (
        tc.convert(ann, method, example=_IMAGES[:2], calibration=_IMAGES) for method in (static, tuned, tuned)
    )
    assert _divergence(first, ann, _OTHERS) < _divergence(matched, ann, _OTHERS)
    for a, b in zip(first.neurons.values(), second.neurons.values(), strict=True):
        assert torch.equal(a.offset, b.offset)
        assert not a.offset.requires_grad
    unlike = {n for n, value in matched.state_dict().items() if not torch.equal(value, first.state_dict()[n])}
    assert len(unlike) == 3
    assert all(name.endswith("offset") for name in unlike)
    graph = tc.decode(tc.lower(first))
    assert all(p.v_init.std() > 0 for p in graph.populations)


@pytest.mark.parametrize(
    "method",
    [
        tc.QCFS(timesteps=3),
        tc.QCFS(timesteps=3, schedule="layerwise"),
        tc.ErrorCompensation(timesteps=3),
        tc.ErrorCompensation(timesteps=3, drain=2),
        tc.OffsetSpikes(timesteps=3, rho=2),
        tc.ErrorFree(timesteps=3),
        tc.Graded(),
        tc.SRP(timesteps=3),
    ],
    ids=lambda m: f"{m.name} {m.schedule} {getattr(m, 'drain', 0)}",
)
def test_every_network_passes_gradients_to_its_input(method):
    spiking = tc.convert(_network(), method, example=_IMAGES[:2])
    images = _IMAGES[:3].clone().requires_grad_()
    spiking(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    with torch.no_grad():
        assert torch.equal(spiking(images.detach()), spiking(images.detach()))


def test_the_surrogate_is_a_triangle_of_one_threshold():
    neuron = tc.convert(_network(), tc.QCFS(timesteps=1), example=_IMAGES[:2]).neurons["1"]
    x = torch.linspace(-1, 1.5, 26).reshape(26, 1, 1, 1).requires_grad_()
    neuron(x).sum().backward()
    threshold = float(neuron.threshold)
    distance = (x.detach() + threshold / 2) / threshold - 1
    torch.testing.assert_close(x.grad, (1 - distance.abs()).clamp(min=0))


def test_a_tenth_of_the_images_decides_and_the_rest_stays_as_trained(monkeypatch):
    """Steps far too large make it worse on the images held out: then the static offsets stay, where tuning starts."""
    seen = []
    evaluate = tuned._evaluate
    monkeypatch.setattr(tuned, "_evaluate", lambda n, x, s: (seen.append(x), evaluate(n, x, s))[1])
    monkeypatch.setattr(tuned, "_RATE", 50.0)
    monkeypatch.setattr(tuned, "_STEPS", 2)
    ann = _network()
    static, found = (
        tc.convert(ann, tc.OffsetSpikes(2, mode=mode), example=_IMAGES[:2], calibration=_IMAGES[:50])
        for mode in ("static", "tuned")
    )
    assert [len(images) for images in seen] == [5, 5]
    assert torch.equal(seen[0], _IMAGES[45:50])
    for name, value in static.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name
    assert any(neuron.offset.any() for neuron in found.neurons.values())

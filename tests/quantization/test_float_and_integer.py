"""The integer network against the float spiking network: equal on the grid, close with rounded weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc


class _Residual(nn.Module):
    def __init__(self, levels):
        super().__init__()
        self.stem, self.body = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.first, self.second, self.third = (tc.ClipFloorShift(levels, t) for t in (1.0, 2.0, 1.0))
        self.hidden, self.classes = nn.Linear(96, 12), nn.Linear(12, 4)

    def forward(self, x):
        x = self.first(self.stem(x))
        x = self.second(self.body(x) + x)
        return self.classes(self.third(self.hidden(torch.nn.functional.avg_pool2d(x, 2).flatten(1))))


def _on_the_grid(levels):
    """Weights that are int8 mantissas times a power of two, with 127 among them in every output channel.

    The identity of the skip is 128 units of its layer; thresholds and biases are whole numbers of membrane units.
    """
    torch.manual_seed(5)
    network = _Residual(levels).eval()
    with torch.no_grad():
        for layer, unit in (
            (network.stem, 2**-8), (network.body, 2**-7), (network.hidden, 2**-8), (network.classes, 2**-8)
        ):  # fmt: skip
            largest = layer.weight.abs().flatten(1).amax(1).reshape(-1, *([1] * (layer.weight.ndim - 1)))
            weight = torch.round(layer.weight / largest * 127)
            layer.weight.copy_(weight * unit)
            layer.bias.copy_(torch.round(layer.bias * 40) * unit)
    return network


_SIXTEENTHS = torch.randint(0, 17, (16, 2, 8, 8), generator=torch.Generator().manual_seed(1)) / 16

_METHODS = [
    tc.QCFS(timesteps=5),
    tc.QCFS(timesteps=4, schedule="layerwise"),
    tc.ErrorCompensation(timesteps=4, drain=3),
    tc.ErrorCompensation(timesteps=4, negative=0.5),
    tc.QCFS(timesteps=4, spikes=4),
    tc.QCFS(timesteps=2, spikes=2, schedule="layerwise"),
    tc.ErrorCompensation(timesteps=4, drain=3, spikes=2),
    tc.ErrorCompensation(timesteps=2, negative=0.5, spikes=4),
    tc.Graded(),
    tc.Graded(levels=16),
]


@pytest.mark.parametrize("per", ["layer", "channel"])
@pytest.mark.parametrize("method", _METHODS, ids=lambda m: f"{m.name}-{m.schedule}-{m.resolution(4)}")
def test_weights_on_the_grid_give_the_float_network_exactly(method, per):
    spiking = tc.convert(_on_the_grid(levels=4), method, example=_SIXTEENTHS)
    graph = tc.lower(spiking, tc.Int8(per=per))
    trace = tc.simulate(graph, _SIXTEENTHS)
    expected = spiking.counts(_SIXTEENTHS)
    for name, counts in expected.items():
        differing = int((torch.as_tensor(trace.counts[name]) != counts).sum())
        assert differing == 0, f"{name}: {differing} of {counts.numel()}"
    np.testing.assert_allclose(trace.logits, spiking(_SIXTEENTHS).detach().numpy(), rtol=1e-5, atol=1e-5)


def _random(levels=4):
    torch.manual_seed(7)
    network = _Residual(levels).eval()
    with torch.no_grad():
        for layer in (network.stem, network.body, network.hidden):
            layer.weight.mul_(2.5)
    return network


_PIXELS = torch.randint(0, 256, (64, 2, 8, 8), generator=torch.Generator().manual_seed(2)) / 255


@pytest.mark.parametrize("per", ["layer", "channel"])
@pytest.mark.parametrize(
    "method",
    [
        tc.QCFS(timesteps=4),
        tc.QCFS(timesteps=4, schedule="layerwise"),
        tc.OffsetSpikes(timesteps=4, rho=4),
        tc.OffsetSpikes(timesteps=4, mode="static"),
        tc.ErrorCompensation(timesteps=4, drain=2),
        tc.QCFS(timesteps=2, spikes=3),
        tc.ErrorCompensation(timesteps=2, drain=2, spikes=2, offsets="static"),
        tc.ErrorFree(timesteps=3),
        tc.Graded(),
    ],
    ids=lambda m: f"{m.name}-{m.schedule}-{m.resolution(4)}",
)
def test_rounded_weights_change_few_counts(method, per):
    """8-bit weights move a current by some thousandths: few neurons sit so close to an edge."""
    spiking = tc.convert(_random(), method, example=_PIXELS, calibration=_PIXELS)
    trace = tc.simulate(tc.lower(spiking, tc.Int8(per=per)), _PIXELS)
    for name, counts in spiking.counts(_PIXELS).items():
        if method.name == "error-free":
            continue  # the float network carries levels, the integer one their bits
        expected = counts.numpy()
        assert expected.any()
        differing = (trace.counts[name] != expected).mean()
        assert differing < 0.06, f"{name}: {differing:.1%}"
        assert abs(float(trace.counts[name].mean() - expected.mean())) < 0.02 * max(float(expected.mean()), 0.1)
    logits = spiking(_PIXELS).detach().numpy()
    assert np.abs(trace.logits - logits).mean() < 0.1 * np.abs(logits).mean()
    assert (trace.logits.argmax(1) == logits.argmax(1)).mean() > 0.9


def test_fewer_bits_change_more_counts():
    spiking = tc.convert(_random(), tc.QCFS(timesteps=4), example=_PIXELS)
    expected = spiking.counts(_PIXELS)
    changed = []
    for bits in (8, 6, 4, 2):
        trace = tc.simulate(tc.lower(spiking, tc.Int8(bits=bits)), _PIXELS)
        changed.append(sum(int((trace.counts[n] != c.numpy()).sum()) for n, c in expected.items()))
    assert changed == sorted(changed)
    assert changed[0] < changed[-1] / 10


def test_bits_of_single_layers_can_be_narrowed():
    spiking = tc.convert(_random(), tc.QCFS(timesteps=4), example=_PIXELS)
    graph = tc.decode(tc.lower(spiking, tc.Int8(overrides={"first": 4, "third": 3})))
    reach = {node.name: int(np.abs(node.weight >> node.weight_exp).max()) for node in graph.synapses}
    assert reach["stem"] <= 7
    assert reach["hidden"] <= 3
    assert 64 <= reach["body"] <= 127


def test_overrides_name_layers_with_weights_too():
    spiking = tc.convert(_random(), tc.QCFS(timesteps=4), example=_PIXELS)
    graph = tc.decode(tc.lower(spiking, tc.Int8(overrides={"*": 5, "stem": 4, "classes": 3})))
    reach = {node.name: int(np.abs(node.weight >> node.weight_exp).max()) for node in graph.synapses}
    assert reach["stem"] <= 7
    assert reach["classes"] <= 3
    assert 8 <= reach["body"] <= 15
    with pytest.raises(
        tc.ConversionError, match=r"override 'classifier\.\*' is the name of no layer; layers: stem, first"
    ):
        tc.lower(spiking, tc.Int8(overrides={"classifier.*": 6}))
    with pytest.raises(tc.ConversionError, match="override first: bits must be a whole number between 2 and 8, not 9"):
        tc.Int8(overrides={"first": 9})

"""Thresholds of plain ReLU networks: the clip of least squared error, against trying every clip on every value."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.conversion.thresholds import best_clip, calibrate
from spikec.frontend import canonicalize


def _squared_error(values, clip, levels):
    """Sum over the values of the squared difference between ReLU and its quantised, clipped form."""
    rectified = np.maximum(values, 0)
    quantised = clip / levels * np.clip(np.floor(values * levels / clip + 0.5), 0, levels)
    return ((rectified - quantised) ** 2).sum()


def _smallest_error(values, levels):
    return min(_squared_error(values, clip, levels) for clip in values.max() * np.arange(1, 1001) / 1000)


_SAMPLES = {
    "half normal": lambda rng: rng.normal(0, 1, 4000),
    "exponential": lambda rng: rng.exponential(1, 4000),
    "outlier": lambda rng: np.append(rng.uniform(0, 1, 4000), 30.0),
    "uniform": lambda rng: rng.uniform(0, 2, 4000),
    "mostly silent": lambda rng: np.where(rng.random(4000) < 0.95, -1, rng.exponential(3, 4000)),
}


@pytest.mark.parametrize("levels", [1, 2, 4, 16, 64])
@pytest.mark.parametrize("name", _SAMPLES)
def test_clip_has_the_least_squared_error(name, levels):
    values = _SAMPLES[name](np.random.default_rng(0)).astype(np.float32)
    peak = float(values.max())
    counts, _ = np.histogram(values[values > 0], 2048, (0, peak))
    clip = best_clip(counts.astype(np.float64), peak, levels)
    assert 0 < clip <= peak
    assert _squared_error(values, clip, levels) <= 1.02 * _smallest_error(values, levels) + 1e-3


def test_an_outlier_does_not_set_the_threshold():
    counts = np.zeros(2048)
    counts[:68], counts[-1] = 1000, 1
    assert best_clip(counts, 30.0, 4) < 2.0


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(12, 2))


@pytest.mark.parametrize("levels", [2, 8])
def test_calibration_looks_at_every_value_of_every_image(levels):
    images = torch.randn(150, 2, 6, 6, generator=torch.Generator().manual_seed(2))  # more than one batch
    network = _network().eval()
    found = calibrate(canonicalize(network, images[:2]), images, {"1": levels, "3": levels})
    with torch.no_grad():
        first = network[0](images)
        second = network[2](network[1](first))
    for name, values in (("1", first), ("3", second)):
        values = values.numpy().reshape(-1)
        assert _squared_error(values, found[name], levels) <= 1.02 * _smallest_error(values, levels)


def test_an_upper_bound_caps_the_threshold():
    images = 40 * torch.randn(20, 2, 6, 6, generator=torch.Generator().manual_seed(2))
    found = calibrate(canonicalize(_network().eval(), images[:2]), images, {"1": 4, "3": 4})
    assert found["3"] <= 6.0
    assert found["1"] > 6.0


def test_more_levels_afford_a_larger_clip():
    images = torch.randn(50, 2, 6, 6, generator=torch.Generator().manual_seed(2))

    def thresholds(method):
        spiking = tc.convert(_network().eval(), method, example=images[:4], calibration=images)
        return [float(neuron.threshold) for neuron in spiking.neurons.values()]

    assert thresholds(tc.QCFS(timesteps=2)) == thresholds(tc.Graded(levels=2))
    assert thresholds(tc.QCFS(timesteps=15)) == thresholds(tc.ErrorFree(timesteps=4))
    assert thresholds(tc.QCFS(timesteps=2))[0] < thresholds(tc.QCFS(timesteps=64))[0]


def test_a_layer_that_never_fires_is_named():
    network = _network().eval()
    with torch.no_grad():
        network[0].bias.fill_(-100)
    images = torch.rand(5, 2, 6, 6)
    with pytest.raises(
        tc.ConversionError,
        match=r"^layer 1 is never positive on the 5 calibration images, so it has no threshold; use more or other",
    ):
        tc.convert(network, tc.QCFS(timesteps=4), example=images, calibration=images)


def test_missing_calibration_images_are_warned_about():
    images = torch.rand(5, 2, 6, 6)
    with pytest.warns(
        UserWarning, match=r"^thresholds of 2 ReLU layers come from the 5 example images; pass calibra"
    ) as seen:
        tc.convert(_network().eval(), tc.QCFS(timesteps=4), example=images)
    assert seen[0].filename == __file__


def test_trained_thresholds_need_no_calibration(recwarn):
    network = nn.Sequential(nn.Conv2d(2, 4, 3), tc.ClipFloorShift(4, 0.7), nn.Flatten(), nn.Linear(64, 2)).eval()
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=torch.rand(2, 2, 6, 6))
    assert [float(n.threshold) for n in spiking.neurons.values()] == pytest.approx([0.7])
    assert not recwarn.list


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")])
def test_trained_thresholds_must_be_positive(threshold):
    activation = tc.ClipFloorShift(4, 1.0)
    activation.threshold.data.fill_(threshold)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), activation, nn.Flatten(), nn.Linear(64, 2)).eval()
    with pytest.raises(tc.ConversionError):
        tc.convert(network, tc.QCFS(timesteps=4), example=torch.rand(2, 2, 6, 6))


def test_thresholds_per_neuron_are_refused():
    activation = tc.ClipFloorShift(4, 1.0)
    activation.threshold = nn.Parameter(torch.ones(1, 4, 4, 4))
    network = nn.Sequential(nn.Conv2d(2, 4, 3), activation, nn.Flatten(), nn.Linear(64, 2)).eval()
    with pytest.raises(
        tc.UnsupportedOperation, match="layer 1: 64 thresholds for 4 channels: give one, or one per channel"
    ):
        tc.convert(network, tc.QCFS(timesteps=4), example=torch.rand(2, 2, 6, 6))

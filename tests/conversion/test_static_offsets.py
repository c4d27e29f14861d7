"""Initial membranes from calibration images: mean rates approach mean activations, layer after layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.conversion.offsets.static import activation_means, match_means
from spikec.frontend import canonicalize

_IMAGES = torch.rand(100, 2, 6, 6, generator=torch.Generator().manual_seed(1))
_OTHERS = torch.rand(100, 2, 6, 6, generator=torch.Generator().manual_seed(2))


def _network():
    torch.manual_seed(0)
    layers = []
    for inputs in (2, 8, 8):
        layers += [nn.Conv2d(inputs, 8, 3, padding=1), tc.ClipFloorShift(16, 0.4)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(288, 4)).eval()


def _rate_errors(spiking, ann, images):
    """Mean absolute difference of mean rate and mean activation, per layer."""
    names = list(spiking.neurons)
    means = activation_means(canonicalize(ann, images[:2]), names, images)
    counts = spiking.counts(images)
    return [
        float((counts[n].mean(0) * spiking.neurons[n].threshold / spiking.timesteps - means[n]).abs().mean())
        for n in names
    ]


def test_means_are_those_of_the_network():
    ann, seen = _network(), []
    ann[3].register_forward_hook(lambda m, i, y: seen.append(y))
    with torch.no_grad():
        ann(_IMAGES)
    means = activation_means(canonicalize(ann, _IMAGES[:2]), ["1", "3"], _IMAGES)
    torch.testing.assert_close(means["3"], seen[0].mean(0))
    assert list(means) == ["1", "3"]


@pytest.mark.parametrize(
    "methods",
    [
        (tc.QCFS(timesteps=2), tc.OffsetSpikes(timesteps=2, mode="static")),
        (tc.ErrorCompensation(timesteps=2), tc.ErrorCompensation(timesteps=2, offsets="static")),
    ],
    ids=lambda m: m[1].name,
)
def test_offsets_bring_mean_rates_closer_also_on_other_images(methods):
    ann = _network()
    plain, static = (tc.convert(ann, method, example=_IMAGES, calibration=_IMAGES) for method in methods)
    for images in (_IMAGES, _OTHERS):
        before, after = _rate_errors(plain, ann, images), _rate_errors(static, ann, images)
        assert all(a < b for a, b in zip(after, before, strict=True)), (before, after)


def test_offsets_stay_within_a_threshold_per_pass_and_reach_the_file():
    ann = _network()
    static = tc.convert(ann, tc.OffsetSpikes(timesteps=2, mode="static"), example=_IMAGES, calibration=_IMAGES)
    graph = tc.decode(tc.lower(static))
    for population in graph.populations:
        neuron = static.neurons[population.name]
        assert neuron.offset.shape == population.shape
        assert float(neuron.offset.abs().max()) <= 2 * float(neuron.threshold) + 1e-6
        assert neuron.offset.std() > 0
        unit = float(neuron.threshold) / population.theta
        expected = population.theta // 2 + np.rint(neuron.offset.double().numpy() / unit).astype(np.int64)
        np.testing.assert_array_equal(population.v_init, expected)


def test_offsets_stay_within_the_threshold_of_their_own_channel():
    """Thresholds per channel: a channel of a small one moves no further than that, however large the others are."""
    ann = _network()
    thresholds = torch.tensor([0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
    ann[3].threshold = nn.Parameter(thresholds[:, None, None])
    network = tc.convert(ann, tc.QCFS(timesteps=2), example=_IMAGES)
    out_of_reach = {name: torch.full((8, 6, 6), 10.0) for name in network.neurons}
    match_means(network, _IMAGES, out_of_reach)
    torch.testing.assert_close(network.neurons["3"].offset, 2 * thresholds[:, None, None].expand(8, 6, 6))


def test_calibration_is_repeatable():
    first, second = (
        tc.convert(_network(), tc.OffsetSpikes(2, mode="static"), example=_IMAGES, calibration=_OTHERS)
        for _ in range(2)
    )
    for a, b in zip(first.neurons.values(), second.neurons.values(), strict=True):
        assert torch.equal(a.offset, b.offset)


def test_the_warning_says_how_many_example_images_are_used():
    images = torch.rand(1001, 2, 6, 6)
    with pytest.warns(UserWarning, match="^initial membranes come from the 1000 example images"):
        tc.convert(_network(), tc.OffsetSpikes(timesteps=2, mode="static"), example=images)


def test_offsets_from_the_example_images_come_with_a_warning():
    with pytest.warns(UserWarning, match="^initial membranes come from the 5 example images; pass calibration") as seen:
        tc.convert(_network(), tc.OffsetSpikes(timesteps=2, mode="static"), example=_IMAGES[:5])
    assert seen[0].filename == __file__

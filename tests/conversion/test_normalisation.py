"""A normalisation that the images lack is found by the running statistics of the first batch norm."""

import warnings

import pytest
import torch
from torch import nn

import spikec as tc
from spikec.conversion.normalisation import normalisation_warning
from spikec.errors import InputWarning


def pixels(number=64, channels=3, seed=0):
    """Smooth images in [0, 1], as different in brightness as photographs."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(number, channels, 4, 4, generator=rng)
    smooth = nn.functional.interpolate(coarse, size=12, mode="bilinear")
    return (smooth * (0.4 + 0.6 * torch.rand(number, 1, 1, 1, generator=rng))).clamp(0, 1)


_CHANGES = {
    "standardised": lambda x: (x - 0.4) / 0.22,
    "halves": lambda x: (x - 0.5) / 0.5,
    "0 to 255": lambda x: x * 255,
}


def trained(images, seed=0):
    """A network whose batch norms have the statistics of ``images``."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(images.shape[1], 16, 3), nn.BatchNorm2d(16, momentum=None), nn.ReLU(),
        nn.Conv2d(16, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip
    with torch.no_grad():
        for part in images.split(16):
            model(part)
    return model.eval()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("change", _CHANGES)
def test_a_missing_normalisation_is_found(change, seed):
    model = trained(_CHANGES[change](pixels(256)), seed)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    assert normalisation_warning(model, _CHANGES[change](pixels(seed=1))) is None
    found = normalisation_warning(model, pixels(seed=1))
    assert found is not None
    assert "its first batch norm, 1," in found
    assert "would fit" in found
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("change", _CHANGES)
def test_a_normalisation_too_many_is_found(change):
    assert normalisation_warning(trained(pixels(256)), _CHANGES[change](pixels(seed=1))) is not None


def test_says_nothing_without_statistics():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    for images in (pixels(), pixels() * 255):
        assert normalisation_warning(model, images) is None  # as it was made, not trained
        assert normalisation_warning(model[:1], images) is None
    assert normalisation_warning(trained(pixels() * 255), pixels()[:4]) is None  # too few


def test_modules_keep_their_modes():
    model = trained(pixels() * 255)
    model[4].train()
    before = model[4].running_mean.clone()
    normalisation_warning(model, pixels())
    assert model[4].training
    assert not model[1].training
    assert torch.equal(model[4].running_mean, before)


def test_conversion_says_it():
    images, model = pixels(seed=1), trained(_CHANGES["standardised"](pixels(256)))
    with pytest.warns(InputWarning, match="unlike those the network was trained on"):
        tc.convert(model, tc.QCFS(timesteps=4), example=images[:2], calibration=images)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        tc.convert(model, tc.QCFS(timesteps=4), example=images[:2], calibration=_CHANGES["standardised"](images))

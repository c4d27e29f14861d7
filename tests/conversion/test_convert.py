"""The verb ``convert``: what it leaves alone, what it refuses, how it codes the input, and lossless conversion."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc


def _network(levels=4):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        tc.ClipFloorShift(levels, 0.7),
        nn.AvgPool2d(2),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(36, 3),
    )


_IMAGES = torch.rand(5, 2, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True])
def test_the_network_is_left_as_it_is(training):
    network = _network().train(training)
    state, modules = copy.deepcopy(network.state_dict()), dict(network.named_modules())
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES)
    spiking(_IMAGES)
    tc.lower(spiking)
    assert network.training == training
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert dict(network.named_modules()) == modules
    assert modules["2"].levels == 4
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_later_changes_of_the_network_do_not_reach_the_converted_one():
    network = _network().eval()
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES)
    before = spiking(_IMAGES)
    for parameter in network.parameters():
        parameter.data.zero_()
    assert torch.equal(spiking(_IMAGES), before)


def _dyadic(levels):
    """A residual network whose every number is a multiple of a power of two: float32 adds without rounding."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.body = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.first, self.second, self.third = (tc.ClipFloorShift(levels, t) for t in (1.0, 2.0, 0.5))
            self.hidden, self.classes = nn.Linear(36, 8), nn.Linear(8, 3)

        def forward(self, x):
            x = self.first(self.stem(x))
            x = self.second(self.body(x) + x)
            return self.classes(self.third(self.hidden(torch.nn.functional.avg_pool2d(x, 2).flatten(1))))

    torch.manual_seed(3)
    network = Residual().eval()
    with torch.no_grad():
        for parameter in (p for n, p in network.named_parameters() if "threshold" not in n):
            parameter.copy_(torch.round(parameter * 48) / 16)
    return network


_SIXTEENTHS = torch.randint(0, 17, (6, 2, 6, 6), generator=torch.Generator().manual_seed(1)) / 16


@pytest.mark.parametrize(
    ("levels", "method"),
    [
        (4, tc.QCFS(timesteps=4, schedule="layerwise")),
        (8, tc.QCFS(timesteps=8, schedule="layerwise")),
        (4, tc.ErrorCompensation(timesteps=4, schedule="layerwise")),
        (4, tc.Graded()),
        (8, tc.Graded()),
        (1, tc.ErrorFree(timesteps=1)),
    ],
)
def test_lossless_methods_give_the_levels_of_the_network(levels, method):
    """Identity P5 for a whole network: every neuron's count is its activation's level, the logits are equal."""
    network = _dyadic(levels)
    seen = {}
    for name in ("first", "second", "third"):
        layer = getattr(network, name)
        layer.register_forward_hook(
            lambda m, _, y, name=name: seen.__setitem__(name, torch.round(y * levels / m.threshold))
        )
    spiking = tc.convert(network, method, example=_SIXTEENTHS)
    with torch.no_grad():
        expected = network(_SIXTEENTHS)
    assert any(0 < float(level.mean()) < levels for level in seen.values())
    for name, counts in spiking.counts(_SIXTEENTHS).items():
        assert torch.equal(counts, seen[name])
    assert torch.equal(spiking(_SIXTEENTHS), expected)


def test_pipelined_network_approaches_the_network():
    network = _dyadic(4)
    with torch.no_grad():
        expected = network(_SIXTEENTHS)
    errors = []
    for timesteps in (2, 16, 256):
        plain = copy.deepcopy(network)
        for layer in (plain.first, plain.second, plain.third):
            layer.levels = 1024
        with torch.no_grad():
            clipped = plain(_SIXTEENTHS)
        found = tc.convert(plain, tc.QCFS(timesteps=timesteps), example=_SIXTEENTHS)(_SIXTEENTHS)
        errors.append(float((found - clipped).abs().mean() / expected.abs().mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


_CODINGS = {
    "8-bit pixels": (torch.arange(0, 256).float() / 255, "uint8", 1 / 255),
    "few of 256 levels": (torch.tensor([0.0, 3 / 255, 77 / 255]), "uint8", 1 / 255),
    "black and white": (torch.tensor([0.0, 1.0]), "uint8", 1 / 255),
    "sixteenths": (torch.arange(0, 17) / 16, "uint8", 1 / 16),
    "fifteenths": (torch.arange(0, 16) / 15, "uint8", 1 / 255),
    "raw pixels": (torch.arange(0, 256).float(), "uint8", 1.0),
    "small integers": (torch.tensor([0.0, 1.0, 16.0]), "uint8", 1 / 15),
    "real values up to one": (torch.tensor([0.0, 0.123456, 0.9]), "uint8", 1 / 255),
    "real values beyond one": (torch.tensor([0.0, 0.123456, 5.1]), "uint8", 5.1 / 255),
    "small real values": (torch.tensor([0.0, 0.0123456, 0.1]), "uint8", 0.1 / 255),
    "tiny real values": (torch.tensor([0.0, 1e-5, 4e-4]), "uint8", 4e-4 / 255),
    "normalised": (torch.tensor([-2.0, 0.5, 2.54]), "int8", 2.54 / 127),
    "negative only": (torch.tensor([-1.27, -0.5]), "int8", 0.01),
    "nothing": (torch.zeros(3), "uint8", 1 / 255),
}


@pytest.mark.parametrize("name", _CODINGS)
def test_input_coding(name):
    values, dtype, scale = _CODINGS[name]
    images = values[torch.arange(5 * 72) % len(values)].reshape(5, 2, 6, 6)
    coding = tc.convert(_network().eval(), tc.QCFS(timesteps=4), example=images).input_range
    assert coding.dtype == dtype
    assert coding.scale == pytest.approx(scale)


def test_calibration_images_take_part_in_the_input_coding():
    coding = tc.convert(_network().eval(), tc.QCFS(4), example=_IMAGES, calibration=3 * _IMAGES - 1).input_range
    assert coding.dtype == "int8"
    assert coding.scale == pytest.approx(float((3 * _IMAGES - 1).abs().max()) / 127)


@pytest.mark.parametrize("kind", [np.float64, np.float32, "list"])
def test_images_may_be_arrays(kind):
    images = _IMAGES.tolist() if kind == "list" else _IMAGES.numpy().astype(kind)
    expected = tc.convert(_network().eval(), tc.QCFS(timesteps=4), example=_IMAGES)(_IMAGES)
    assert torch.equal(tc.convert(_network().eval(), tc.QCFS(timesteps=4), example=images)(_IMAGES), expected)


_NOT_NUMBERS = _IMAGES.clone()
_NOT_NUMBERS[1, 0, 2, 3] = torch.nan

_EXAMPLES = {
    "no batch axis": (_IMAGES[0], tc.ConversionError, r"the network fails on example images of shape \(2, 6, 6\) at"),
    "one axis": (_IMAGES[0, 0, 0], tc.DataError, r"example must hold images \[N, C, H, W\], its shape is \(6,\)"),
    "no images": (_IMAGES[:0], tc.DataError, r"example must hold images \[N, C, H, W\], its shape is \(0, 2, 6, 6\)"),
    "no pixels": (_IMAGES[:, :, :0], tc.DataError, r"example must hold images \[N, C, H, W\], its shape is \(5, 2, 0"),
    "not finite": (_NOT_NUMBERS, tc.DataError, "example holds values that are not finite"),
    "integers": (
        (_IMAGES * 255).to(torch.uint8),
        tc.DataError,
        "example has dtype torch.uint8; give images as floats in the units the network was trained with",
    ),
    "ragged": ([[1.0], [1.0, 2.0]], tc.DataError, r"example must be an array or tensor of images \[N, C, H, W\]"),
    "nothing": (None, tc.DataError, r"example must be an array or tensor of images \[N, C, H, W\]"),
    "words": ("images", tc.DataError, r"example must be an array or tensor of images \[N, C, H, W\]"),
    "sparse": (_IMAGES.to_sparse(), tc.DataError, "example is a sparse coo tensor; give a dense one"),
    "no values": (_IMAGES.to("meta"), tc.DataError, "example is a meta tensor; give a dense one"),
    "channels last": (
        _IMAGES.permute(0, 2, 3, 1),
        tc.ConversionError,
        r"the network fails on example images of shape \(2, 6, 6, 2\) at layer 0: Given groups=1, weight of size",
    ),
}


@pytest.mark.parametrize("name", _EXAMPLES)
def test_examples_that_are_no_images_are_refused(name):
    example, error, message = _EXAMPLES[name]
    with pytest.raises(error, match=f"^{message}"):
        tc.convert(_network().eval(), tc.QCFS(timesteps=4), example=example)


def test_calibration_images_of_another_shape_are_refused():
    with pytest.raises(tc.DataError, match=r"^calibration has images of shape \(2, 5, 6\), example \(2, 6, 6\)$"):
        tc.convert(_network().eval(), tc.QCFS(4), example=_IMAGES, calibration=_IMAGES[:, :, 1:])


@pytest.mark.parametrize("method", [tc.QCFS, "qcfs"])
def test_what_is_no_method_is_refused(method):
    with pytest.raises(
        tc.ConversionError, match=r"^expected a method such as tc\.QCFS\(timesteps=4\), got (<class|'qcfs')"
    ):
        tc.convert(_network().eval(), method, example=_IMAGES)


@pytest.mark.parametrize("method", [tc.QCFS(2), tc.OffsetSpikes(2, mode="tuned")], ids=str)
def test_inference_mode_around_it_changes_nothing(method):
    network = _network(levels=4).eval()
    expected = tc.convert(network, method, example=_IMAGES, calibration=_IMAGES)
    with torch.inference_mode():
        converted = tc.convert(network, method, example=_IMAGES, calibration=_IMAGES)
    assert torch.equal(converted(_IMAGES), expected(_IMAGES))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_other_precisions_are_converted_from_their_values(dtype):
    network = _network(levels=4).to(dtype).eval()
    converted = tc.convert(network, tc.QCFS(2), example=_IMAGES)
    expected = tc.convert(copy.deepcopy(network).float(), tc.QCFS(2), example=_IMAGES)
    assert torch.equal(converted(_IMAGES), expected(_IMAGES))
    assert converted.provenance.source_sha256 != expected.provenance.source_sha256


@pytest.mark.parametrize(
    "of",
    [
        tc.QCFS,
        tc.ErrorFree,
        lambda t: tc.ErrorCompensation(t, drain=t, negative=t / 8),
        lambda t: tc.OffsetSpikes(4, rho=t),
    ],
)
def test_numbers_of_numpy_are_those_of_python(of):
    plain, narrow = (tc.lower(tc.convert(_network(), of(t), example=_IMAGES)) for t in (4, np.int8(4)))
    expected, found = (tc.simulate(graph, _IMAGES) for graph in (plain, narrow))
    assert tc.compare(expected, found) is None


@pytest.mark.parametrize("images", [None, _IMAGES.numpy(), _IMAGES.long(), _IMAGES[0], _IMAGES[:0], _IMAGES[:, :1]])
def test_the_converted_network_takes_images(images):
    spiking = tc.convert(_network(), tc.QCFS(timesteps=2), example=_IMAGES)
    for call in (spiking, spiking.counts):
        with pytest.raises(tc.DataError, match="the network takes"):
            call(images)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_images_of_other_precisions_are_computed_in_its_own(dtype):
    spiking = tc.convert(_network(), tc.QCFS(timesteps=2), example=_IMAGES)
    images = _IMAGES.to(dtype)
    assert torch.equal(spiking(images), spiking(images.float()))


def test_only_modules_are_converted():
    with pytest.raises(tc.ConversionError, match=r"expected a torch\.nn\.Module, got function"):
        tc.convert(lambda x: x, tc.QCFS(timesteps=4), example=_IMAGES)


def test_a_converted_network_says_what_it_is():
    spiking = tc.convert(_network().eval(), tc.ErrorCompensation(4, drain=2), example=_IMAGES)
    assert "error-compensation, T 4 + 2, pipelined" in repr(spiking)
    assert spiking.provenance.settings == {
        "method": "error-compensation",
        "timesteps": "4",
        "schedule": "pipelined",
        "negative": "0.0",
        "offsets": "None",
        "drain": "2",
    }
    other = tc.convert(_network(levels=4).eval(), tc.QCFS(timesteps=2), example=_IMAGES)
    assert spiking.provenance.source_sha256 == other.provenance.source_sha256

"""Every accepted way to write a layer: the canonical graph computes what the module computes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.frontend import ChannelAffine, Rectifier

_ACTIVATIONS = {
    "module": lambda n, x: n.relu(x),
    "module in place": lambda n, x: n.in_place(x),
    "F.relu": lambda n, x: F.relu(x),
    "F.relu in place": lambda n, x: F.relu(x, inplace=True),
    "F.relu by keyword": lambda n, x: F.relu(input=x),
    "F.relu_": lambda n, x: F.relu_(x),
    "torch.relu": lambda n, x: torch.relu(x),
    "method": lambda n, x: x.relu(),
    "method in place": lambda n, x: x.relu_(),
    "relu6": lambda n, x: n.relu6(x),
    "F.relu6": lambda n, x: F.relu6(x),
    "hardtanh": lambda n, x: n.hardtanh(x),
    "F.hardtanh": lambda n, x: F.hardtanh(x, 0.0, 0.3),
    "clamp": lambda n, x: torch.clamp(x, 0, 0.3),
    "clamp method": lambda n, x: x.clamp(min=0, max=0.3),
    "clamp without upper limit": lambda n, x: x.clamp(min=0.0),
    "clamp to infinity": lambda n, x: x.clamp(0.0, float("inf")),
    "clamp_min": lambda n, x: x.clamp_min(0),
    "clip": lambda n, x: torch.clip(x, min=0.0, max=0.3),
    "clamp by tensors": lambda n, x: torch.clamp(x, torch.tensor(0.0), torch.tensor(0.3)),
    "threshold": lambda n, x: n.threshold(x),
    "trained": lambda n, x: n.trained(x),
}


@pytest.mark.parametrize("name", _ACTIVATIONS)
def test_activation(name, network, images, assert_equal):
    layers = {
        "in_place": nn.ReLU(inplace=True),
        "relu6": nn.ReLU6(),
        "hardtanh": nn.Hardtanh(0.0, 0.3),
        "threshold": nn.Threshold(0, 0),
        "trained": tc.ClipFloorShift(levels=4, threshold=0.5),
    }
    activation = _ACTIVATIONS[name]
    assert_equal(network(lambda n, x: n.linear(torch.flatten(activation(n, n.conv(x)), 1)), **layers), images)


def test_upper_limits_become_bounds(network, images, assert_equal):
    graph = assert_equal(network(lambda n, x: n.linear(F.relu6(n.conv(x)).clamp(0, 0.25).flatten(1))), images)
    assert [m.bound for m in graph.modules() if isinstance(m, Rectifier)] == [6.0, 0.25]


_CONVOLUTIONS = {
    "plain": {},
    "stride": {"stride": 2},
    "stride pair": {"stride": (1, 2)},
    "padding": {"padding": 1},
    "padding pair": {"padding": (2, 0)},
    "same": {"padding": "same"},
    "same, even kernel": {"kernel_size": (2, 4), "padding": "same"},
    "same, dilated": {"padding": "same", "dilation": 2},
    "valid": {"padding": "valid"},
    "dilation": {"dilation": (2, 1)},
    "groups": {"groups": 2},
    "depthwise": {"groups": 4},
    "rectangle": {"kernel_size": (1, 3)},
    "mixed parity": {"kernel_size": (2, 3), "padding": (1, 0)},
    "no bias": {"bias": False},
    "everything": {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2},
}


@pytest.mark.parametrize("name", _CONVOLUTIONS)
def test_convolution(name, images, assert_equal):
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 8, **{"kernel_size": 3} | _CONVOLUTIONS[name])
    features = convolution(images[:1]).numel()
    assert_equal(nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(features, 2)).eval(), images)


def test_functional_convolution_and_linear(network, images, assert_equal):
    def run(n, x):
        x = F.relu(F.conv2d(x, n.weight, n.shift, 2, (1, 0), groups=2))
        return F.linear(x.flatten(1), n.matrix, bias=n.last_shift)

    layers = {
        "weight": nn.Parameter(torch.randn(4, 2, 3, 3)),
        "shift": nn.Parameter(torch.randn(4)),
        "matrix": nn.Parameter(torch.randn(3, 32)),
        "last_shift": nn.Parameter(torch.randn(3)),
    }
    assert_equal(network(run, **layers), images)


def test_weights_computed_from_parameters(network, images, assert_equal):
    def run(n, x):
        weight = n.weight - n.weight.mean([1, 2, 3], keepdim=True)
        return n.head(F.conv2d(x, weight / (weight.std() + 1e-5), None, padding=1))

    assert_equal(network(run, weight=nn.Parameter(torch.randn(4, 4, 3, 3))), images)


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_parametrised_convolution(wrap, network, images, assert_equal):
    assert_equal(network(lambda n, x: n.head(n.wrapped(x)), wrapped=wrap(nn.Conv2d(4, 4, 3, padding=1))), images)


_SIGNALS = {
    "convolution": nn.Sequential(nn.Conv1d(3, 4, 3, stride=2, padding=1), nn.ReLU()),
    "same": nn.Sequential(nn.Conv1d(3, 4, 4, padding="same", bias=False), nn.ReLU()),
    "normalised": nn.Sequential(nn.Conv1d(3, 6, 3, groups=3, dilation=2), nn.BatchNorm1d(6), nn.ReLU()),
    "padded": nn.Sequential(nn.ZeroPad1d((2, 1)), nn.Conv1d(3, 4, 3), nn.ReLU()),
    "pooled": nn.Sequential(nn.Conv1d(3, 4, 3), nn.AvgPool1d(2), nn.ReLU()),
    "adaptive": nn.Sequential(nn.Conv1d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool1d(4)),
}


@pytest.mark.parametrize("name", _SIGNALS)
def test_signal(name, assert_equal):
    signals = torch.rand(3, 3, 12)
    features = _SIGNALS[name].eval()(signals[:1]).numel()
    assert_equal(nn.Sequential(_SIGNALS[name], nn.Flatten(), nn.Linear(features, 2)).eval(), signals)


_NORMALISATIONS = {
    "after a convolution": lambda n, x: n.head(n.norm(n.conv(x))),
    "after a linear layer": lambda n, x: n.last(F.relu(n.flat_norm(n.wide(x.flatten(1))))),
    "before a convolution without padding": lambda n, x: n.third(F.relu(n.shrinking(n.norm(x))).flatten(1)),
    "before a grouped convolution": lambda n, x: n.third(F.relu(n.grouped(n.norm(x))).flatten(1)),
    "before a padded convolution": lambda n, x: n.head(n.conv(n.norm(x))),
    "before a linear layer": lambda n, x: n.linear(n.many_norm(F.relu(n.conv(x)).flatten(1))),
    "before and after": lambda n, x: n.head(n.norm(n.conv(n.norm(x)))),
    "behind dropout": lambda n, x: n.head(n.norm(n.dropout(n.conv(x)))),
    "twice in a row": lambda n, x: n.head(n.norm(n.norm(n.conv(x)))),
    "of a sum": lambda n, x: n.head(n.norm(n.conv(x) + n.other(x))),
    "of an activation": lambda n, x: n.head(n.conv(n.norm(F.relu(n.other(x))))),
    "without weights": lambda n, x: n.head(n.plain_norm(n.conv(x))),
    "of zero padding": lambda n, x: n.head(n.shrinking(n.norm(F.pad(x, (1, 1, 1, 1))))),
}


@pytest.mark.parametrize("name", _NORMALISATIONS)
def test_batch_normalisation(name, network, images, random_statistics, assert_equal):
    torch.manual_seed(0)
    layers = {
        "wide": nn.Linear(192, 10),
        "flat_norm": random_statistics(nn.BatchNorm1d(10)),
        "many_norm": random_statistics(nn.BatchNorm1d(192)),
        "plain_norm": random_statistics(nn.BatchNorm2d(4, affine=False)),
        "last": nn.Linear(10, 3),
        "shrinking": nn.Conv2d(4, 4, 3),
        "grouped": nn.Conv2d(4, 4, 3, groups=2),
        "third": nn.Linear(96, 3),
        "dropout": nn.Dropout(0.5),
    }
    assert_equal(network(_NORMALISATIONS[name], **layers), images)


def test_normalisation_disappears_where_it_folds(network, images, assert_equal):
    graph = assert_equal(network(lambda n, x: n.head(n.norm(n.conv(x)))), images)
    assert not any(isinstance(m, ChannelAffine) for m in graph.modules())


_TWO_READERS = {
    "dropout": lambda n, x: (lambda y: n.head(n.norm(n.dropout(y)) + y))(n.conv(x)),
    "identity": lambda n, x: (lambda y: n.head(n.identity(y) + n.norm(y)))(n.conv(x)),
    "identity first": lambda n, x: (lambda y: n.head(n.norm(y) + n.identity(y)))(n.conv(x)),
    "two norms": lambda n, x: (lambda y: n.head(n.norm(y) + n.second_norm(y)))(n.conv(x)),
    "constant": lambda n, x: (lambda y: n.head(y * 3.0 + y))(n.conv(x)),
    "constant behind a norm": lambda n, x: (lambda y: n.head(y * 3.0 + y))(n.norm(n.conv(x))),
    "folded, then shared": lambda n, x: (lambda y: n.head(n.other(y) + y))(n.norm(n.conv(x))),
    "absorbed, then shared": lambda n, x: (lambda y: n.head(n.third(y) + y))(n.norm(F.relu(n.conv(x)))),
    "linear": lambda n, x: (lambda y: n.last(F.relu(n.flat_norm(y) + y)))(n.wide(x.flatten(1))),
}


@pytest.mark.parametrize("name", _TWO_READERS)
def test_folding_spares_the_other_reader(name, network, images, random_statistics, assert_equal):
    layers = {
        "dropout": nn.Dropout(0.5),
        "identity": nn.Identity(),
        "second_norm": random_statistics(nn.BatchNorm2d(4)),
        "third": nn.Conv2d(4, 4, 1),
        "wide": nn.Linear(192, 10),
        "flat_norm": random_statistics(nn.BatchNorm1d(10)),
        "last": nn.Linear(10, 3),
    }
    assert_equal(network(_TWO_READERS[name], **layers), images)


_IN_PLACE = {
    "activation": lambda n, x: (lambda y: n.head(n.other(F.relu(y, inplace=True)) + y))(n.conv(x)),
    "method": lambda n, x: (lambda y: n.head(n.other(y.relu_()) + y))(n.norm(n.conv(x))),
    "sum": lambda n, x: (lambda y, z: n.head(y.add_(z) + y))(n.conv(x), n.other(x)),
    "constant": lambda n, x: (lambda y, z: n.head(n.other(y) * z))(n.conv(x).mul_(2.0), 0.5),
    "constant, read again": lambda n, x: (lambda y: n.head(n.other(y.mul_(2.0)) + y))(n.conv(x)),
    "image": lambda n, x: n.head(n.conv(x.sub_(0.5)) + n.other(x)),
    "through dropout": lambda n, x: (lambda y: n.head(n.other(n.dropout(y).relu_()) + y))(n.conv(x)),
}


@pytest.mark.parametrize("name", _IN_PLACE)
def test_in_place_operation_reaches_every_later_reader(name, network, images, assert_equal):
    assert_equal(network(_IN_PLACE[name], dropout=nn.Dropout(0.5)), images)


def test_image_is_left_as_it_is(network, images):
    before = images.clone()
    tc.convert(network(lambda n, x: n.head(n.conv(x.sub_(0.5)))), tc.QCFS(4), example=images, calibration=images)
    assert torch.equal(images, before)

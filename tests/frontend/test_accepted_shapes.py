"""Pools, flattening, sums, concatenations, padding, slices and constants as people write them."""

from __future__ import annotations

import math
import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.frontend import AveragePool, canonicalize


def _conv_relu(n, x):
    return F.relu(n.conv(x))


_POOLS = {
    "module": lambda n, x: nn.AvgPool2d(2)(x),
    "function": lambda n, x: F.avg_pool2d(x, 2),
    "function, pair": lambda n, x: F.avg_pool2d(x, (4, 3)),
    "by keyword": lambda n, x: F.avg_pool2d(x, kernel_size=2, stride=2),
    "partial windows": lambda n, x: F.avg_pool2d(x, 5),
    "overlapping": lambda n, x: F.avg_pool2d(x, 3, stride=1),
    "padded": lambda n, x: F.avg_pool2d(x, 2, padding=1),
    "whole windows with ceil_mode": lambda n, x: F.avg_pool2d(x, 2, ceil_mode=True),
    "one pixel with a stride": lambda n, x: F.avg_pool2d(x, 1, stride=2),
    "adaptive": lambda n, x: F.adaptive_avg_pool2d(x, (2, 3)),
    "adaptive to one": lambda n, x: nn.AdaptiveAvgPool2d(1)(x),
    "adaptive, one axis kept": lambda n, x: F.adaptive_avg_pool2d(x, (None, 2)),
    "mean": lambda n, x: x.mean([2, 3]),
    "mean, kept axes": lambda n, x: x.mean((-1, -2), keepdim=True),
    "torch.mean": lambda n, x: torch.mean(x, dim=(2, 3)),
}


@pytest.mark.parametrize("where", ["behind a neuron", "before a neuron"])
@pytest.mark.parametrize("name", _POOLS)
def test_average_pool(name, where, network, images, assert_equal):
    pool = _POOLS[name]
    features = pool(None, images[:1]).numel()

    def run(n, x):
        x = pool(n, _conv_relu(n, x)) if where == "behind a neuron" else F.relu(pool(n, n.conv(x)))
        return n.readout(x.flatten(1))

    assert_equal(network(run, readout=nn.Linear(features, 3)), images)


def test_pool_of_whole_windows_stays_a_pool(network, images):
    graph = canonicalize(network(lambda n, x: n.small(_conv_relu(n, x).mean([2, 3]))), images)
    assert [m.kernel for m in graph.modules() if isinstance(m, AveragePool)] == [(8, 6)]


_FLATTENINGS = {
    "module": lambda x: nn.Flatten()(x),
    "function": lambda x: torch.flatten(x, 1),
    "by keyword": lambda x: torch.flatten(input=x, start_dim=1),
    "method": lambda x: x.flatten(1),
    "view": lambda x: x.view(x.size(0), -1),
    "view by shape": lambda x: x.view(x.shape[0], 4 * 8 * 6),
    "view by arithmetic": lambda x: x.view(-1, x.size(1) * x.size(2) * x.size(3)),
    "reshape": lambda x: x.reshape(x.size(0), -1),
    "torch.reshape": lambda x: torch.reshape(x, (-1, 192)),
    "contiguous view": lambda x: x.contiguous().view(x.size()[0], -1),
}


@pytest.mark.parametrize("name", _FLATTENINGS)
def test_flatten(name, network, images, assert_equal):
    flatten = _FLATTENINGS[name]
    assert_equal(network(lambda n, x: n.linear(flatten(_conv_relu(n, x)))), images)


@pytest.mark.parametrize(
    "squeeze",
    [lambda x: x.squeeze(), lambda x: x.squeeze(3).squeeze(2), lambda x: x[:, :, 0, 0], lambda x: x.flatten(1)],
)
def test_squeeze_behind_a_global_pool(squeeze, network, images, assert_equal):
    assert_equal(network(lambda n, x: n.small(squeeze(F.adaptive_avg_pool2d(_conv_relu(n, x), 1)))), images)


def _iadd(a, b):
    a += b
    return a


_SUMS = {
    "plus": lambda a, b: a + b,
    "torch.add": torch.add,
    "method": lambda a, b: a.add(b),
    "in place": _iadd,
    "method in place": lambda a, b: a.add_(b),
    "of itself": lambda a, b: a + a + b,
    "of three": lambda a, b: a + b + a,
}


@pytest.mark.parametrize("name", _SUMS)
def test_sum(name, network, images, assert_equal):
    add = _SUMS[name]
    assert_equal(network(lambda n, x: n.head(add(n.conv(x), n.norm(n.other(x))))), images)
    assert_equal(network(lambda n, x: n.head(add(n.conv(x), x))), images)


@pytest.mark.parametrize(
    "cat", [lambda p: torch.cat(p, 1), lambda p: torch.concat(p, dim=1), lambda p: torch.cat(p, -3)]
)
def test_concatenation(cat, network, images, assert_equal):
    layers = {"mix": nn.Conv2d(12, 4, 1)}
    assert_equal(network(lambda n, x: n.head(n.mix(cat([_conv_relu(n, x), x, n.other(x)]))), **layers), images)


def test_concatenation_of_vectors(network, images, assert_equal):
    layers = {"wide": nn.Linear(384, 3)}
    assert_equal(
        network(lambda n, x: n.wide(torch.cat([_conv_relu(n, x).flatten(1), x.flatten(1)], -1)), **layers), images
    )


_PADS = {
    "module": lambda x: nn.ZeroPad2d((1, 0, 2, 1))(x),
    "constant module": lambda x: nn.ConstantPad2d(1, 0.0)(x),
    "function": lambda x: F.pad(x, (0, 1, 2, 0)),
    "columns only": lambda x: F.pad(x, (1, 1)),
    "by keyword": lambda x: F.pad(x, pad=[1, 1, 1, 1], mode="constant", value=0.0),
    "nothing": lambda x: F.pad(x, (0, 0, 0, 0)),
    "channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
}


@pytest.mark.parametrize("name", _PADS)
def test_zero_padding(name, network, images, assert_equal):
    pad = _PADS[name]
    convolution = nn.Conv2d(pad(images).shape[1], 2, 3)
    features = convolution(pad(images[:1])).numel()
    layers = {"narrow": convolution, "readout": nn.Linear(features, 3)}
    assert_equal(network(lambda n, x: n.readout(F.relu(n.narrow(pad(x))).flatten(1)), **layers), images)


_SLICES = {
    "channels": lambda x: x[:, 1:3],
    "every second channel": lambda x: x[:, ::2],
    "half by arithmetic": lambda x: x[:, : x.shape[1] // 2],
    "strided": lambda x: x[:, :, ::2, ::2],
    "strided, all axes": lambda x: x[:, 1:, ::2, ::3],
    "ellipsis": lambda x: x[..., ::2],
    "ellipsis before the channels": lambda x: x[:, ..., ::2, :],
}


@pytest.mark.parametrize("name", _SLICES)
def test_slice(name, network, images, assert_equal):
    part = _SLICES[name]
    layers = {"readout": nn.Linear(part(images[:1]).numel(), 3)}
    assert_equal(network(lambda n, x: n.readout(F.relu(part(n.conv(x))).flatten(1)), **layers), images)


def test_shortcut_of_cifar_resnets(network, images, assert_equal):
    def run(n, x):
        shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2), "constant", 0)
        return n.readout(F.relu(n.down(x) + shortcut).flatten(1))

    assert_equal(network(run, down=nn.Conv2d(4, 8, 3, stride=2, padding=1), readout=nn.Linear(96, 3)), images)


_CONSTANTS = {
    "factor": lambda n, x: x * 2,
    "factor on the left": lambda n, x: 0.5 * x,
    "torch.mul": lambda n, x: torch.mul(x, -1.5),
    "division": lambda n, x: x / 4,
    "shift": lambda n, x: x + 1.5,
    "difference": lambda n, x: x - 0.25,
    "one minus": lambda n, x: 1 - x,
    "negative": lambda n, x: -x,
    "torch.neg by keyword": lambda n, x: torch.neg(input=x),
    "alpha": lambda n, x: torch.add(x, 2.0, alpha=3),
    "per channel": lambda n, x: x * n.gain.view(1, -1, 1, 1) + n.gain[None, :, None, None],
    "per channel, no batch axis": lambda n, x: x * n.buffer.reshape(4, 1, 1),
    "computed": lambda n, x: x * (n.gain.abs().sum() / 3),
}


@pytest.mark.parametrize("name", _CONSTANTS)
def test_constant(name, network, images, assert_equal):
    with_constant = _CONSTANTS[name]
    layers = {"gain": nn.Parameter(torch.randn(4)), "buffer": torch.randn(4)}
    assert_equal(network(lambda n, x: n.head(with_constant(n, n.conv(x))), **layers), images)
    assert_equal(network(lambda n, x: n.head(n.conv(with_constant(n, x))), **layers), images)


class _Normalise(nn.Module):
    def __init__(self, mean, deviation):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1))

    def forward(self, x):
        return (x - self.mean) / self.deviation


def test_input_normalisation(network, images, assert_equal):
    normalise = _Normalise([0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8])
    assert_equal(network(lambda n, x: n.head(n.conv(n.normalise(x))), normalise=normalise), images)


@pytest.mark.parametrize("same", [lambda x: x.float(), lambda x: x.to(torch.float32), lambda x: x.clone().detach()])
def test_change_of_type_that_changes_nothing(same, network, images, assert_equal):
    assert_equal(network(lambda n, x: n.head(n.conv(same(x)))), images)


def test_optional_arguments_keep_their_defaults(images, assert_equal):
    class Optional(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))

        def forward(self, x, features=None, scale=2.0):
            return self.layers(x * scale)

    assert_equal(Optional().eval(), images)


def test_closed_list_has_two_functions(network, images):
    graph = canonicalize(network(lambda n, x: n.head(n.conv(x) + x)), images)
    assert {node.target for node in graph.graph.nodes if node.op == "call_function"} == {operator.add}


@pytest.mark.parametrize(
    ("size", "wanted"), [((1, 1), (7, 7)), ((1, 6), (3, 3)), ((4, 1), (2, 5)), ((1, 1), (1, 1)), ((6, 4), (3, 2))]
)
def test_an_adaptive_mean_may_repeat_a_single_value(size, wanted):
    """As in torchvision's VGG on images of 32x32."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(wanted), nn.Flatten(), nn.Linear(3 * math.prod(wanted), 4)
    ).eval()
    nn.init.constant_(network[0].bias, 1.0)
    images = torch.rand(4, 2, *size)
    torch.testing.assert_close(canonicalize(network, images)(images), network(images))
    graph = tc.lower(tc.convert(network, tc.ErrorFree(timesteps=8), example=images, calibration=images))
    logits = torch.as_tensor(tc.simulate(graph, images).logits)
    assert float((logits - network(images)).detach().abs().max()) < 0.02

"""Lowering of what people stack between two activations, and what it refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.analysis.ranges import bounds
from spikec.ir import as_integer
from spikec.ir.operations import SumPool

_IMAGES = torch.rand(4, 2, 6, 6, generator=torch.Generator().manual_seed(1))


class _Between(nn.Module):
    """``run(network, x)`` stands between an activation and the readout; a conv of the image is ``stem``."""

    def __init__(self, run, **layers):
        super().__init__()
        self.run = run
        self.stem, self.side = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.eval()
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                    layer.bias.add_(0.2)  # no layer is silent
            features = run(self, torch.zeros(1, 2, 6, 6)).flatten(1).shape[1]
        self.classes = nn.Linear(features, 3)

    def forward(self, x):
        return self.classes(self.run(self, x).flatten(1))


def _norm(channels, make=nn.BatchNorm2d):
    norm = make(channels)
    with torch.no_grad():
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.3, 2)
        norm.weight.normal_(1, 0.3)
        norm.bias.normal_(0, 0.3)
    return norm


def _flat(n, x):
    return F.relu(n.stem(x)).flatten(1)


#: What stands between two activations, as one name: run, layers.
_COMPOSED = {
    "asymmetric padding": (
        lambda n, x: F.relu(n.conv(F.pad(F.relu(n.stem(x)), (2, 0, 0, 1)))),
        lambda: {"conv": nn.Conv2d(4, 3, 3)},
    ),
    "asymmetric padding, dilated": (
        lambda n, x: F.relu(n.conv(F.pad(F.relu(n.stem(x)), (1, 0, 0, 2)))),
        lambda: {"conv": nn.Conv2d(4, 3, (2, 3), dilation=(2, 2))},
    ),
    "same, even and dilated": (
        lambda n, x: F.relu(n.conv(F.relu(n.stem(x)))),
        lambda: {"conv": nn.Conv2d(4, 3, (2, 4), padding="same", dilation=(1, 1))},
    ),
    "linear bottleneck": (
        lambda n, x: F.relu(n.expand(n.project(F.relu(n.stem(x))))),
        lambda: {"project": nn.Conv2d(4, 2, 1), "expand": nn.Conv2d(2, 6, 1)},
    ),
    "convolution of a convolution": (
        lambda n, x: F.relu(n.second(n.first(F.relu(n.stem(x))))),
        lambda: {"first": nn.Conv2d(4, 3, 3, stride=2, padding=1), "second": nn.Conv2d(3, 3, 2, dilation=2)},
    ),
    "depthwise of depthwise": (
        lambda n, x: F.relu(n.second(n.first(F.relu(n.stem(x))))),
        lambda: {"first": nn.Conv2d(4, 4, 3, groups=4), "second": nn.Conv2d(4, 4, (1, 2), groups=4)},
    ),
    "padded convolution of a biased 1x1 convolution": (
        lambda n, x: F.relu(n.second(n.first(F.relu(n.stem(x))))),
        lambda: {"first": nn.Conv2d(4, 3, 1), "second": nn.Conv2d(3, 3, 3, padding=1)},
    ),
    "padded convolution of a strided slice": (
        lambda n, x: F.relu(n.conv(F.relu(n.stem(x))[:, :, ::2, ::2])),
        lambda: {"conv": nn.Conv2d(4, 3, 3, padding=1)},
    ),
    "normalised image into a padded convolution": (
        lambda n, x: F.relu(n.stem(n.norm(x))),
        lambda: {"norm": _norm(2)},
    ),
    "one minus the image": (lambda n, x: F.relu(n.stem(1 - x)), dict),
    "normalisation between activations": (lambda n, x: F.relu(n.norm(F.relu(n.stem(x)))), lambda: {"norm": _norm(4)}),
    "pool of a convolution": (lambda n, x: F.relu(F.avg_pool2d(n.stem(x), 2)), dict),
    "pool of a pool": (
        lambda n, x: F.relu(n.conv(F.avg_pool2d(F.avg_pool2d(F.relu(n.stem(x)), 2), (1, 2)))),
        lambda: {"conv": nn.Conv2d(4, 3, 1)},
    ),
    "pool with partial windows": (
        lambda n, x: F.relu(n.conv(F.avg_pool2d(F.relu(n.stem(x)), 4))),
        lambda: {"conv": nn.Conv2d(4, 3, 1)},
    ),
    "overlapping pool into a padded convolution": (
        lambda n, x: F.relu(n.conv(F.avg_pool2d(F.relu(n.stem(x)), 3, stride=1))),
        lambda: {"conv": nn.Conv2d(4, 3, 3, padding=1)},
    ),
    "identity skip": (
        lambda n, x: F.relu((lambda y: n.conv(y) + y)(F.relu(n.stem(x)))),
        lambda: {"conv": nn.Conv2d(4, 4, 3, padding=1)},
    ),
    "skip of the image": (lambda n, x: F.relu(n.conv(F.relu(n.stem(x))) + x), lambda: {"conv": nn.Conv2d(4, 2, 1)}),
    "twice the same branch": (lambda n, x: F.relu((lambda y: y + y * 0.5 + y)(F.relu(n.stem(x)))), dict),
    "concatenation": (
        lambda n, x: F.relu(n.conv(torch.cat([F.relu(n.stem(x)), x, n.side(x)], 1))),
        lambda: {"conv": nn.Conv2d(10, 3, 1)},
    ),
    "concatenation at a neuron": (lambda n, x: F.relu(torch.cat([n.stem(x), x * 0.5, n.side(x)], 1)), dict),
    "convolution into a linear layer": (
        lambda n, x: F.relu(n.linear(n.conv(F.relu(n.stem(x))).flatten(1))),
        lambda: {"conv": nn.Conv2d(4, 3, 3, stride=2, padding=1), "linear": nn.Linear(27, 8)},
    ),
    "linear into a linear layer": (
        lambda n, x: F.relu(n.second(n.first(_flat(n, x)))),
        lambda: {"first": nn.Linear(144, 10), "second": nn.Linear(10, 8)},
    ),
    "bias per element of a flattened convolution": (
        lambda n, x: F.relu(n.stem(x).flatten(1) + n.bias),
        lambda: {"bias": torch.randn(1, 144) / 2},
    ),
    "factor per element of a flattened convolution": (
        lambda n, x: F.relu(n.norm(n.stem(x).flatten(1))),
        lambda: {"norm": _norm(144, nn.BatchNorm1d)},
    ),
    "flattened convolution plus linear": (
        lambda n, x: F.relu(n.stem(x).flatten(1) + n.linear(x.flatten(1))),
        lambda: {"linear": nn.Linear(72, 144)},
    ),
    "flattened activation plus linear": (
        lambda n, x: F.relu((lambda y: n.linear(y) + y)(_flat(n, x))),
        lambda: {"linear": nn.Linear(144, 144)},
    ),
    "flattened convolutions of different channels": (
        lambda n, x: F.relu(n.stem(x).flatten(1) + n.conv(x).flatten(1)),
        lambda: {"conv": nn.Conv2d(2, 16, 2, stride=2)},
    ),
    "skip of a hidden layer": (
        lambda n, x: F.relu((lambda y: n.second(y) + y)(F.relu(n.first(_flat(n, x))))),
        lambda: {"first": nn.Linear(144, 10), "second": nn.Linear(10, 10)},
    ),
    "concatenated hidden layers": (
        lambda n, x: F.relu(n.second(torch.cat([F.relu(n.first(_flat(n, x))), x.flatten(1)], 1))),
        lambda: {"first": nn.Linear(144, 10), "second": nn.Linear(82, 10)},
    ),
    "silent weights": (lambda n, x: F.relu(n.stem(x) + n.zero(x)), lambda: {"zero": _zero(nn.Conv2d(2, 4, 1))}),
    "constant layer": (lambda n, x: F.relu(n.zero(x)), lambda: {"zero": _zero(nn.Conv2d(2, 4, 1), bias=0.7)}),
}


def _zero(layer, bias=0.0):
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer


@pytest.mark.parametrize("per", ["layer", "channel"])
@pytest.mark.parametrize("name", _COMPOSED)
def test_integer_network_computes_what_the_network_computes(name, per, execute_nir):
    """With 255 levels, what remains is the rounding of the weights; the file equals plain loops exactly."""
    torch.manual_seed(0)
    run, layers = _COMPOSED[name]
    network = _Between(run, **layers()).eval()
    with torch.no_grad():
        expected = network(_IMAGES)
    graph = tc.lower(tc.convert(network, tc.Graded(levels=255), example=_IMAGES, calibration=_IMAGES), tc.Int8(per=per))
    trace = tc.simulate(graph, _IMAGES)
    assert (torch.as_tensor(trace.logits) - expected).abs().max() < 0.05 * expected.abs().max()
    np.testing.assert_array_equal(trace.output, execute_nir(graph, _IMAGES).output)


def test_one_synapse_where_operations_compose():
    torch.manual_seed(0)
    network = _Between(
        lambda n, x: F.relu(n.norm(n.expand(n.project(F.relu(n.stem(x)))))),
        project=nn.Conv2d(4, 2, 1),
        expand=nn.Conv2d(2, 6, 1),
        norm=_norm(6),
    ).eval()
    graph = tc.lower(tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES, calibration=_IMAGES))
    assert list(graph.nodes) == [
        "input", "stem", "relu", "expand", "relu_1", "classes.flatten", "classes", "readout", "output"
    ]  # fmt: skip


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_thresholds_are_exact_where_nothing_else_sets_the_unit(per):
    """threshold = theta units: the scale of a population over its theta is the unit its weights were rounded to."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), tc.ClipFloorShift(4, 0.83), nn.Flatten(), nn.Linear(64, 3)).eval()
    graph = tc.decode(tc.lower(tc.convert(network, tc.QCFS(4), example=_IMAGES), tc.Int8(per=per)))
    (synapse, _), (population,) = graph.synapses, graph.populations
    theta = population.theta[:, 0, 0]
    unit = 0.83 / theta
    real = network[0].weight.detach().double().numpy() * graph.input.scale
    np.testing.assert_array_equal(synapse.weight, np.rint(real / unit.reshape(-1, 1, 1, 1)))
    np.testing.assert_array_equal(synapse.bias, np.rint(network[0].bias.detach().double().numpy() / unit))
    np.testing.assert_array_equal(population.v_init, population.theta // 2)
    assert 120 <= np.abs(synapse.weight).max() <= 127
    assert (len(set(theta)) == 1) == (per == "layer")


def _spiking(method=None):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), tc.ClipFloorShift(4, 0.5), nn.Flatten(), nn.Linear(64, 3)).eval()
    return tc.convert(network, method or tc.QCFS(timesteps=4), example=_IMAGES)


_REFUSED = {
    "a module": (lambda: tc.lower(nn.ReLU()), tc.ConversionError, r"expected a network made by tc\.convert, got ReLU"),
    "a name": (
        lambda: tc.lower(_spiking(), "int8"),
        tc.ConversionError,
        r"expected a precision such as tc\.Int8\(per=",
    ),
    "a class": (
        lambda: tc.lower(_spiking(), tc.Int8),
        tc.ConversionError,
        r"expected a precision such as tc\.Int8\(per=",
    ),
    "per neuron": (lambda: tc.Int8(per="neuron"), tc.ConversionError, "per must be 'layer' or 'channel', not 'neuron'"),
    "9 bits": (lambda: tc.Int8(bits=9), tc.ConversionError, "bits must be a whole number between 2 and 8, not 9"),
    "True bits": (lambda: tc.Int8(bits=True), tc.ConversionError, "bits must be a whole number between 2 and 8, not T"),
    "override": (lambda: tc.Int8(overrides={"a": 1}), tc.ConversionError, "override a: bits must be a whole number"),
    "scale": (lambda: tc.Int8(scale="mean"), tc.ConversionError, "scale must be one of max, power_of_two, spikes, not"),
    "SRP": (
        lambda: tc.lower(_spiking(tc.SRP(timesteps=2))),
        tc.ConversionError,
        "SRP has no integer form: its mask, one bit per neuron and image, has no place in a file; evaluate it in float",
    ),
    "format": (lambda: tc.lower(_spiking(), format="loihi3"), tc.ToolchainError, "no number format is called 'loihi3'"),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_wrong_arguments_are_refused(name):
    call, error, message = _REFUSED[name]
    with pytest.raises(error) as raised:
        call()
    assert re.match(message, str(raised.value)), str(raised.value)


def test_a_membrane_that_overflows_on_the_examples_is_refused():
    """A neuron that never fires gathers its most negative current at every step."""
    network = nn.Sequential(nn.Conv2d(2, 1, 3), tc.ClipFloorShift(4, 1.0), nn.Flatten(), nn.Linear(16, 3)).eval()
    nn.init.constant_(network[0].weight, -1.0)
    images = torch.ones(2, 2, 6, 6)
    with pytest.raises(
        tc.RangeError,
        match=r"^1: the membrane overflows on the example images: it reaches \[-\d+, -\d+\], worst case \[-\d+, \d+\]",
    ):
        tc.lower(tc.convert(network, tc.QCFS(timesteps=2048), example=images))
    assert tc.lower(tc.convert(network, tc.QCFS(timesteps=8), example=images))


def test_every_membrane_that_overflows_is_named():
    layers = [nn.Conv2d(2, 1, 3), tc.ClipFloorShift(4, 1.0), nn.Conv2d(1, 1, 3), tc.ClipFloorShift(4, 1.0)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 3)).eval()
    nn.init.constant_(network[0].weight, -1.0)
    nn.init.constant_(network[2].bias, -9.0)
    network[2].weight.data.uniform_(-1, 1)
    with pytest.raises(tc.RangeError) as raised:
        tc.lower(tc.convert(network, tc.QCFS(timesteps=2**14), example=torch.ones(2, 2, 6, 6)))
    for name in ("1", "3"):
        assert f"{name}: the membrane overflows" in str(raised.value)


@pytest.mark.parametrize(("per", "scale"), [("layer", "max"), ("channel", "power_of_two")])
@pytest.mark.parametrize("method", [tc.ErrorFree(timesteps=15), tc.QCFS(timesteps=200, schedule="layerwise")])
def test_more_steps_get_a_coarser_unit_where_a_membrane_would_overflow(method, per, scale):
    """Fifteen bits of levels, or many layerwise steps: membranes fit 24 bits, and the network computes the same."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 40), nn.ReLU(), nn.Linear(40, 12), nn.ReLU(), nn.Linear(12, 4))
    model[2].weight.data.abs_()  # large sums of small weights need a large threshold
    images = torch.rand(40, 300)
    network = tc.convert(model, method, example=images, calibration=images)
    with pytest.warns(UserWarning, match=f"T = {method.timesteps}: .* units are coarser"):
        graph = tc.lower(network, tc.Int8(per=per, scale=scale))
    trace = tc.simulate(graph, images, measure=True)
    assert max(max(abs(low), abs(high)) for low, high in trace.membrane.values()) < 2**23
    expected = model(images).detach()
    assert float((torch.as_tensor(trace.logits) - expected).abs().max()) < 0.1 * float(expected.abs().max())


def test_several_spikes_get_a_coarser_unit_where_the_input_of_a_step_would_overflow():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 60), nn.ReLU(), nn.Linear(60, 4))
    images = torch.rand(20, 300)
    network = tc.convert(model, tc.QCFS(timesteps=2, spikes=4000), example=images, calibration=images)
    with pytest.warns(UserWarning, match="readout .* times"):
        graph = as_integer(tc.lower(network))
    assert max(max(b.high, -b.low) for b in bounds(graph).accumulators.values()) < 2**23


def test_a_membrane_that_could_overflow_but_does_not_is_accepted():
    network = nn.Sequential(nn.Conv2d(2, 1, 3), tc.ClipFloorShift(4, 1.0), nn.Flatten(), nn.Linear(16, 3)).eval()
    nn.init.constant_(network[0].weight, -1.0)
    assert tc.lower(tc.convert(network, tc.QCFS(timesteps=2048), example=torch.ones(2, 2, 6, 6) / 255))


def test_operations_without_a_common_synapse_are_named_with_their_line():
    network = _Between(
        lambda n, x: F.relu(n.second(n.first(F.relu(n.stem(x))))),
        first=nn.Conv2d(4, 3, 3, padding=1),
        second=nn.Conv2d(3, 3, 3, padding=1),
    ).eval()
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES, calibration=_IMAGES)
    with pytest.raises(
        tc.ConversionError,
        match=rf"^{re.escape(__file__)}:\d+ \(second\): a padded convolution reads another convolution with no ",
    ):
        tc.lower(spiking)


def test_a_large_bias_makes_the_unit_coarser():
    network = nn.Sequential(nn.Conv2d(2, 4, 3), tc.ClipFloorShift(4, 1.0), nn.Flatten(), nn.Linear(64, 3)).eval()
    with torch.no_grad():
        network[0].weight.mul_(1e-7)
        network[0].bias.copy_(torch.tensor([0.2, 0.5, 0.9, -0.4]))
    graph = tc.lower(tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES))
    expected = network(_IMAGES).detach().numpy()
    np.testing.assert_allclose(tc.simulate(graph, _IMAGES).logits, expected, atol=0.02 * np.abs(expected).max())


def test_widths_may_be_numbers_of_numpy():
    precision = tc.Int8(bits=np.int64(4), overrides={"first": np.uint8(6)})
    assert precision == tc.Int8(bits=4, overrides={"first": 6})
    assert {type(bits) for bits in (precision.bits, *precision.overrides.values())} == {int}


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_all_outputs_have_one_unit(per):
    """Weights of three sizes: the integers of an output stand for the same number in each of them."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), tc.ClipFloorShift(4, 0.5), nn.Flatten(), nn.Linear(64, 3)).eval()
    with torch.no_grad():
        network[3].weight.mul_(torch.tensor([[1.0], [10.0], [100.0]]))
    graph = tc.lower(tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES), tc.Int8(per=per))
    trace = tc.simulate(graph, _IMAGES)
    assert trace.output.all()
    np.testing.assert_allclose(trace.logits / trace.output, trace.logits[0, 0] / trace.output[0, 0], rtol=1e-6)


@pytest.mark.parametrize("scale", ["max", "power_of_two"])
def test_branches_share_a_unit_and_the_larger_one_has_an_exponent(scale):
    """The weight of the skip stands for 1: it says what the weights of the convolution are in its unit."""
    torch.manual_seed(0)
    network = _Between(lambda n, x: F.relu((lambda y: n.conv(y) + y)(F.relu(n.stem(x)))), conv=nn.Conv2d(4, 4, 3, 1, 1))
    with torch.no_grad():
        network.conv.weight.mul_(0.01)
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES, calibration=_IMAGES)
    graph = tc.decode(tc.lower(spiking, tc.Int8(scale=scale)))
    (skip,) = (node for node in graph.synapses if np.unique(node.weight).size == 1)
    conv = graph.nodes["conv"]
    assert conv.weight_exp == 0
    assert skip.weight_exp > 0
    assert int(skip.weight.max()) % 2**skip.weight_exp == 0
    expected = network.conv.weight.detach().numpy() * int(skip.weight.max())
    np.testing.assert_allclose(conv.weight, expected, atol=0.51 + 0.01 * np.abs(expected).max())


def test_an_average_pool_of_spikes_becomes_a_sum_and_its_divisor_a_unit():
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, padding=1), tc.ClipFloorShift(4, 0.5), nn.AvgPool2d(2), nn.Conv2d(4, 3, 3)]
    network = nn.Sequential(*layers, tc.ClipFloorShift(4, 0.3), nn.Flatten(), nn.Linear(3, 2)).eval()
    graph = tc.decode(tc.lower(tc.convert(network, tc.QCFS(timesteps=4), example=_IMAGES)))
    pools = [node for node in graph if isinstance(node, SumPool)]
    assert [(pool.kernel, pool.stride) for pool in pools] == [((2, 2), (2, 2))]
    unit = 0.3 / graph.populations[1].theta.flat[0]
    real = network[3].weight.detach().double().numpy() * 0.5 / 4  # a spike stands for 0.5, and counts for a quarter
    np.testing.assert_array_equal(graph.nodes["3"].weight, np.rint(real / unit))

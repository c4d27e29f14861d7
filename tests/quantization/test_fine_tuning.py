"""Fine-tuning with integers in the loop: what was trained is what is lowered."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
import spikec.models as models
from spikec.frontend import canonicalize
from spikec.models.data import open_dataset
from spikec.training import FitConfig, evaluate


class _Images:
    """Labelled images in memory: the class is the half that is brighter."""

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 256, (n, 2, 6, 6))
        self.labels = rng.integers(0, 2, n)
        x[np.arange(n), :, 3 * self.labels] = 255
        self.pixels = torch.from_numpy(x).float() / 255

    def __len__(self):
        return len(self.labels)

    def images(self, indices=slice(None)):
        return self.pixels[indices]

    def targets(self, indices=slice(None)):
        return torch.from_numpy(self.labels)[indices]


class _Network(nn.Module):
    """Batch norm with and without its own parameters, a grouped convolution, a residual sum, a pool, a hidden layer."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.first = tc.ClipFloorShift(4, 1.3)
        self.grouped, self.plain = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4, affine=False)
        self.second = tc.ClipFloorShift(4, 0.9)
        self.beside = nn.Conv2d(4, 4, 1)
        self.inner = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.third = tc.ClipFloorShift(4, 1.1)
        self.pool = nn.AvgPool2d(2)
        self.hidden, self.fourth, self.head = nn.Linear(36, 6), tc.ClipFloorShift(4, 0.8), nn.Linear(6, 2)

    def forward(self, x):
        x = self.first(self.norm(self.stem(x)))
        x = self.third(self.inner(self.second(self.plain(self.grouped(x)))) + self.beside(x) + x)
        return self.head(self.fourth(self.hidden(torch.flatten(self.pool(x), 1))))


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = _Network()
    with torch.no_grad():
        for norm in (model.norm, model.plain):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.3, 1.5)
        model.norm.weight.uniform_(0.7, 1.4)
    return model.eval()


def _tuned(model, precision, **config):
    train, validation = _Images(96, 0), _Images(48, 1)
    example = train.images(slice(64))
    settings = {"epochs": 2, "batch": 16, "lr": 0.02, "weight_decay": 0.0} | config
    return tc.finetune_quantised(model, train, validation, FitConfig(**settings), precision, example=example), example


@pytest.mark.parametrize("per", ["layer", "channel"])
@pytest.mark.parametrize("scale", ["max", "power_of_two", "spikes"])
def test_the_trained_weights_are_the_lowered_integers(network, per, scale):
    before = copy.deepcopy(network)
    result, example = _tuned(network, tc.Int8(bits=4, per=per, scale=scale, overrides={"head": 3}))
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=example)
    graph = tc.decode(tc.lower(spiking, result.precision))
    folded = dict(canonicalize(network, example[:2]).named_modules())
    gains = {"input": graph.input.scale} | {p.name: float(p.scale[0]) for p in graph.populations}
    units = {name: np.array(unit) for name, unit in result.precision.units.items()}
    into = {
        "stem": "first",
        "grouped": "second",
        "beside": "third",
        "inner": "third",
        "hidden": "fourth",
        "head": "readout",
    }
    moved = 0
    for name, population in into.items():
        node = graph.nodes[name]
        source = graph.nodes[node.sources[0]]
        divisor = 1.0
        while source.name not in gains:  # behind a pool and a flatten
            divisor *= np.prod(getattr(source, "kernel", (1,)))
            source = graph.nodes[source.sources[0]]
        mantissa = node.weight >> node.weight_exp
        assert np.abs(mantissa).max() <= (3 if name == "head" else 7)
        column = units[population].reshape(-1, *[1] * (node.weight.ndim - 1))
        real = node.weight * column * divisor / gains[source.name]
        weight = folded[name].weight.numpy()
        np.testing.assert_allclose(real, weight, rtol=1e-4, atol=1e-6)
        bias = folded[name].bias.numpy() / units[population]
        np.testing.assert_allclose(bias, np.rint(bias), atol=1e-2)
        moved += int((weight != dict(canonicalize(before, example[:2]).named_modules())[name].weight.numpy()).sum())
    total = sum(folded[name].bias.numpy() / units["third"] for name in ("beside", "inner"))
    found = sum(graph.nodes[name].bias for name in graph.nodes["third"].sources)
    np.testing.assert_array_equal(np.rint(total), found)
    assert moved > 500
    for name, threshold in (
        (n, m.threshold.detach()) for n, m in before.named_modules() if isinstance(m, tc.ClipFloorShift)
    ):
        assert network.get_submodule(name).threshold == threshold
        theta = graph.nodes[name].theta.reshape(len(units[name]), -1)[:, 0]
        np.testing.assert_array_equal(theta, np.maximum(np.rint(float(threshold) / units[name]), 1))


def test_the_model_in_training_computes_what_is_lowered(network):
    """The quantised network's levels, from the integers alone, are those of the model's activations but for ties."""
    result, example = _tuned(network, tc.Int8(bits=4, per="channel"))
    spiking = tc.convert(network, tc.QCFS(timesteps=4, schedule="layerwise"), example=example)
    trace = tc.simulate(tc.lower(spiking, result.precision), example)
    seen = {}
    for name, module in network.named_modules():
        if isinstance(module, tc.ClipFloorShift):
            module.register_forward_hook(lambda m, _, y, name=name: seen.update({name: 4 * y / m.threshold}))
    with torch.no_grad():
        logits = network(example).numpy()
    for name, levels in seen.items():
        assert (np.rint(levels.detach().numpy()) != trace.counts[name]).mean() < 0.03, name
    assert (logits.argmax(1) == trace.predictions).mean() > 0.95


def test_it_recovers_what_three_bits_lose():
    """Fine-tuned on training images, measured on others: far better than rounding alone."""
    data, test = open_dataset("digits", None, "train"), open_dataset("digits", None, "test")
    train, validation = data.split(0.1, 0)
    model = models.pretrained("digits-cnn")
    example = train.images(slice(128))
    precision = tc.Int8(bits=3, per="layer")

    def accuracy(chosen):
        network = tc.convert(model, tc.QCFS(timesteps=4), example=example)
        return (tc.simulate(tc.lower(network, chosen), test.images()).predictions == test.labels).mean()

    rounded = accuracy(precision)
    config = FitConfig(epochs=2, batch=64, lr=0.02, weight_decay=0.0)
    result = tc.finetune_quantised(model, train, validation, config, precision, example=example)
    assert accuracy(result.precision) > rounded + 0.1
    assert evaluate(model, test)[1] > rounded + 0.1


def test_a_failed_run_leaves_the_network_as_it_was(network):
    before = copy.deepcopy(network.state_dict())
    broken, validation = _Images(96, 0), _Images(48, 1)
    example = broken.images(slice(64)).clone()
    broken.pixels[50] = float("nan")
    config = FitConfig(epochs=1, batch=16, lr=0.02)
    with pytest.raises(tc.ConversionError, match="the loss became nan"):
        tc.finetune_quantised(network, broken, validation, config, tc.Int8(bits=4), example=example)
    assert isinstance(network.norm, nn.BatchNorm2d)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(m.threshold.requires_grad for m in network.modules() if isinstance(m, tc.ClipFloorShift))


def test_units_belong_to_the_network_they_were_trained_in(network):
    result, example = _tuned(network, tc.Int8(bits=4))
    with torch.no_grad():
        network.hidden.weight[0, 0] += 0.4 * result.precision.units["fourth"][0]
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=example)
    with pytest.raises(tc.ConversionError, match="fourth: its weights are no whole multiples of the units"):
        tc.lower(spiking, result.precision)
    other = nn.Sequential(nn.Flatten(), nn.Linear(72, 3), tc.ClipFloorShift(4), nn.Linear(3, 2)).eval()
    with pytest.raises(tc.ConversionError, match="2: the weights were trained with units for 0 channels"):
        tc.lower(tc.convert(other, tc.QCFS(timesteps=4), example=example), result.precision)
    with pytest.raises(tc.ConversionError, match="the precision has trained units already"):
        _tuned(network, result.precision)


_SPIKES = tc.ClipFloorShift
_REFUSED = {
    "no levels": (lambda: [nn.Flatten(), nn.Linear(72, 3), nn.ReLU(), nn.Linear(3, 2)], "needs ClipFloorShift"),
    "two layers in one synapse": (
        lambda: [nn.Conv2d(2, 3, 1), nn.Conv2d(3, 3, 3), _SPIKES(4), nn.Flatten(), nn.Linear(48, 2)],
        "needs every synapse to be one Conv2d or Linear",
    ),
    "a norm before the layer": (
        lambda: [nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), _SPIKES(4), nn.Flatten(), nn.Linear(48, 2)],
        "right behind the layer it belongs to: 0 is behind input",
    ),
    "a norm behind a max pool": (
        lambda: [nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.BatchNorm2d(3), _SPIKES(4), nn.Flatten(), nn.Linear(12, 2)],
        "right behind the layer it belongs to: 2 is behind 1; let it follow the Conv2d or Linear",
    ),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_what_cannot_be_fine_tuned_is_refused(name):
    layers, message = _REFUSED[name]
    torch.manual_seed(0)
    model = nn.Sequential(*layers()).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(0.3)
    with pytest.raises(tc.ConversionError, match=message):
        _tuned(model, tc.Int8(bits=4))


def test_thresholds_are_those_of_lowering_and_norms_are_neutral(network):
    precision = tc.Int8(bits=4, per="channel")
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=_Images(96, 0).images(slice(64)))
    before = tc.decode(tc.lower(spiking, precision))
    result, example = _tuned(network, precision, epochs=1)
    after = tc.decode(tc.lower(tc.convert(network, tc.QCFS(timesteps=4), example=example), result.precision))
    for one, two in zip(before.populations, after.populations, strict=True):
        assert one.theta.tolist() == two.theta.tolist()
    x = torch.rand(3, 4, 6, 6)
    with torch.no_grad():
        for norm in (network.norm, network.plain):
            added = norm(x) - x
            torch.testing.assert_close(added, added[:1, :, :1, :1].expand_as(added), rtol=0, atol=1e-5)
            assert float(added.abs().max()) > 0.01  # the bias


@pytest.mark.parametrize("scale", ["max", "power_of_two"])
def test_skips_keep_their_weight_and_lowering_rounds_it(network, scale):
    """A skip of weight 1: as many units as one spike of its source is worth, whole but for powers of two."""
    result, example = _tuned(network, tc.Int8(bits=4, scale=scale), epochs=1)
    graph = tc.decode(tc.lower(tc.convert(network, tc.QCFS(timesteps=4), example=example), result.precision))
    (skip,) = (
        graph.nodes[name] for name in graph.nodes["third"].sources if np.unique(graph.nodes[name].weight).size == 1
    )
    worth = float(network.first.threshold) / result.precision.units["third"][0] / 2**skip.weight_exp
    assert (abs(worth - round(worth)) < 1e-4) == (scale == "max")
    assert set(skip.weight.flat) == {round(worth) * 2**skip.weight_exp}


def test_another_method_is_refused(network):
    result, example = _tuned(network, tc.Int8(bits=4), epochs=1)
    spiking = tc.convert(network, tc.Graded(levels=7), example=example, calibration=example)
    with pytest.raises(tc.ConversionError, match="converted by another method"):
        tc.lower(spiking, result.precision)

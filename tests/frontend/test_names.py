"""Node names: the user's layer names wherever NIR and the profile allow them, each once."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import spikec as tc


@pytest.fixture
def node_names(images):
    """Names of the populations, and of all nodes, of the NIR graph of a network."""

    def convert(network):
        torch.manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.uniform_(layer.bias, 0.1, 0.5)  # no layer is silent
        spiking = tc.convert(network.eval(), tc.QCFS(timesteps=2), example=images, calibration=images)
        graph = tc.lower(spiking)
        trace = tc.simulate(graph, images)
        assert list(trace.counts) == list(spiking.neurons)
        assert all(re.fullmatch(r"[A-Za-z0-9_.]+", name) for name in graph.nodes)
        return list(trace.counts), list(graph.nodes)

    return convert


def _named(*names):
    """conv, ReLU, conv, ReLU, flatten, Linear under the given names."""

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [nn.Conv2d(4, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)]
            for name, layer in zip(names, layers, strict=True):
                self.add_module(name, layer)

        def forward(self, x):
            for name in names:
                x = getattr(self, name)(x)
            return x

    return Named()


def test_layers_keep_their_names(node_names):
    populations, nodes = node_names(_named("conv1", "relu1", "conv2", "relu2", "flatten", "classifier"))
    assert populations == ["relu1", "relu2"]
    assert nodes == [
        "input", "conv1", "relu1", "conv2", "relu2", "classifier.flatten", "classifier", "readout", "output"
    ]  # fmt: skip


def test_names_of_the_profile_are_not_given_away(node_names):
    populations, nodes = node_names(_named("input", "output", "conv", "readout", "flatten", "linear"))
    assert populations == ["output_1", "readout_1"]
    assert {"input", "input_1", "output", "readout"} < set(nodes)


def test_characters_that_nir_forbids_become_underscores(node_names):
    populations, _ = node_names(_named("a/b", "größe", "a b", "x-1", "(f)", "n"))
    assert populations == ["gr__e", "x_1"]


def test_names_that_become_equal_are_numbered(node_names):
    populations, nodes = node_names(_named("c-1", "a-b", "c_1", "a_b", "c_1_1", "a_b_1"))
    assert populations == ["a_b", "a_b_1"]
    assert len(set(nodes)) == len(nodes)


@pytest.mark.parametrize("pool", [False, True])
def test_python_keywords_get_an_underscore(node_names, pool):
    network = _named("in", "if", "in_", "class", "flatten", "lambda")
    network = tc.replace_max_pool(network) if pool else network
    populations, nodes = node_names(network)
    assert populations == ["if_", "class_"]
    assert {"in_", "in__1", "lambda_.flatten"} < set(nodes)
    assert dict(network.named_children()).keys() >= {"in", "if"}  # the user's network is as it was


def test_nested_layers_have_dotted_names(node_names):
    block = nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU())
    network = nn.Sequential(block, nn.Sequential(nn.Sequential(nn.Conv2d(3, 3, 1)), nn.ReLU()), nn.Flatten())
    populations, nodes = node_names(nn.Sequential(network, nn.Linear(144, 3)))
    assert populations == ["0.0.1", "0.1.1"]
    assert "0.1.0.0" in nodes


def test_shared_activation_becomes_one_population_per_call(node_names):
    relu = nn.ReLU()
    layers = [nn.Conv2d(4, 3, 1), relu, nn.Conv2d(3, 3, 1), relu, nn.Flatten(), nn.Linear(144, 3)]
    assert node_names(nn.Sequential(*layers))[0] == ["1", "1_1"]


def test_shared_trained_activation_has_one_neuron_layer_per_call(images):
    shared = tc.ClipFloorShift(levels=4, threshold=0.7)
    network = nn.Sequential(nn.Conv2d(4, 3, 1), shared, nn.Conv2d(3, 3, 1), shared, nn.Flatten(), nn.Linear(144, 3))
    spiking = tc.convert(network.eval(), tc.QCFS(timesteps=4), example=images)
    first, second = spiking.neurons.values()
    assert first is not second
    assert float(first.threshold) == float(second.threshold) == pytest.approx(0.7)


def test_shared_convolution_keeps_its_weights_for_every_call(images):
    shared = nn.Conv2d(4, 4, 3, padding=1)
    network = nn.Sequential(shared, nn.BatchNorm2d(4), nn.ReLU(), shared, nn.ReLU(), nn.Flatten(), nn.Linear(192, 3))
    nn.init.uniform_(network[1].weight, 2, 3)
    network.eval()
    spiking = tc.convert(network, tc.Graded(levels=255), example=images, calibration=images)
    with torch.no_grad():
        expected, found = network(images), spiking(images)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_functional_calls_are_named_after_the_function(network, images):
    spiking = tc.convert(
        network(lambda n, x: n.head(torch.relu(n.conv(x)) + n.other(x).relu())),
        tc.QCFS(timesteps=2),
        example=images,
        calibration=images,
    )
    assert list(spiking.neurons) == ["relu", "relu_1", "relu_2"]

"""Small versions of every family as integer spiking networks: converted, lowered, simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.analysis.formats import load_format
from spikec.ir import as_integer
from spikec.models.zoo.lenet import lenet5
from spikec.models.zoo.mobilenet_v1 import MobileNetV1
from spikec.models.zoo.mobilenet_v2 import MobileNetV2
from spikec.models.zoo.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalize
from spikec.models.zoo.resnet import ResNet
from spikec.models.zoo.resnet_cifar import CifarResNet
from spikec.models.zoo.squeezenet import SqueezeNet
from spikec.models.zoo.vgg import VGG
from spikec.quantization.lowering import integer_graph

CIFAR, SMALL = (3, 32, 32), (3, 16, 16)
Randomized = Callable[[nn.Module], nn.Module]
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "lenet5": (lambda: lenet5(10, 1, nn.ReLU), (1, 28, 28)),
    "vgg11": (lambda: VGG(11, 10, 3, nn.ReLU, width=4), CIFAR),
    "resnet18": (lambda: ResNet(18, 10, 3, nn.ReLU, width=4), SMALL),
    "resnet18-imagenet": (lambda: ResNet(18, 10, 3, nn.ReLU, width=4, stem="imagenet"), (3, 64, 64)),
    "resnet20": (lambda: CifarResNet(20, 10, 3, nn.ReLU, width=4), SMALL),
    "resnet20-b": (lambda: CifarResNet(20, 10, 3, nn.ReLU, width=4, option="B"), SMALL),
    "resnet20-normalized": (
        lambda: CifarResNet(20, 10, 3, nn.ReLU, width=4, normalize=Normalize(IMAGENET_MEAN, IMAGENET_STD)),
        SMALL,
    ),
    "mobilenetv1": (lambda: MobileNetV1(10, 3, nn.ReLU, width=4), CIFAR),
    "mobilenetv2": (lambda: MobileNetV2(10, 3, nn.ReLU, width=8), SMALL),
    "squeezenet": (lambda: SqueezeNet(10, 3, nn.ReLU, width=16), SMALL),
}


@dataclass(frozen=True)
class Wide:
    """Weights of 18 bits: rounding hardly matters, so that what is left is how operations were composed."""

    per: Literal["layer"] = "layer"
    scale: Literal["max"] = "max"

    def bits_of(self, *names: str) -> int:
        return 18

    def settings(self) -> dict[str, str]:
        return {"weights": "int18"}


def share_of_equal_counts(trace: tc.Trace, counts: dict[str, torch.Tensor]) -> float:
    equal = sum(int((trace.counts[name] == n.numpy()).sum()) for name, n in counts.items())
    return equal / sum(n.numel() for n in counts.values())


@pytest.mark.parametrize("name", list(NETWORKS))
def test_integer_network_spikes_as_the_float_one(randomized: Randomized, name: str) -> None:
    build, shape = NETWORKS[name]
    model, images = randomized(build()), torch.randint(0, 256, (4, *shape)) / 255
    network = tc.convert(model, tc.QCFS(2), example=images, calibration=images)
    counts = network.counts(images)
    assert np.mean([float((n > 0).float().mean()) for n in counts.values()]) > 0.1
    wide = replace(load_format("generic24"), weight_bits=18, threshold_max=2**31)
    trace = tc.simulate(integer_graph(network, Wide(), wide), images)
    # A potential on the threshold to the precision of float32 may go either way, and changes what follows.
    assert share_of_equal_counts(trace, counts) > 0.97
    deployed = tc.simulate(tc.lower(network), images)
    assert share_of_equal_counts(deployed, counts) > 0.75
    first = next(iter(counts))
    assert (deployed.counts[first] == counts[first].numpy()).mean() > 0.98


def test_linear_bottlenecks_compose_into_one_synapse_per_source(randomized: Randomized) -> None:
    """Projection, additions and the next expansion have no neurons between them: every expansion reads, through one
    1x1 synapse each, the depthwise layers of all blocks whose sums reach it."""
    model, images = randomized(MobileNetV2(10, 3, nn.ReLU, width=8)), torch.rand(1, *SMALL)
    graph = as_integer(tc.lower(tc.convert(model, tc.QCFS(2), example=images, calibration=images)))
    # features.8, 9 and 10 add to what features.7 projects; features.11 projects to another width and adds nothing.
    expected = {8: [7], 9: [7, 8], 10: [7, 8, 9], 11: [7, 8, 9, 10], 12: [11]}
    for block, blocks in expected.items():
        population = graph.nodes[f"features.{block}.conv.0.2"]
        sources = {graph.nodes[synapse].sources[0] for synapse in population.sources}
        assert sources == {f"features.{b}.conv.1.2" for b in blocks}
        assert all(graph.nodes[synapse].weight.shape[2:] == (1, 1) for synapse in population.sources)
    assert sum(synapse.weight.size for synapse in graph.synapses) > sum(p.numel() for p in model.parameters())


def test_the_border_that_normalised_images_leave_becomes_neurons_that_always_fire(randomized: Randomized) -> None:
    build, shape = NETWORKS["resnet20-normalized"]
    model, images = randomized(build()), torch.rand(2, *shape)
    graph = tc.lower(tc.convert(model, tc.QCFS(2), example=images, calibration=images))
    spikes = tc.simulate(graph, images, record="spikes").spikes["ones.16x16"]
    assert spikes.shape[-2:] == shape[1:]
    assert (spikes == 1).all()


def test_classifier_of_squeezenet_pools_before_it_multiplies(randomized: Randomized) -> None:
    """A 1x1 convolution and a global mean commute; the other order would store one weight per pixel."""
    model, images = randomized(SqueezeNet(10, 3, nn.ReLU, width=16)), torch.rand(2, *SMALL)
    graph = as_integer(tc.lower(tc.convert(model, tc.QCFS(2), example=images, calibration=images)))
    weights = sum(synapse.weight.size for synapse in graph.synapses)
    assert weights <= sum(p.numel() for p in model.parameters())

"""The folded graph of every reference architecture computes what the module computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from helpers.thorough import every_second
from torch import Tensor, nn

import spikec as tc
from spikec.frontend import MaxPool, Staircase, canonicalize, is_activation
from spikec.models.zoo import REGISTRY
from spikec.models.zoo.resnet import ResNet
from spikec.training import ClipFloorShift

TOLERANCE = 1e-4
Randomized = Callable[[nn.Module], nn.Module]


def assert_folds(model: nn.Module, images: Tensor) -> None:
    """``model`` in eval mode."""
    graph = canonicalize(model, images)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in graph.modules())
    with torch.no_grad():
        expected, found = model(images), graph(images)
    peak = expected.abs().max()
    # Outputs that do not depend on the image would be equal whatever the layers before did.
    assert (expected[0] - expected[1]).abs().max() > 0.01 * peak
    assert (expected - found).abs().max() <= TOLERANCE * peak


def untrained(name: str, activation: Callable[[], nn.Module]) -> tuple[nn.Module, tuple[int, int, int]]:
    """A network of the registry; those for ImageNet get small images where their layers allow it."""
    entry = REGISTRY[name]
    channels, height, _ = entry.input_shape
    # A VGG of full width has 130 million parameters behind its 7x7 maps, which need large images.
    if name.startswith("vgg") and height > 32:
        assert isinstance(entry.build, partial)
        return entry.build(10, channels, activation, width=8), entry.input_shape
    size = min(height, 64)
    return entry.build(10, channels, activation), (channels, size, size)


@pytest.mark.parametrize("name", list(REGISTRY))
def test_every_reference_architecture_folds(randomized: Randomized, name: str) -> None:
    model, shape = untrained(name, nn.ReLU)
    assert_folds(randomized(model), torch.randn(2, *shape))


@pytest.mark.parametrize(
    "name", ["lenet5", "vgg11", "resnet18", "resnet20", "mobilenetv1", "mobilenetv2", "squeezenet"]
)
def test_with_trained_activations(randomized: Randomized, name: str) -> None:
    # Many levels: a rounding difference moves an activation by one of them at most.
    model, shape = untrained(name, partial(ClipFloorShift, 2**14, 8.0))
    images = torch.randn(2, *shape)
    graph = canonicalize(randomized(model), images)
    with torch.no_grad():
        torch.testing.assert_close(graph(images), model(images), rtol=1e-2, atol=1e-2)
    clipped = [m for m in graph.modules() if isinstance(m, Staircase)]
    assert len(clipped) == sum(isinstance(m, ClipFloorShift) for m in model.modules())


def torchvision_network(name: str) -> nn.Module:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        pytest.skip(f"torchvision is not usable here: {error}")
    options = {"init_weights": False} if name.startswith(("vgg", "googlenet")) else {}
    options |= {"aux_logits": False} if name == "googlenet" else {}
    network: nn.Module = getattr(models, name)(weights=None, **options)
    return network


@pytest.mark.parametrize(
    ("name", "size", "pools"),
    every_second(
        [
            ("vgg11_bn", 32, 5),
            ("vgg16_bn", 32, 5),
            ("resnet18", 64, 1),
            ("resnet34", 64, 1),
            ("mobilenet_v2", 64, 0),
            ("resnet50", 64, 1),
        ]
    ),
)
def test_torchvision_networks_fold(
    randomized: Randomized, name: str, size: int, pools: int, recwarn: pytest.WarningsRecorder
) -> None:
    model = tc.replace_max_pool(torchvision_network(name))
    said = [str(w.message) for w in recwarn if "average pool now" in str(w.message)]
    assert [text.split()[0] for text in said] == ([str(pools)] if pools else [])
    assert_folds(randomized(model), torch.randn(2, 3, size, size))


@pytest.mark.parametrize(
    ("name", "size", "pools"),
    every_second(
        [
            ("resnet18", 64, 1),
            ("resnet50", 64, 1),
            ("squeezenet1_1", 64, 5),
            ("vgg16", 32, 5),
            ("googlenet", 64, 43),
        ]
    ),
)
def test_torchvision_networks_keep_their_max_pools(randomized: Randomized, name: str, size: int, pools: int) -> None:
    """As they are; the pool of a concatenation is one for each of its parts."""
    model, images = randomized(torchvision_network(name)), torch.randn(2, 3, size, size)
    assert_folds(model, images)
    modules = canonicalize(model, images).modules()
    assert sum(isinstance(module, MaxPool) for module in modules) == pools


def activations(graph: Any) -> list[str]:
    return [
        n.target for n in graph.graph.nodes if n.op == "call_module" and is_activation(graph.get_submodule(n.target))
    ]


def test_overlapping_pool_before_a_padded_layer_gets_neurons() -> None:
    images = torch.randn(1, 3, 64, 64)
    imagenet = canonicalize(ResNet(18, 10, 3, nn.ReLU, stem="imagenet", width=8), images)
    cifar = canonicalize(ResNet(18, 10, 3, nn.ReLU, width=8), images)
    assert activations(imagenet)[:2] == ["act1", "pool_neurons"]
    assert len(activations(imagenet)) == len(activations(cifar)) + 1


@pytest.mark.parametrize(
    "layers",
    [
        [nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, padding=1)],  # no overlap: a pool of spikes
        [nn.AvgPool2d(3, 2, 1), nn.Conv2d(4, 4, 1)],  # no padding after it: one synapse
        [nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)],
    ],
)
def test_other_layers_get_none(layers: list[nn.Module]) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), *layers, nn.ReLU(), nn.Conv2d(4, 2, 3))
    images = torch.randn(1, 1, 12, 12)
    assert not any("neurons" in name for name in activations(canonicalize(model, images)))


def test_pool_of_pixels_gets_none() -> None:
    """Pixels may be negative, so that neurons in front of them would change the network."""
    model = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3))
    assert activations(canonicalize(model, torch.randn(1, 1, 8, 8))) == ["2"]


def test_two_paths_through_an_overlapping_pool(randomized: Randomized) -> None:
    """The pool's neurons feed both the padded convolution and the skip around it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
            self.pool, self.fc = nn.AvgPool2d(3, 1, 1), nn.Linear(3 * 36, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.pool(torch.relu(self.a(x)))
            return self.fc(torch.relu(self.b(x) + x).flatten(1))

    assert_folds(randomized(Net()), torch.randn(2, 1, 6, 6))
    graph = canonicalize(Net(), torch.randn(1, 1, 6, 6))
    assert activations(graph) == ["relu", "pool_neurons", "relu_1"]

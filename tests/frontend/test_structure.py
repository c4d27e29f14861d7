"""Networks of accepted operations in an order that gives no spiking network, and what cannot be traced at all."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.frontend import canonicalize


def _convert(network, images):
    return tc.convert(network, tc.QCFS(timesteps=4), example=images, calibration=images)


_REFUSED = {
    "no activation": (
        lambda n, x: n.linear(n.conv(x).flatten(1)),
        "the network has no activation, so there is nothing that could spike; add ReLU layers",
    ),
    "activation of the image": (
        lambda n, x: n.linear(F.relu(x).flatten(1)),
        r"\S+:\d+ \(relu\): an activation has no linear operation before it; put a Conv2d or Linear layer there",
    ),
    "activation of an activation": (
        lambda n, x: n.linear(F.relu(n.relu(n.conv(x))).flatten(1)),
        r"\S+:\d+ \(relu\): an activation has no linear operation before it; put a Conv2d or Linear layer there",
    ),
    "ends in an activation": (
        lambda n, x: F.relu(n.head(n.conv(x))),
        r"\S+:\d+ \(relu\): the network ends in an activation; end it in a linear layer \(the readout\)",
    ),
    "returns a number beside a tensor": (
        lambda n, x: (n.head(n.conv(x)), 3),
        "the network returns a int among its outputs; it must return one tensor, or tensors in a tuple, list or "
        "dictionary",
    ),
    "returns a dictionary in a tuple": (
        lambda n, x: (x, {"logits": n.head(n.conv(x))}),
        "the network returns a dict among its outputs; it must return one tensor, or tensors in a tuple, "
        "list or dictionary",
    ),
    "returns an empty tuple": (lambda n, x: (), "the network returns nothing; it must return one tensor, or several"),
    "returns a number": (
        lambda n, x: 3,
        "the network returns a int; it must return one tensor, or tensors in a tuple, list or dictionary",
    ),
    "returns a parameter": (
        lambda n, x: n.linear.weight * 2,
        "the network returns a constant: its output does not depend on the image",
    ),
    "wrong image size": (
        lambda n, x: n.small(n.relu(n.conv(x)).flatten(1)),
        r"the network fails on example images of shape \(2, 4, 8, 6\) at \S+:\d+ \(small\): mat1 and mat2 .*",
    ),
    "not a number": (
        lambda n, x: n.head(F.conv2d(x, n.conv.weight * n.broken[..., None], padding=1)),
        "the network returns values that are not finite on the example images",
    ),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_structure_is_refused(name, network, images):
    run, sentence = _REFUSED[name]
    with pytest.raises(tc.ConversionError) as error:
        _convert(network(run, broken=torch.full((4, 1, 1), torch.nan)), images)
    assert re.fullmatch(sentence, str(error.value)), str(error.value)


def test_two_images_are_refused(images):
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))

        def forward(self, left, right):
            return self.layers(left + right)

    with pytest.raises(tc.ConversionError, match="the network takes 2 inputs; exactly one image tensor is supported"):
        _convert(Siamese(), images)


def test_one_output_in_a_dictionary_is_that_output(network, images, assert_equal):
    model = network(lambda n, x: {"logits": n.head(n.conv(x)), "auxiliary": None})
    graph = canonicalize(model, images[:2])
    torch.testing.assert_close(graph(images), {"logits": model(images)["logits"]})


def test_forward_hook_that_only_looks_is_no_obstacle(network, images):
    model = network(lambda n, x: n.head(n.conv(x)))
    model.conv.register_forward_hook(lambda module, inputs, output: None)
    assert _convert(model, images)


def test_staircases_are_compared_without_their_steps(network, images):
    """One level per staircase: a pre-activation on the edge of a step must not count as a difference."""
    activation = tc.ClipFloorShift(levels=1, threshold=1.0)
    model = network(lambda n, x: n.linear(n.activation(n.norm(n.conv(x))).flatten(1)), activation=activation)
    assert _convert(model, images)
    assert activation.levels == 1


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)),
        # ends in a pool of spikes, as SqueezeNet does
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        # ends in a convolution
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU(), nn.Conv2d(3, 5, (8, 6)), nn.Flatten()),
        # a scale is a linear operation
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU(), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)),
    ],
)
def test_structure_is_accepted(model, images):
    torch.manual_seed(0)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.uniform_(layer.bias, 0.1, 0.5)
    assert tc.lower(_convert(model.eval(), images))


def _plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).eval()


def _normalised():
    """Old-style weight normalisation keeps a computed weight, which Python's copy refuses."""
    network = _plain()
    network[0] = nn.utils.weight_norm(network[0])
    network(torch.rand(1, 4, 8, 6))
    return network


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.DataParallel(_plain()),
        lambda: torch.compile(_plain()),
        lambda: _plain().double(),
        _normalised,
        lambda: torch.jit.script(_plain()),
    ],
    ids=["DataParallel", "torch.compile", "double", "weight_norm", "scripted"],
)
def test_wrapped_networks_are_converted(make, images):
    found, expected = _convert(make(), images)(images), _convert(_plain(), images)(images)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Sequential(nn.LazyConv2d(3, 3)), "the network has lazy layers without weights; run it on an image"),
        (lambda: "resnet18", r"expected a torch\.nn\.Module, got str"),
    ],
)
def test_what_cannot_be_traced_is_refused(make, sentence, images):
    with pytest.raises(tc.ConversionError, match=f"^{sentence}"):
        _convert(make(), images)


def test_arithmetic_with_the_batch_size_is_noticed(network, images):
    with pytest.raises(
        tc.ConversionError, match=r"on the size of the batch outside of PyTorch's operators; remove it$"
    ):
        _convert(network(lambda n, x: n.head(n.conv(x)) / x.size(0)), images)


def test_a_batch_size_written_into_a_view_is_no_obstacle(network, images):
    assert _convert(network(lambda n, x: n.linear(n.relu(n.conv(x)).view(2, -1))), images)

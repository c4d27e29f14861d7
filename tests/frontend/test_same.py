"""Whether two networks compute the same, and the layer that is named where they do not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from spikec.errors import ConversionError
from spikec.frontend.same import difference, draws, outputs, require_same

X = torch.rand(4, 1, 6, 6)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 3)).eval()


@pytest.mark.parametrize("layer", ["0", "2", "4"])
def test_the_first_layer_that_differs_is_named(layer: str) -> None:
    model = network()
    other = copy.deepcopy(model)
    require_same(model, other, draws(X), "it", (model, other))
    with torch.no_grad():
        other.get_submodule(layer).bias[0] += 1.0
    with pytest.raises(ConversionError, match=f"it computes something else than the network from layer {layer} on"):
        require_same(model, other, draws(X), "it", (model, other))


def test_what_no_layer_does() -> None:
    model = network()
    with pytest.raises(ConversionError, match=r"behind its last layer .*relative error"):
        require_same(model, lambda x: model(x) * 1.001, draws(X), "it", (model, model))


def test_draws_lie_in_the_range_of_the_example_and_differ() -> None:
    images = draws(X * 3 - 1)
    assert images[0] is not None
    assert all(float(each.min()) >= float(images[0].min()) for each in images)
    assert all(float(each.max()) <= float(images[0].max()) for each in images)
    assert not torch.equal(images[1], images[2])


def test_values_that_only_other_images_have() -> None:
    def depends(x: Tensor) -> Tensor:
        return x * 2 if torch.equal(x, X) else x

    problem = difference(outputs(lambda x: x * 2, draws(X)), depends, draws(X))
    assert problem is not None
    assert problem.endswith("on random images")


def test_infinite_values_and_refused_ones() -> None:
    def asserts(x: Tensor) -> Tensor:
        assert torch.equal(x, X)
        return x / 0

    assert difference(outputs(asserts, draws(X)), lambda x: x / 0, draws(X)) is None
    assert difference(outputs(asserts, draws(X)), lambda x: x / 0 * -1, draws(X)) is not None
    assert difference(outputs(lambda x: [x, {"a": x}], draws(X)), lambda x: (x, x), draws(X)) is None
    assert difference(outputs(lambda x: x, draws(X)), lambda x: x[:1], draws(X)) == "other shapes on the example images"
    assert difference(outputs(torch.rand_like, draws(X)), torch.rand_like, draws(X)) is None

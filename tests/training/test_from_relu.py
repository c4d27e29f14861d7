"""ReLU networks made ready for fine-tuning: activations, thresholds, normalisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from spikec.errors import ConversionError
from spikec.training import (
    ClipFloorShift,
    fold_normalisation,
    initialise_thresholds,
    replace_relu,
)


def test_relus_are_replaced_everywhere_and_thresholds_are_quantiles_of_what_they_carry() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    model = nn.Sequential(inner, nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(50, 6)
    with torch.no_grad():
        first = inner(x)
        second = model[2](model[1](first))
    assert replace_relu(model, lambda: ClipFloorShift(4, 8.0)) == 2
    thresholds = initialise_thresholds(model, x, quantile=0.9)
    assert thresholds["0.1"] == pytest.approx(float(np.quantile(first.numpy(), 0.9)))
    assert thresholds["2"] == pytest.approx(float(np.quantile(second.numpy(), 0.9)))
    assert float(model[2].threshold) == pytest.approx(thresholds["2"])
    assert replace_relu(model, lambda: ClipFloorShift(4, 8.0)) == 0
    with pytest.raises(ConversionError, match="replace_relu"):
        initialise_thresholds(nn.Linear(2, 2), torch.rand(1, 2))


def test_hooks_stay_and_so_do_layers_that_compute_something_else() -> None:
    class Own(nn.ReLU):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x) - 1

    set_here, hooked = nn.ReLU(), nn.ReLU6()
    set_here.forward = lambda x: torch.relu(x) * 2  # type: ignore[method-assign]
    hooked.register_forward_hook(lambda module, given, result: result * 2)
    hooked.register_forward_pre_hook(lambda module, given: (given[0] + 1,))
    model = nn.Sequential(Own(), set_here, hooked)
    assert replace_relu(model, lambda: ClipFloorShift(None, 6.0)) == 1
    assert isinstance(model[2], ClipFloorShift)
    x = torch.randn(20)
    assert torch.equal(model(x), ((torch.relu(x) - 1).relu() * 2 + 1).clamp(0, 6) * 2)


def test_a_relu_under_two_names_is_replaced_by_two_activations() -> None:
    """One threshold for both would be refused; one left as it was would be a ReLU in a trained network."""
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu)
    assert replace_relu(model, lambda: ClipFloorShift(4, 8.0)) == 2
    assert isinstance(model[1], ClipFloorShift)
    assert isinstance(model[3], ClipFloorShift)
    assert model[1] is not model[3]


@pytest.mark.parametrize("bias", [True, False])
def test_folded_normalisation_takes_raw_images(bias: bool) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, bias=bias), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)]
    model = nn.Sequential(*layers)
    mean, deviation = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    x = torch.rand(30, 3, 6, 6)
    normalised = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None]
    model(normalised)
    model.eval()
    expected = model(normalised)
    fold_normalisation(model, mean, deviation)
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)


def test_normalisation_that_has_nowhere_to_go_is_refused() -> None:
    for model in (
        nn.Sequential(nn.Linear(3, 3)),
        nn.Sequential(nn.Conv2d(1, 3, 3)),
        nn.Sequential(nn.Conv2d(3, 3, 3, bias=False), nn.ReLU()),
    ):
        with pytest.raises(ConversionError):
            fold_normalisation(model, (0.5,) * 3, (0.2,) * 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, x: initialise_thresholds(model, x * float("nan")), "no finite activation"),
        (lambda model, x: initialise_thresholds(model, x[:0]), "no finite activation"),
        (lambda model, x: initialise_thresholds(model, x, quantile=2.0), "quantile"),
        (lambda model, x: fold_normalisation(model, [0.5], [0.0]), "one positive deviation"),
    ],
)
def test_mistakes_are_one_sentence(
    model: nn.Sequential, images: torch.Tensor, call: Callable[..., object], message: str
) -> None:
    with pytest.raises(ConversionError, match=message):
        call(model, images)

"""A network run as a spiking network for T steps, and the noise that is measured on such runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import spikec as tc
from spikec.conversion import Method
from spikec.errors import ConversionError, ToolchainError
from spikec.ir.kinds import IF, kind_named
from spikec.training import (
    ClipFloorShift,
    ResidualNoise,
    evaluate,
    initialise_thresholds,
    residual_errors,
    spiking,
    spiking_logits,
)
from spikec.training.spiking import SpikingForward


def plain_loop(currents: np.ndarray, theta: float) -> np.ndarray:
    """Spike count of one layer from its input currents [T, ...], neuron by neuron."""
    counts = np.zeros(currents.shape[1:], dtype=int)
    for index in np.ndindex(*counts.shape):
        v = theta / 2
        for current in currents[(slice(None), *index)]:
            v += current
            if v >= theta:
                v -= theta
                counts[index] += 1
    return counts


def test_first_layer_counts_equal_a_plain_loop_over_neurons(model: nn.Sequential, images: torch.Tensor) -> None:
    model.eval().double()
    with spiking(model) as neurons:
        spiking_logits(model, neurons, images.double(), 4)
        total = neurons["2"].total
    with torch.no_grad():
        current = model[1](model[0](images.double())).numpy()
    counts = plain_loop(np.stack([current] * 4), float(model[2].threshold))
    assert np.array_equal((total / model[2].threshold).round().detach().numpy().astype(int), counts)


@pytest.mark.parametrize("timesteps", [1, 3, 4])
@pytest.mark.parametrize("method", [tc.QCFS, tc.ErrorCompensation])
def test_logits_and_counts_equal_those_of_the_converted_network(
    model: nn.Sequential, images: torch.Tensor, method: type[Method], timesteps: int
) -> None:
    model.eval().double()
    with spiking(model, method(timesteps).neuron(4).kind.name) as neurons:
        logits = spiking_logits(model, neurons, images.double(), timesteps)
        totals = {name: neuron.total for name, neuron in neurons.items()}
    network = tc.convert(model.float(), method(timesteps), example=images)
    counts = network.counts(images)
    assert list(counts) == list(totals)
    for name, total in totals.items():
        own = (total / float(model.get_submodule(name).threshold)).round()
        # Folding batch norm reorders float32 sums: a membrane on the edge may fall on the other side.
        assert (own != counts[name]).double().mean() < 0.01, name
    torch.testing.assert_close(logits.float(), network(images), atol=0.3, rtol=0)


@given(
    currents=st.lists(st.floats(-2, 2), min_size=1, max_size=4),
    threshold=st.floats(0.3, 3),
    neuron=st.sampled_from(["if", "signed_if"]),
)
def test_gradient_of_a_spike_is_the_triangle(currents: list[float], threshold: float, neuron: str) -> None:
    """Against the chain rule step by step: ds/dv = max(0, 1 - abs(v - 1)), for negative spikes max(0, 1 - abs(v))."""
    theta = torch.tensor(threshold, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(currents, dtype=torch.float64, requires_grad=True)
    layer = SpikingForward(theta, kind_named(neuron)())
    layer.reset(len(currents))
    torch.stack([layer(one) for one in x]).sum().backward()

    v, count, slope_v, total, by_theta = 0.5, 0, np.zeros(len(currents)), np.zeros(len(currents)), 0.0
    slope_theta = 0.0  # dv / dtheta; slope_v: dv / dx of every step
    for step, current in enumerate(currents):
        v += current / threshold
        slope_v[step] += 1 / threshold
        slope_theta -= current / threshold**2
        up, down = v >= 1, neuron == "signed_if" and v < 0
        s = int(up and (neuron == "if" or count < len(currents))) - int(down and count > 0)
        allowed = (neuron == "if" or count < len(currents)) * max(0.0, 1 - abs(v - 1))
        if neuron == "signed_if" and v < 1 and count > 0:
            allowed += max(0.0, 1 - abs(v))
        by_theta += s + threshold * allowed * slope_theta
        total += threshold * allowed * slope_v
        slope_theta -= allowed * slope_theta
        slope_v -= allowed * slope_v
        v, count = v - s, count + s
    assert x.grad is not None
    assert theta.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), total, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(float(theta.grad), by_theta, rtol=1e-9, atol=1e-9)


def test_model_is_itself_again_afterwards(model: nn.Sequential, images: torch.Tensor) -> None:
    model.eval()
    expected = model(images)
    model.train()
    with spiking(model):
        assert not model.training
        assert not torch.equal(model(images), expected)
    assert model.training
    model.eval()
    assert torch.equal(model(images), expected)


def test_modules_in_a_mode_of_their_own_keep_it(model: nn.Sequential, images: torch.Tensor, data: Any) -> None:
    """A batch norm frozen in eval mode went on learning its statistics after an evaluation of the network."""
    model[1].eval()
    evaluate(model, data, timesteps=2)
    residual_errors(model, data, 2)
    initialise_thresholds(model, images)
    with pytest.raises(ZeroDivisionError), spiking(model):
        raise ZeroDivisionError
    assert [module.training for module in model] == [True, False, True, True, True, True, True, True]


def test_two_uses_of_one_module_are_refused() -> None:
    shared = ClipFloorShift(4, 1.0)
    model = nn.Sequential(nn.Linear(3, 3), shared, nn.Linear(3, 3), shared)
    with spiking(model) as neurons, pytest.raises(ConversionError, match="2 times"):
        spiking_logits(model, neurons, torch.rand(2, 3), 4)
    with pytest.raises(ConversionError, match="more than once"):
        initialise_thresholds(model, torch.rand(2, 3))
    with pytest.raises(ConversionError), spiking(nn.Linear(2, 2)):
        pass


def test_residual_error_is_the_deviation_between_activation_and_rate(
    model: nn.Sequential, images: torch.Tensor, data: Any
) -> None:
    model.eval()
    errors = residual_errors(model, data, timesteps=3, batch=10)
    with torch.no_grad():
        z = model[1](model[0](images))
        rate = plain_loop(np.stack([z.numpy()] * 3), float(model[2].threshold)) * float(model[2].threshold) / 3
        gap = model[2](z).numpy() - rate
    expected = np.sqrt(np.mean([gap[:10].var(ddof=1), gap[10:].var(ddof=1)]))
    assert errors["2"] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert set(errors) == {"2", "6"}
    assert errors["6"] > 0


def test_a_constant_input_over_many_steps_leaves_the_first_layer_only_its_quantisation_error(
    model: nn.Sequential, data: Any
) -> None:
    # With T = L a constant current gives exactly the level (one layer, nothing accumulates).
    model.eval().double()
    assert residual_errors(model, data.double(), timesteps=4)["2"] == pytest.approx(0, abs=1e-7)
    assert residual_errors(model, data.double(), timesteps=1)["2"] > 0.01


def test_residual_noise_sets_sigma_and_survives_training_mode(model: nn.Sequential, data: Any) -> None:
    for activation in (model[2], model[6]):
        activation.sigma = 9.0  # the noise of the epoch before must not leak into the measurement
    ResidualNoise(data, timesteps=2)(model)
    assert model.training
    expected = residual_errors(model, data, timesteps=2)
    assert (model[2].sigma, model[6].sigma) == (expected["2"], expected["6"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, data: residual_errors(model, data, 0), "at least 1"),
        (lambda model, data: residual_errors(model, data.first(0), 2), "holds no image"),
        (lambda model, data: ResidualNoise(data, 2.5), "whole number"),
        (lambda model, data: evaluate(model, data.first(0)), "holds no image"),
        (lambda model, data: evaluate(model, data, timesteps=-1), "of at least 0, not -1"),
        (lambda model, data: evaluate(model, data, timesteps=2, neuron="IF"), "neuron is one of if, signed_if, not"),
        (lambda model, data: SpikingForward(torch.ones(()), IF(spikes=3)), "run without spikes, which if was given"),
        (lambda model, data: evaluate(model, data, batch=0), "batch must be a whole number of at least 1"),
        (lambda model, data: evaluate(model, data, device="gpu"), "device 'gpu' cannot be used"),
    ],
)
def test_mistakes_are_one_sentence(model: nn.Sequential, data: Any, call: Callable[..., object], message: str) -> None:
    with pytest.raises(ToolchainError, match=message):
        call(model, data)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.AdaptiveMaxPool2d((3, 2)),
        lambda x: F.max_pool2d(kernel_size=2, input=x, ceil_mode=True),
        lambda x: torch.max_pool2d(x, 3),
        lambda x: x.amax((2, 3), keepdim=True),
    ],
)
@pytest.mark.parametrize("method", [tc.QCFS, tc.ErrorCompensation])
def test_max_pools_behind_activations_send_what_those_of_the_converted_network_send(
    pool: Callable[[torch.Tensor], torch.Tensor], method: type[Method]
) -> None:
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 4, 3), ClipFloorShift(4, 0.6), nn.Conv2d(4, 5, 3, padding=1), ClipFloorShift(4, 0.2)]

    class Pooled(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.max_pool2d(self[1](self[0](x)), 3, 1, 1)
            return self[4](pool(self[3](self[2](x))).flatten(1))

    images = torch.rand(6, 1, 8, 7).mul(255).round() / 255
    size = pool(torch.zeros(1, 5, 6, 5)).numel()
    model = Pooled(*parts, nn.Linear(size, 3)).eval()
    spiking_network = tc.convert(model, method(timesteps=4), example=images)
    kind = next(iter(spiking_network.neurons.values())).spec.kind.name
    with spiking(model, kind) as neurons:
        logits = spiking_logits(model, neurons, images, 4)
    torch.testing.assert_close(logits, spiking_network(images), rtol=1e-4, atol=1e-5)
    assert any(neuron.count.any() for neuron in neurons.values())


def test_residual_errors_of_later_layers_see_the_spikes_of_those_before(model: nn.Sequential, data: Any) -> None:
    """From the images on, one plain loop behind the other."""
    model.eval()
    images = data.images()
    with torch.no_grad():
        current = np.stack([model[1](model[0](images)).numpy()] * 2)
        sent, v = [], np.full(current.shape[1:], float(model[2].threshold) / 2)
        for each in current:
            v = v + each
            spikes = v >= float(model[2].threshold)
            v = v - spikes * float(model[2].threshold)
            sent.append(model[5](model[4](model[3](torch.from_numpy(spikes * float(model[2].threshold)).float()))))
        rate = plain_loop(torch.stack(sent).numpy(), float(model[6].threshold)) * float(model[6].threshold) / 2
        gap = model[:7](images).numpy() - rate
    assert residual_errors(model, data, timesteps=2)["6"] == pytest.approx(gap.std(ddof=1), rel=1e-3)

"""A network under training run as a spiking network; noise, bit penalty and thresholds derived from such runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import toolchain as tc
from toolchain.conversion import Method
from toolchain.errors import ConversionError, ToolchainError
from toolchain.training import (
    BitCountPenalty,
    ClipFloorShift,
    FitConfig,
    ResidualNoise,
    evaluate,
    fit,
    fold_normalisation,
    initialise_thresholds,
    replace_relu,
    residual_errors,
    spiking,
    spiking_logits,
)
from toolchain.training.spiking import SpikingForward


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        ClipFloorShift(4, 1.5),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(27, 8),
        ClipFloorShift(4, 0.3),
        nn.Linear(8, 4),
    )
    model(torch.rand(64, 1, 6, 6) * 3)  # gives batch norm something to do
    return model


class Set:
    def __init__(self, images: torch.Tensor) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def images(self, indices: np.ndarray | slice = slice(None)) -> torch.Tensor:
        return self._images[indices]

    def targets(self, indices: np.ndarray | slice = slice(None)) -> torch.Tensor:
        return torch.zeros(len(self._images), dtype=torch.int64)[indices]


IMAGES = (torch.randint(0, 17, (20, 1, 6, 6), generator=torch.Generator().manual_seed(1))) / 16


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


def test_first_layer_counts_equal_a_plain_loop_over_neurons() -> None:
    model = make_model().eval().double()
    with spiking(model) as neurons:
        spiking_logits(model, neurons, IMAGES.double(), 4)
        total = neurons["2"].total
    with torch.no_grad():
        current = model[1](model[0](IMAGES.double())).numpy()
    counts = plain_loop(np.stack([current] * 4), float(model[2].threshold))
    assert np.array_equal((total / model[2].threshold).round().detach().numpy().astype(int), counts)


@pytest.mark.parametrize("timesteps", [1, 3, 4])
@pytest.mark.parametrize("method", [tc.QCFS, tc.ErrorCompensation])
def test_logits_and_counts_equal_those_of_the_converted_network(method: type[Method], timesteps: int) -> None:
    model = make_model().eval().double()
    with spiking(model, method(timesteps).neuron(4).kind) as neurons:
        logits = spiking_logits(model, neurons, IMAGES.double(), timesteps)
        totals = {name: neuron.total for name, neuron in neurons.items()}
    network = tc.convert(model.float(), method(timesteps), example=IMAGES)
    counts = network.counts(IMAGES)
    assert list(counts) == list(totals)
    for name, total in totals.items():
        own = (total / float(model.get_submodule(name).threshold)).round()
        # Folding batch norm reorders float32 sums: a membrane on the edge may fall on the other side.
        assert (own != counts[name]).double().mean() < 0.01, name
    torch.testing.assert_close(logits.float(), network(IMAGES), atol=0.3, rtol=0)


@given(
    currents=st.lists(st.floats(-2, 2), min_size=1, max_size=4),
    threshold=st.floats(0.3, 3),
    neuron=st.sampled_from(["if", "signed_if"]),
)
def test_gradient_of_a_spike_is_the_triangle(currents: list[float], threshold: float, neuron: str) -> None:
    """Against the chain rule step by step: ds/dv = max(0, 1 - abs(v - 1)), for negative spikes max(0, 1 - abs(v))."""
    theta = torch.tensor(threshold, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(currents, dtype=torch.float64, requires_grad=True)
    layer = SpikingForward(theta, neuron)
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


def test_model_is_itself_again_afterwards() -> None:
    model = make_model()
    model.eval()
    expected = model(IMAGES)
    model.train()
    with spiking(model):
        assert not model.training
        assert not torch.equal(model(IMAGES), expected)
    assert model.training
    model.eval()
    assert torch.equal(model(IMAGES), expected)


def test_modules_in_a_mode_of_their_own_keep_it() -> None:
    """A batch norm frozen in eval mode went on learning its statistics after an evaluation of the network."""
    model = make_model().train()
    model[1].eval()
    evaluate(model, Set(IMAGES), timesteps=2)
    residual_errors(model, Set(IMAGES), 2)
    initialise_thresholds(model, IMAGES)
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


def test_residual_error_is_the_deviation_between_activation_and_rate() -> None:
    model = make_model().eval()
    errors = residual_errors(model, Set(IMAGES), timesteps=3, batch=10)
    with torch.no_grad():
        z = model[1](model[0](IMAGES))
        rate = plain_loop(np.stack([z.numpy()] * 3), float(model[2].threshold)) * float(model[2].threshold) / 3
        gap = model[2](z).numpy() - rate
    expected = np.sqrt(np.mean([gap[:10].var(ddof=1), gap[10:].var(ddof=1)]))
    assert errors["2"] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert set(errors) == {"2", "6"}
    assert errors["6"] > 0


def test_a_constant_input_over_many_steps_leaves_the_first_layer_only_its_quantisation_error() -> None:
    # With T = L a constant current gives exactly the level (one layer, nothing accumulates).
    model = make_model().eval().double()
    assert residual_errors(model, Set(IMAGES.double()), timesteps=4)["2"] == pytest.approx(0, abs=1e-7)
    assert residual_errors(model, Set(IMAGES.double()), timesteps=1)["2"] > 0.01


def test_residual_noise_sets_sigma_and_survives_training_mode() -> None:
    model = make_model()
    for activation in (model[2], model[6]):
        activation.sigma = 9.0  # the noise of the epoch before must not leak into the measurement
    ResidualNoise(Set(IMAGES), timesteps=2)(model)
    assert model.training
    expected = residual_errors(model, Set(IMAGES), timesteps=2)
    assert (model[2].sigma, model[6].sigma) == (expected["2"], expected["6"])


def test_bit_count_penalty_counts_ones_and_pushes_levels_down() -> None:
    activation = ClipFloorShift(7, 7.0)
    penalty = BitCountPenalty(activation, 0.5)
    x = torch.tensor([0.0, 1.0, 3.0, 5.0, 7.0, -2.0, 6.0], requires_grad=True)
    activation(x)
    loss = penalty()
    assert float(loss) == 0.5 * sum(k.bit_count() for k in (0, 1, 3, 5, 7, 0, 6))
    loss.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.5]
    activation(x)
    assert float(penalty()) == float(loss)  # the batch before is forgotten


@given(st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=50))
def test_ones_of_any_whole_number_are_counted(numbers: list[int]) -> None:
    activation = ClipFloorShift(2**24 - 1, 2.0**24 - 1)
    penalty = BitCountPenalty(activation, 1.0)
    activation(torch.tensor(numbers, dtype=torch.float64))
    assert float(penalty()) == sum(number.bit_count() for number in numbers)


def test_bit_count_penalty_is_the_same_in_a_compiled_network() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), ClipFloorShift(7, 1.0), nn.Linear(7, 3), ClipFloorShift(3, 1.0))
    penalty, x = BitCountPenalty(model, 0.5), torch.rand(4, 5)
    compiled = torch.compile(model, backend="aot_eager")
    found = []
    for run in (model, compiled, compiled):
        model.zero_grad()
        run(x)
        penalty().backward()
        found.append(model[0].weight.grad.clone())
    assert found[0].abs().sum() > 0
    for gradient in found[1:]:
        torch.testing.assert_close(gradient, found[0])


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


def test_bits_of_a_module_used_twice_are_counted_twice() -> None:
    activation = ClipFloorShift(7, 7.0)
    model = nn.Sequential(activation, nn.Threshold(2.0, 7.0), activation)
    penalty = BitCountPenalty(model, 1.0)
    model(torch.tensor([1.0, 3.0]))  # 1 and 2 bits, then 7 and 3: 3 and 2 bits
    assert float(penalty()) == 8


def test_only_bits_of_the_last_pass_are_counted() -> None:
    """A pass of the caller's own, whose graph is gone, was counted into the first step of the training."""
    model = make_model()
    penalty = BitCountPenalty(model, 1e-8)
    model(IMAGES).sum().backward()
    assert len(fit(model, Set(IMAGES), Set(IMAGES), FitConfig(epochs=1, lr=1e-3), penalty=penalty).history) == 1
    model.train()
    model(IMAGES)
    once = float(penalty())
    model(IMAGES)
    model(IMAGES)
    assert float(penalty()) == once > 0


def test_bits_are_not_counted_through_spikes() -> None:
    """Neurons stand in for the activations there, so nothing has a level."""
    model = make_model()
    config = FitConfig(epochs=1, timesteps=2, through_spikes=True)
    with pytest.raises(ConversionError, match="no bits to count"):
        fit(model, Set(IMAGES), Set(IMAGES), config, penalty=BitCountPenalty(model, 1e-8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BitCountPenalty(nn.Linear(2, 2), 1e-8), "only levels have bits"),
        (lambda: BitCountPenalty(ClipFloorShift(None), 1e-8), "only levels have bits"),
        (lambda: BitCountPenalty(ClipFloorShift(7), -1.0), "must not be negative"),
        (lambda: BitCountPenalty(ClipFloorShift(7), "1e-8"), "must be a number"),
        (lambda: residual_errors(make_model(), Set(IMAGES), 0), "at least 1"),
        (lambda: ResidualNoise(Set(IMAGES), 2.5), "whole number"),
        (lambda: residual_errors(make_model(), Set(IMAGES[:0]), 2), "holds no image"),
        (lambda: evaluate(make_model(), Set(IMAGES[:0])), "holds no image"),
        (lambda: evaluate(make_model(), Set(IMAGES), timesteps=-1), "of at least 0, not -1"),
        (lambda: evaluate(make_model(), Set(IMAGES), timesteps=2, neuron="IF"), "neuron is one of if, signed_if, not"),
        (lambda: evaluate(make_model(), Set(IMAGES), batch=0), "batch must be a whole number of at least 1"),
        (lambda: evaluate(make_model(), Set(IMAGES), device="gpu"), "device 'gpu' cannot be used"),
        (lambda: initialise_thresholds(make_model(), IMAGES * float("nan")), "no finite activation"),
        (lambda: initialise_thresholds(make_model(), IMAGES[:0]), "no finite activation"),
        (lambda: initialise_thresholds(make_model(), IMAGES, quantile=2.0), "quantile"),
        (lambda: fold_normalisation(make_model(), [0.5], [0.0]), "one positive deviation"),
    ],
)
def test_mistakes_are_one_sentence(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ToolchainError, match=message):
        call()

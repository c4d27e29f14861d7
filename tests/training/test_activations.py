"""ClipFloorShift against its definition, the published gradient table and finite differences."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.errors import ConversionError
from spikec.training import ClipFloorShift, clip_floor_shift
from spikec.training.activations import _composed


def staircase(x: float, threshold: float, levels: int) -> int:
    """The level, in exact arithmetic."""
    level = math.floor(Fraction(x) * levels / Fraction(threshold) + Fraction(1, 2))
    return max(0, min(levels, level))


@settings(deadline=None, max_examples=drawn(200))
@given(
    x=st.integers(-64, 64).map(lambda n: n / 16),
    threshold=st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]),
    levels=st.sampled_from([1, 2, 4, 8, 16]),
)
def test_forward_is_the_staircase_at_and_between_its_edges(x: float, threshold: float, levels: int) -> None:
    # Powers of two: every edge of the staircase is a float, and so is every product.
    y = ClipFloorShift(levels, threshold)(torch.tensor([x]))
    assert float(y) == staircase(x, threshold, levels) * threshold / levels


@pytest.mark.parametrize("levels", [3, 4, 7])
def test_outputs_are_exactly_k_times_the_step(levels: int) -> None:
    activation = ClipFloorShift(levels, 1.2345)
    y = activation(torch.linspace(-1, 3, 4001)).detach()
    step = activation.threshold.detach() / levels
    assert torch.equal(y.unique(), torch.arange(levels + 1) * step)


TABLE = [
    # order, u, dy/dz, dy/dthreshold with threshold 1, L = 4; edges of the support included
    ("floor_clamp", -0.126, 0.0, 0.0),
    ("floor_clamp", -0.125, 1.0, 0.0 + 0.125),
    ("floor_clamp", -0.0625, 1.0, 0.0625),
    ("floor_clamp", 0.0, 1.0, 0.0),
    ("floor_clamp", 0.375, 1.0, 0.5 - 0.375),
    ("floor_clamp", 1.0, 1.0, 0.0),
    ("floor_clamp", 1.0625, 1.0, 1 - 1.0625),
    ("floor_clamp", 1.125, 0.0, 1.0),
    ("floor_clamp", 3.0, 0.0, 1.0),
    ("clamp_floor", -0.0625, 0.0, 0.0),
    ("clamp_floor", 0.0, 1.0, 0.0),
    ("clamp_floor", 0.375, 1.0, 0.5 - 0.375),
    ("clamp_floor", 1.0, 1.0, 0.0),
    ("clamp_floor", 1.0625, 0.0, 1.0),
]


@pytest.mark.parametrize(("order", "u", "to_x", "to_threshold"), TABLE)
def test_gradient_table(order: str, u: float, to_x: float, to_threshold: float) -> None:
    x = torch.tensor([u], requires_grad=True)
    threshold = torch.tensor(1.0, requires_grad=True)
    clip_floor_shift(x, threshold, 4, order).sum().backward()
    assert x.grad is not None
    assert threshold.grad is not None
    assert float(x.grad) == to_x
    assert float(threshold.grad) == pytest.approx(to_threshold, abs=1e-7)


@pytest.mark.parametrize("order", ["floor_clamp", "clamp_floor"])
def test_gradient_equals_autograd_through_straight_through_floor(order: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3000, generator=generator, dtype=torch.float64).mul(2).requires_grad_()
    threshold = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3000, generator=generator, dtype=torch.float64)

    def floor(value: torch.Tensor) -> torch.Tensor:
        return value + (value.floor() - value).detach()

    u = x / threshold
    if order == "floor_clamp":
        y = threshold * torch.clamp(floor(u * 4 + 0.5) / 4, 0, 1)
    else:
        y = threshold * floor(torch.clamp(u, 0, 1) * 4 + 0.5) / 4
    expected = torch.autograd.grad((y * weight).sum(), (x, threshold))
    actual = torch.autograd.grad((clip_floor_shift(x, threshold, 4, order) * weight).sum(), (x, threshold))
    torch.testing.assert_close(actual[0], expected[0])
    torch.testing.assert_close(actual[1], expected[1])


@pytest.mark.parametrize("order", ["floor_clamp", "clamp_floor"])
@pytest.mark.parametrize("levels", [1, 3, 4])
def test_form_for_the_compiler_has_the_same_values_and_gradients(order: str, levels: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5000, generator=generator).mul(1.5)
    if levels != 3:  # edges of the staircase too, where they are floats
        x = torch.cat([x, torch.arange(-4, 12) * (1.25 / levels / 2)])
    x.requires_grad_()
    threshold = torch.tensor(1.25, requires_grad=True)
    weight = torch.randn(len(x), generator=generator)
    one, other = (f(x, threshold, levels, order) for f in (clip_floor_shift, _composed))
    assert torch.equal(one, other)
    expected, actual = (torch.autograd.grad((y * weight).sum(), (x, threshold)) for y in (one, other))
    torch.testing.assert_close(actual[0], expected[0])
    torch.testing.assert_close(actual[1], expected[1], rtol=1e-4, atol=1e-3)


def test_without_levels_it_is_a_trained_clip_with_its_true_gradient() -> None:
    x = torch.tensor([-0.7, 0.2, 1.0, 1.4, 5.0], dtype=torch.float64, requires_grad=True)
    activation = ClipFloorShift(None, 1.25).double()
    y = activation(x)
    torch.testing.assert_close(y.detach(), x.detach().clamp(0, 1.25))
    weight = torch.tensor([1.0, 2.0, 3.0, 5.0, 7.0], dtype=torch.float64)
    to_x, to_threshold = torch.autograd.grad((y * weight).sum(), (x, activation.threshold))
    step = 1e-6
    for i in range(len(x)):
        up, down = (activation(x.detach()[i] + s) for s in (step, -step))
        assert float(to_x[i]) == pytest.approx(float(weight[i] * (up - down)) / (2 * step), abs=1e-6)
    with torch.no_grad():
        activation.threshold += step
        up = (activation(x) * weight).sum()
        activation.threshold -= 2 * step
        down = (activation(x) * weight).sum()
    assert float(to_threshold) == pytest.approx(float(up - down) / (2 * step), abs=1e-6)


def test_threshold_gradient_at_fixed_level_against_finite_differences() -> None:
    # Away from the edges y = threshold * k / L, whose true derivative is k / L: what saturated inputs get.
    x = torch.tensor([5.0, 9.0, -3.0], dtype=torch.float64)
    threshold, step = torch.tensor(2.0, dtype=torch.float64, requires_grad=True), 1e-4
    (gradient,) = torch.autograd.grad(clip_floor_shift(x, threshold, 4).sum(), threshold)
    up = clip_floor_shift(x, threshold.detach() + step, 4).sum()
    down = clip_floor_shift(x, threshold.detach() - step, 4).sum()
    assert float(gradient) == pytest.approx(float(up - down) / (2 * step))


def test_straight_through_slope_is_the_slope_of_the_finely_quantised_clip() -> None:
    # With many levels the staircase is a clip, which is differentiable: compare there.
    x = torch.tensor([0.31, 0.77, 1.9, -0.4], dtype=torch.float64, requires_grad=True)
    threshold = torch.tensor(1.1, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(clip_floor_shift(x, threshold, 2**20).sum(), x)
    step = 1e-2
    up, down = (clip_floor_shift(x.detach() + s, threshold, 2**20) for s in (step, -step))
    torch.testing.assert_close(gradient, (up - down) / (2 * step), atol=1e-3, rtol=0)


def test_noise_acts_in_training_only_and_has_the_given_deviation() -> None:
    activation = ClipFloorShift(4, 1.0)
    activation.sigma = 0.1
    x = torch.full((200_000,), 0.5)
    torch.manual_seed(0)
    noise = (activation(x) - 0.5).detach()
    assert abs(float(noise.mean())) < 1e-3
    assert float(noise.std()) == pytest.approx(0.1, rel=0.02)
    activation.eval()
    assert torch.equal(activation(x), x)


def test_keep_positive_raises_only_what_is_too_small() -> None:
    activation = ClipFloorShift(4, 1.0)
    assert not activation.keep_positive()
    with torch.no_grad():
        activation.threshold.fill_(-0.5)
    assert activation.keep_positive()
    assert 0 < float(activation.threshold) < 0.01


def test_threshold_is_the_only_state() -> None:
    assert list(ClipFloorShift(4, 2.0).state_dict()) == ["threshold"]


def test_traceable_with_the_default_tracer() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), ClipFloorShift(4, 1.0))
    x = torch.randn(8, 4)
    assert torch.equal(torch.fx.symbolic_trace(model)(x), model(x))


@pytest.mark.parametrize(
    "arguments",
    [
        *[{"levels": value} for value in (0, True, 2.5, "4", [4], math.nan, math.inf, np.array([1, 2]), 10**30)],
        *[{"threshold": value} for value in (0.0, -1.0, math.inf, math.nan, "4", None, True, 1e-50, np.array([1, 2]))],
        *[{"order": value} for value in ("other", None, ["floor_clamp"])],
    ],
    ids=str,
)
def test_refuses_meaningless_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConversionError):
        ClipFloorShift(**arguments)


@pytest.mark.parametrize("one", [np.float32(2), np.array([2.0]), torch.tensor([2.0]), Fraction(2), 2], ids=repr)
def test_a_single_number_is_a_number(one: Any) -> None:
    activation = ClipFloorShift(levels=one, threshold=one)
    assert activation.levels == 2
    assert activation.threshold.shape == ()
    assert float(activation.threshold) == 2

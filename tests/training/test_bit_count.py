"""The spike penalty: 1-bits of levels, against Python's own count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spikec.errors import ConversionError
from spikec.training import BitCountPenalty, ClipFloorShift, FitConfig, fit


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


def test_bits_of_a_module_used_twice_are_counted_twice() -> None:
    activation = ClipFloorShift(7, 7.0)
    model = nn.Sequential(activation, nn.Threshold(2.0, 7.0), activation)
    penalty = BitCountPenalty(model, 1.0)
    model(torch.tensor([1.0, 3.0]))  # 1 and 2 bits, then 7 and 3: 3 and 2 bits
    assert float(penalty()) == 8


def test_only_bits_of_the_last_pass_are_counted(model: nn.Sequential, images: torch.Tensor, data: Any) -> None:
    """A pass of the caller's own, whose graph is gone, was counted into the first step of the training."""
    penalty = BitCountPenalty(model, 1e-8)
    model(images).sum().backward()
    assert len(fit(model, data, data, FitConfig(epochs=1, lr=1e-3), penalty=penalty).history) == 1
    model.train()
    model(images)
    once = float(penalty())
    model(images)
    model(images)
    assert float(penalty()) == once > 0


def test_bits_are_not_counted_through_spikes(model: nn.Sequential, data: Any) -> None:
    """Neurons stand in for the activations there, so nothing has a level."""
    config = FitConfig(epochs=1, timesteps=2, through_spikes=True)
    with pytest.raises(ConversionError, match="no bits to count"):
        fit(model, data, data, config, penalty=BitCountPenalty(model, 1e-8))


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


@pytest.mark.parametrize(
    ("module", "decay", "message"),
    [
        (nn.Linear(2, 2), 1e-8, "only levels have bits"),
        (ClipFloorShift(None), 1e-8, "only levels have bits"),
        (ClipFloorShift(7), -1.0, "must not be negative"),
        (ClipFloorShift(7), "1e-8", "must be a number"),
    ],
)
def test_what_has_no_bits_and_meaningless_strengths_are_refused(module: nn.Module, decay: float, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        BitCountPenalty(module, decay)

"""Hyper-parameters: the learning rate over the steps, and what is refused."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from spikec.errors import ConversionError
from spikec.training import FitConfig


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_learning_rate_peaks_at_lr_and_ends_near_zero(schedule: str) -> None:
    config = FitConfig(lr=0.2, schedule=schedule)
    rates = [config.learning_rate(step, 101) for step in range(101)]
    assert max(rates) == pytest.approx(0.2)
    assert rates.index(max(rates)) == (0 if schedule == "cosine" else 30)
    assert 0 <= rates[-1] < 1e-6
    assert rates[50] == pytest.approx(0.1 if schedule == "cosine" else 0.1 * (1 + np.cos(np.pi * 2 / 7)), rel=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"ema": 1.0},
        {"shift": -1},
        {"optimizer": "adam"},
        {"schedule": "step"},
        {"neuron": "lif"},
        {"through_spikes": True},
        {"through_spikes": True, "timesteps": 2, "compile": True},
        {"epochs": "3"},
        {"epochs": 2.5},
        {"batch": True},
        {"timesteps": None},
        {"seed": -1},
        {"seed": 2**64},
        {"lr": "0.1"},
        {"weight_decay": float("nan")},
        {"momentum": [0.9]},
        {"compile": "no"},
        {"flip": 2},
        {"lr": True},
    ],
)
def test_configuration_refuses_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConversionError):
        FitConfig(**wrong)


def test_numbers_and_switches_of_any_kind_become_pythons() -> None:
    """A checkpoint with those of numpy in it could not be read again."""
    config = FitConfig(
        epochs=np.int64(3),
        lr=Fraction(1, 10),
        ema=np.float32(0.5),
        flip=np.True_,
        compile=0,
        through_spikes=np.False_,
        seed=2**64 - 1,
    )
    assert config == FitConfig(epochs=3, lr=0.1, ema=0.5, flip=True, seed=2**64 - 1)
    assert {type(value) for value in asdict(config).values()} == {int, float, bool, str}

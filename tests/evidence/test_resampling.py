"""Bootstrap intervals: those of scipy, and they cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from spikec.evidence.measures import resampling
from spikec.evidence.measures.numbers import Correlation, MeanAbsoluteError, RootMeanSquareError
from spikec.evidence.measures.resampling import bootstrap, from_standard_error


def mean(number):
    return lambda sums: sums[..., 0] / number


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_it_is_the_interval_of_scipy(draw):
    """Other resamples, so the ends agree as far as 2,000 of them tell."""
    data = getattr(np.random.default_rng(1), draw)(size=80)
    low, high = bootstrap(data[:, None], mean(80))
    expected = scipy_bootstrap((data,), np.mean, n_resamples=20_000, method="BCa", random_state=0).confidence_interval
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.06 * width)
    assert high == pytest.approx(expected.high, abs=0.06 * width)


@pytest.mark.parametrize("measure", [MeanAbsoluteError(), RootMeanSquareError()])
def test_intervals_cover(measure):
    rng, covered = np.random.default_rng(5), 0
    exact = {"mae": np.sqrt(2 / np.pi), "rmse": 1.0}[measure.name]
    for _ in range(200):
        errors = rng.normal(size=(60, 1))
        low, high = measure.quality(measure.statistics(errors, np.zeros(60, np.float32))).interval
        covered += low <= exact <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_intervals_of_correlations_cover():
    rng, measure, covered = np.random.default_rng(6), Correlation(), 0
    for _ in range(200):
        y = rng.normal(size=(40, 1))
        outputs = 0.8 * y + 0.6 * rng.normal(size=y.shape)
        low, high = measure.quality(measure.statistics(outputs, y.astype(np.float32))).interval
        covered += low <= 0.8 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_paired_differences_are_much_narrower_than_the_intervals():
    rng, measure = np.random.default_rng(2), MeanAbsoluteError()
    y = rng.normal(size=(200, 1)).astype(np.float32)
    network = y + rng.normal(size=y.shape)
    spiking = network + 0.02 * rng.normal(size=y.shape) + np.where(network > y, 0.05, -0.05)
    numbers = [measure.statistics(each, y) for each in (network, spiking)]
    low, high = measure.difference(*numbers)
    assert 0.03 < low < 0.05 < high < 0.07
    whole = measure.quality(numbers[0]).interval
    assert high - low < 0.3 * (whole[1] - whole[0])


def test_the_same_numbers_give_the_same_interval_kept_or_drawn_anew(monkeypatch):
    data = np.random.default_rng(0).normal(size=(500, 1))
    kept = bootstrap(data, mean(500))
    assert bootstrap(data, mean(500)) == kept
    monkeypatch.setattr(resampling, "_KEPT", 0)
    assert bootstrap(data, mean(500)) == kept


def test_few_inputs_and_equal_numbers():
    assert bootstrap(np.zeros((4, 1)), mean(4)) is None
    assert bootstrap(np.full((9, 1), 0.25), mean(9)) == (0.25, 0.25)
    assert bootstrap(np.zeros((9, 1)), lambda sums: np.full(sums.shape[:-1], np.nan)) is None
    low, high = bootstrap(np.array([[0.0]] * 8 + [[1.0]]), mean(9))
    assert 0 <= low <= 1 / 9 <= high <= 1


def test_a_standard_error():
    data = np.random.default_rng(4).normal(size=100)
    low, high = from_standard_error(100, lambda drawn: float(data[drawn].mean()), float(data.mean()))
    assert (low + high) / 2 == pytest.approx(data.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * data.std() / 10, rel=0.2)
    assert from_standard_error(4, lambda drawn: 0.0, 0.0) is None
    assert from_standard_error(9, lambda drawn: float("nan"), 0.0) is None

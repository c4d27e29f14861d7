"""Wilson's interval against published values and against its definition."""

import math

import numpy as np
import pytest

from spikec.errors import DataError
from spikec.evidence.intervals import Z95, paired_difference, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17, 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_newcombe_table(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(1, 2), (3, 7), (440, 449), (9190, 10000)])
def test_bounds_solve_the_score_equation(successes, trials):
    for bound in wilson(successes, trials):
        score = (successes / trials - bound) / math.sqrt(bound * (1 - bound) / trials)
        assert abs(score) == pytest.approx(Z95, rel=1e-9)


def test_ends_are_exact():
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 4)])
def test_nonsense_is_refused(successes, trials):
    with pytest.raises(DataError, match="no proportion"):
        wilson(successes, trials)


@pytest.mark.parametrize(("gained", "lost", "trials"), [(0, 0, 128), (3, 10, 500), (60, 5, 100), (0, 7, 7)])
def test_paired_interval_is_that_of_a_table_with_half_a_trial_more_in_each_cell(gained, lost, trials):
    """From the variance of the mean of trials that count +1, -1 and 0, one by one."""
    outcomes = [1.0] * (2 * gained + 1) + [-1.0] * (2 * lost + 1) + [0.0] * (2 * (trials - gained - lost) + 2)
    mean = sum(outcomes) / len(outcomes)  # each stands for half a trial
    variance = sum((x - mean) ** 2 for x in outcomes) / len(outcomes)
    half = Z95 * math.sqrt(variance / (len(outcomes) / 2))
    expected = max(-1.0, mean - half), min(1.0, mean + half)
    assert paired_difference(gained, lost, trials) == pytest.approx(expected)
    assert expected[0] <= (gained - lost) / trials <= expected[1]


def test_paired_interval_covers():
    """Of 2,000 samples of 200 pairs, 95 % of the intervals hold the true difference, give or take chance."""
    draws = np.random.default_rng(0).multinomial(200, [0.03, 0.06, 0.91], size=2000)
    held = 0
    for gained, lost, _ in draws:
        low, high = paired_difference(int(gained), int(lost), 200)
        held += low <= -0.03 <= high
    assert 0.93 <= held / 2000 <= 0.98


@pytest.mark.parametrize(("gained", "lost", "trials"), [(0, 0, 0), (3, 3, 5), (-1, 1, 5)])
def test_impossible_pairs_are_refused(gained, lost, trials):
    with pytest.raises(DataError, match="no pairs"):
        paired_difference(gained, lost, trials)


@pytest.mark.parametrize("trials", [500, 10_000])
def test_pairs_tell_more_than_two_accuracies(trials):
    """Of a network at 80 % and a deployment that changes 3 % of the answers: less than half of the width that two
    independent samples of the same accuracies have."""
    gained, lost = trials // 100, trials // 50
    low, high = paired_difference(gained, lost, trials)
    apart = 2 * 1.96 * math.sqrt((0.8 * 0.2 + 0.79 * 0.21) / trials)
    assert high - low < apart / 2

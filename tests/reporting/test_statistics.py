"""Wilson's interval against published values and against its definition."""

import math

import pytest

from spikec.errors import DataError
from spikec.evidence.intervals import Z95, wilson


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

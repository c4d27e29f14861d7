"""Intervals for what was measured on a finite sample."""

from __future__ import annotations

import math

from spikec.errors import DataError

#: Two-sided 95 % quantile of the standard normal distribution.
Z95 = 1.959963984540054


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a proportion: (low, high), both in [0, 1].

    Centre (p + z^2/2n) / (1 + z^2/n), half width z / (1 + z^2/n) * sqrt(p(1 - p)/n + z^2/4n^2) (Wilson, JASA 22,
    1927); unlike the normal interval it keeps its coverage near 0 and 1 and for small n. Raises ``DataError`` where
    the counts are no proportion.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise DataError(f"no proportion: {successes} of {trials}; give 0 <= successes <= trials and trials > 0")
    p = successes / trials
    weight = z * z / trials
    centre = (p + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(p * (1 - p) / trials + weight / (4 * trials))
    # At 0 and n the bound is 0 or 1 exactly; the square root only rounds it away from there.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def paired_difference(gained: int, lost: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Interval of the difference between two proportions measured on the same sample: (low, high), both in [-1, 1].

    ``gained``: trials that only the first has right, ``lost``: those that only the second has right; the difference is
    (gained - lost) / trials. Where both are right or both wrong says nothing about it, so the interval is much narrower
    than one from two separate samples. Half a trial is added to each of the four cells (Agresti and Min, Statistics in
    Medicine 24, 2005): with n = trials + 2, d = (gained - lost) / n, half width
    z / n * sqrt(gained + lost + 1 - n d^2). Raises ``DataError`` where the counts are not possible.
    """
    if trials <= 0 or min(gained, lost) < 0 or gained + lost > trials:
        raise DataError(f"no pairs: {gained} gained and {lost} lost of {trials}")
    n = trials + 2
    difference = (gained - lost) / n
    half = z / n * math.sqrt(gained + lost + 1 - n * difference**2)
    return max(-1.0, difference - half), min(1.0, difference + half)

"""Intervals of values that follow from sums over inputs, by resampling the inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from spikec.evidence.intervals import Z95

Float64 = npt.NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES = 2000
#: Resamples of what has to be computed anew for each of them; enough for a standard error.
FEW_RESAMPLES = 200
#: Inputs below which resampling says too little.
FEWEST = 5
_SEED = 0
_AT_ONCE, _KEPT = 2**22, 2**25


def bootstrap(statistics: Float64, value: Callable[[Float64], Float64], level: float = 0.95) -> Interval | None:
    """The bias-corrected and accelerated bootstrap interval of ``value``; None below :data:`FEWEST` inputs.

    ``statistics`` [N, k]: numbers of each input; ``value``: of their sums [..., k] over N inputs, [...]. With the
    quantile function z of the normal distribution Phi, z0 = z(share of resampled values below the value), and the
    acceleration a = sum d^3 / 6 (sum d^2)^1.5 over the N values that leave one input out (d: how far below their
    mean), the ends are the quantiles Phi(z0 + (z0 + z_q) / (1 - a (z0 + z_q))) of the resampled values (Efron, JASA
    82, 1987). Resamples are the same in every run. Those without a value, such as the correlation of equal numbers,
    are left out; None where they are most.
    """
    number = len(statistics)
    if number < FEWEST:
        return None
    drawn = np.concatenate([value(times.astype(np.float64) @ statistics) for times in _times(number)])
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < RESAMPLES // 2:
        return None
    total = statistics.sum(axis=0)
    middle = float(value(total))
    if np.ptp(drawn) == 0:
        return min(middle, float(drawn[0])), max(middle, float(drawn[0]))
    left_out = value((total - statistics) * (number / (number - 1)))
    left_out = left_out[np.isfinite(left_out)]
    d = left_out.mean() - left_out
    spread = float((d**2).sum()) ** 1.5
    a = float((d**3).sum()) / (6 * spread) if spread else 0.0
    normal, least = NormalDist(), 1 / len(drawn)
    below = float((drawn < middle).mean() + (drawn == middle).mean() / 2)
    z0 = normal.inv_cdf(min(max(below, least), 1 - least))
    ends = []
    for q in ((1 - level) / 2, (1 + level) / 2):
        z = z0 + normal.inv_cdf(q)
        ends.append(normal.cdf(z0 + z / (1 - a * z)))
    low, high = np.quantile(drawn, ends)
    return min(float(low), middle), max(float(high), middle)


def from_standard_error(number: int, value: Callable[[npt.NDArray[np.int64]], float], middle: float) -> Interval | None:
    """``middle`` and 1.96 standard errors to both sides, from :data:`FEW_RESAMPLES` draws; None below :data:`FEWEST`
    inputs. ``value``: of the inputs whose indices, int64 [N], it is given."""
    if number < FEWEST:
        return None
    rng = np.random.default_rng(_SEED)
    found = np.array([value(np.sort(rng.integers(0, number, number))) for _ in range(FEW_RESAMPLES)])
    found = found[np.isfinite(found)]
    if len(found) < FEW_RESAMPLES // 2:
        return None
    half = Z95 * float(found.std(ddof=1))
    return middle - half, middle + half


def _times(number: int) -> Iterator[npt.NDArray[np.uint16]]:
    """How often each input is drawn, [rows, N], :data:`RESAMPLES` rows in all."""
    if RESAMPLES * number <= _KEPT:
        yield _kept(number)
        return
    yield from _draw(number)


@lru_cache(maxsize=1)
def _kept(number: int) -> npt.NDArray[np.uint16]:
    """The steps of a curve and several measures are of the same inputs."""
    return np.concatenate(list(_draw(number)))


def _draw(number: int) -> Iterator[npt.NDArray[np.uint16]]:
    rng, at_once = np.random.default_rng(_SEED), max(1, min(RESAMPLES, _AT_ONCE // number))
    for first in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - first)
        drawn = rng.integers(0, number, (rows, number)) + np.arange(rows)[:, None] * number
        yield np.bincount(drawn.ravel(), minlength=rows * number).reshape(rows, number).astype(np.uint16)


__all__ = ["FEWEST", "FEW_RESAMPLES", "RESAMPLES", "Float64", "Interval", "bootstrap", "from_standard_error"]

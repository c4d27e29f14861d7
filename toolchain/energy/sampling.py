"""Joint samples of constants and counts, and the quantiles of what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikec.energy.profile import Constant, Held, Profile
from spikec.errors import ToolchainError

Samples = npt.NDArray[np.float64]

_Z95 = 1.6448536269514722  # 95 % point of the standard normal distribution


@dataclass(frozen=True)
class Quantiles:
    p5: float
    p50: float
    p95: float

    @classmethod
    def of(cls, samples: npt.ArrayLike) -> Quantiles:
        p5, p50, p95 = np.quantile(np.asarray(samples, dtype=np.float64), [0.05, 0.5, 0.95])
        return cls(float(p5), float(p50), float(p95))


def draw_constants(profile: Profile, draws: int, rng: np.random.Generator) -> dict[str, Samples]:
    """float64 [draws] per constant, drawn independently except for the calibration plane.

    If the book was fitted to one measurement, one term follows from the others by :func:`solve`, and draws that push it
    out of its own interval are drawn again.
    """
    kept = {key: np.empty(0) for key in profile.constants}
    for _ in range(100):
        drawn = {key: _draw(constant, draws, rng) for key, constant in profile.constants.items()}
        drawn = solve(profile, drawn)
        keep = np.ones(draws, dtype=bool)
        if profile.calibration is not None:
            solved = profile.constants[profile.calibration["solves"]]
            keep = (drawn[solved.key] >= solved.low) & (drawn[solved.key] <= solved.high)
        kept = {key: np.concatenate([kept[key], drawn[key][keep]]) for key in kept}
        if len(next(iter(kept.values()))) >= draws:
            return Held(profile.name, {key: values[:draws] for key, values in kept.items()})
    raise ToolchainError(f"the intervals of energy profile {profile.name!r} contradict its calibration")


def solve(profile: Profile, constants: Mapping[str, Samples]) -> dict[str, Samples]:
    """Put constants on the calibration plane ``synops*e_syn + updates*e_neuron + spikes*(e_spike + e_message) =
    energy`` (all of one step of the calibration run), unchanged where the profile has none."""
    plane = profile.calibration
    if plane is None:
        return Held(profile.name, constants)
    others = plane["updates"] * constants["e_neuron"]
    others = others + plane["spikes"] * (constants["e_spike"] + constants["e_message"])
    return Held(profile.name, {**constants, plane["solves"]: (plane["energy"] - others) / plane["synops"]})


def nominal(profile: Profile, **changed: float) -> dict[str, Samples]:
    """Every constant at its nominal value except ``changed``, on the calibration plane; float64 scalars."""
    values = {key: np.float64(changed.get(key, c.value)) for key, c in profile.constants.items()}
    return solve(profile, {key: np.asarray(value) for key, value in values.items()})


def _draw(constant: Constant, draws: int, rng: np.random.Generator) -> Samples:
    """Median ``value``; 90 % within ``low`` to ``high``: log-normal on either side, or uniform on either side where
    the interval reaches zero."""
    if constant.low > 0:
        z = rng.standard_normal(draws)
        below, above = np.log(constant.value / constant.low), np.log(constant.high / constant.value)
        return np.asarray(constant.value * np.exp(z / _Z95 * np.where(z < 0, below, above)))
    u = rng.uniform(-1, 1, draws)
    return np.asarray(constant.value + u * np.where(u < 0, constant.value, constant.high - constant.value))


def bootstrap_means(values: Samples, draws: int, rng: np.random.Generator) -> Samples:
    """float64 [draws, columns]: means of ``values`` [images, columns] over images drawn with replacement."""
    images = values.shape[0]
    means = np.empty((draws, values.shape[1]))
    for row in range(draws):
        weights = np.bincount(rng.integers(images, size=images), minlength=images)
        means[row] = weights @ values / images
    return means

"""Units and integers: which real value one membrane unit stands for, and how weights are rounded to it.

With unit D (real value of one integer unit of the membrane), weights become round(W / D), biases round(b / D) and the
threshold round(lambda / D). D is chosen so that the largest weight just fits its bits and lambda / D is an exact
integer: then the threshold, which every spike subtracts, carries no rounding error of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from toolchain.errors import ConversionError
from toolchain.quantization.maps import Float64

#: Largest threshold a choice of unit may lead to: leaves the 24-bit membrane room for several thresholds.
MAX_THRESHOLD = 2**21
_MAX_EXPONENT = 8


@runtime_checkable
class Precision(Protocol):
    """What :func:`toolchain.lower` needs to know about number formats."""

    @property
    def per(self) -> Literal["layer", "channel"]: ...

    @property
    def weight_max(self) -> int: ...


@dataclass(frozen=True)
class Int8:
    """8-bit weights, one unit ``per`` layer or per output channel. The readout has one unit always.

    ``bits`` (2 to 8) narrows the weights to [-(2**(bits-1) - 1), 2**(bits-1) - 1].
    """

    per: Literal["layer", "channel"] = "layer"
    bits: int = 8

    def __post_init__(self) -> None:
        if self.per not in ("layer", "channel"):
            raise ConversionError(f"per must be 'layer' or 'channel', not {self.per!r}")
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 2 <= self.bits <= 8:
            raise ConversionError(f"bits must be a whole number between 2 and 8, not {self.bits!r}")

    @property
    def weight_max(self) -> int:
        return int(2 ** (self.bits - 1) - 1)


@dataclass(frozen=True)
class Units:
    """``unit`` [O]: real value of one membrane unit per output channel; ``theta`` [O] integers (None: readout);
    ``exponents``: per branch, weights are mantissa * 2**exponent."""

    unit: Float64
    theta: np.ndarray[tuple[int], np.dtype[np.int64]] | None
    exponents: tuple[int, ...]


def choose_units(branches: list[Float64], threshold: Float64 | None, channels: int, precision: Precision) -> Units:
    """Units for a population whose branches have real weights ``branches`` (output channel first).

    The branch with the smallest weights sets the unit; branches with larger ones (identity skips, typically) get a
    power-of-two exponent, so that each keeps the full width of its mantissa. ``threshold`` [O] is the real threshold,
    None for the readout.
    """
    peaks = np.array([np.abs(w.reshape(channels, -1)).max(axis=1) for w in branches])  # [branches, O]
    layer_peaks = peaks.max(axis=1)
    used = layer_peaks > 0
    smallest = float(layer_peaks[used].min()) if used.any() else 1.0
    layer_unit = max(
        smallest / precision.weight_max, float(layer_peaks.max()) / precision.weight_max / 2**_MAX_EXPONENT
    )
    if precision.per == "channel" and threshold is not None and used.any():
        own = np.where(peaks > 0, peaks, np.inf).min(axis=0) / precision.weight_max
        unit = np.where(np.isfinite(own), own, layer_unit)
        # A channel of tiny weights would need a huge threshold: its unit stays within reach of the layer's.
        unit = np.maximum(unit, layer_unit / 2**_MAX_EXPONENT)
    else:
        unit = np.full(channels, layer_unit)
    theta = None
    if threshold is not None:
        unit = np.maximum(unit, threshold / MAX_THRESHOLD)
        theta = np.maximum(np.floor(threshold / unit), 1).astype(np.int64)
        unit = threshold / theta
    exponents = tuple(_exponent(float((peak / unit).max()), precision.weight_max) for peak in peaks)
    return Units(unit, theta, exponents)


def _exponent(largest: float, weight_max: int) -> int:
    """Smallest e >= 0 with round(largest / 2**e) <= weight_max."""
    exponent = 0
    while np.rint(largest / 2**exponent) > weight_max:
        exponent += 1
    return exponent


def round_weights(
    weight: Float64, unit: Float64, exponent: int, weight_max: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """``clip(round(weight / (unit * 2**exponent))) * 2**exponent``, int64, output channel first."""
    scaled = weight / (unit * 2.0**exponent).reshape(-1, *([1] * (weight.ndim - 1)))
    mantissa = np.clip(np.rint(scaled), -weight_max, weight_max).astype(np.int64)
    return np.asarray(mantissa << exponent)

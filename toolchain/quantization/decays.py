"""Decays in whole 4096ths, and biases as a chip holds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikec.conversion.from_nir.dynamics import Dynamics
from spikec.ir.leak import BIAS_EXPONENT, BIAS_MANTISSA, UNIT, UNITY
from spikec.ir.types import Int64
from spikec.quantization.kernels import Float64


def rounded(neurons: Dynamics, *, steady: bool) -> Dynamics:
    """The same neurons with decays in whole 4096ths. ``steady``: gains and drive change with the decay, so that what a
    steady input leads to stays the same; else they stay, and with them what a single input adds. A membrane that leaks
    less than half of a 4096th then does not leak at all."""
    keep_u = np.where(neurons.keep_u == 0, 0, UNITY - 1 - du_of(neurons)) / UNITY
    keep_v = 1 - (np.maximum(dv_of(neurons), neurons.keep_v < 1) if steady else dv_of(neurons)) / UNITY

    def scaled(before: Float64, after: Float64) -> Float64:
        if not steady:
            return np.ones_like(before)
        found: Float64 = np.where(before < 1, (1 - after) / np.where(before < 1, 1 - before, 1), 1)
        return found

    membrane = scaled(neurons.keep_v, keep_v)
    return replace(
        neurons,
        keep_u=keep_u,
        gain_u=neurons.gain_u * scaled(neurons.keep_u, keep_u),
        keep_v=keep_v,
        gain_v=neurons.gain_v * membrane,
        drive=neurons.drive * membrane,
    )


def du_of(neurons: Dynamics) -> Float64:
    found: Float64 = np.clip(np.rint(UNITY * (1 - neurons.keep_u)) - 1, 0, UNITY - 1)
    return found


def dv_of(neurons: Dynamics) -> Float64:
    found: Float64 = np.clip(np.rint(UNITY * (1 - neurons.keep_v)), 0, UNITY)
    return found


def largest_bias(*, fine: bool) -> int:
    """The largest bias, in 64ths of a weight unit; ``fine`` as :func:`as_mantissa` has it."""
    return BIAS_MANTISSA << BIAS_EXPONENT if fine else BIAS_MANTISSA * UNIT


def as_mantissa(bias: Float64, *, fine: bool) -> Int64:
    """Every bias as the nearest mantissa of 13 bits times the smallest power of two that it needs; if not ``fine``,
    times 64."""
    if not fine:
        whole: Int64 = np.rint(bias / UNIT).astype(np.int64) * UNIT
        return whole
    exponent = np.ceil(np.log2(np.maximum(np.abs(np.rint(bias)) / BIAS_MANTISSA, 1)))
    found: Int64 = (np.rint(bias / 2**exponent) * 2**exponent).astype(np.int64)
    return found

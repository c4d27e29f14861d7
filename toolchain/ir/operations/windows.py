"""Windows that slide along an axis: how many there are, and which inputs each one meets."""

from __future__ import annotations

import numpy as np

from spikec.ir.types import Int64


def output_size(size: int, taps: int, stride: int, padding: int = 0, dilation: int = 1) -> int:
    """Windows of ``taps`` taps along an axis of ``size`` with ``padding`` zeros in all, both sides together.

    0 or less where the window is larger than the padded axis.
    """
    return (size + padding - dilation * (taps - 1) - 1) // stride + 1


def taps(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> Int64:
    """int64 [inputs, kernel]: 1 where kernel tap ``i`` connects input ``x`` to output ``(x + p - i*d) / s``."""
    position = np.arange(inputs)[:, None] + padding - np.arange(kernel)[None, :] * dilation
    exists: Int64 = ((position % stride == 0) & (position >= 0) & (position // stride < outputs)).astype(np.int64)
    return exists


def positions(outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> Int64:
    """int64 [outputs, kernel]: the input that tap ``i`` of window ``y`` meets, ``y * s - p + i * d``; padding lies
    outside."""
    found: Int64 = np.arange(outputs)[:, None] * stride - padding + np.arange(kernel)[None, :] * dilation
    return found


def taps_met(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> Int64:
    """int64 [outputs, kernel]: 1 where the tap of a window meets an input instead of padding."""
    position = positions(outputs, kernel, stride, padding, dilation)
    exists: Int64 = ((position >= 0) & (position < inputs)).astype(np.int64)
    return exists


def inputs_met(inputs: int, low: int, high: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many inputs the windows from ``low`` to before ``high`` meet, each counted once."""
    met = positions(high - low, kernel, stride, padding - low * stride, dilation)
    return len(np.unique(met[(met >= 0) & (met < inputs)]))

"""What the input coding does to images: how many values it clips or rounds to zero, and what the images are like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import GraphError
from spikec.ir.coding import InputNode, InputRange, rounded
from spikec.ir.types import Int64

Float64 = npt.NDArray[np.float64]

_COUNTS = ("images", "values", "nonzero", "negative", "clipped", "zeroed", "empty")
_FEW = 4  # images that are counted one by one
_DIGITS = 6  # of what is stored: sums differ between machines in their last digits


@dataclass(frozen=True)
class InputStatistics:
    """Images as the network is given them, before coding, and what their coding lost.

    Counts over all ``images``: ``values``, those that are not zero (``nonzero``) or ``negative``; those ``clipped`` to
    the range of the coding, and those ``zeroed``: not zero, but coded as 0 (a negative value clipped to 0 is both).
    ``empty``: images that are not black and become all zero. ``mean``, standard ``deviation``, ``low`` and ``high`` of
    all values; ``deviations``: 5th, 50th and 95th percentile of the deviations of single images, constant ones
    left out.
    """

    images: int
    values: int
    nonzero: int
    negative: int
    clipped: int
    zeroed: int
    empty: int
    mean: float
    deviation: float
    low: float
    high: float
    deviations: tuple[float, float, float]

    @property
    def clipped_share(self) -> float:
        """Of all values."""
        return self.clipped / self.values

    @property
    def zeroed_share(self) -> float:
        """Of all values."""
        return self.zeroed / self.values

    @property
    def lost_share(self) -> float:
        """Of the values that are not zero, the share that is coded as 0."""
        return self.zeroed / self.nonzero if self.nonzero else 0.0

    def text(self) -> str:
        """JSON, as files hold it."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def read(cls, text: str) -> InputStatistics:
        """From :meth:`text`. Raises :class:`GraphError` for anything else."""
        try:
            found: dict[str, Any] = json.loads(text)
            if found.keys() != {each.name for each in fields(cls)}:
                raise ValueError
            least, middle, most = map(float, found.pop("deviations"))
            numbers: dict[str, Any] = {key: (int if key in _COUNTS else float)(found[key]) for key in found}
            counts = [numbers[key] for key in _COUNTS]
            if min(counts) < 0 or not numbers["images"] or not numbers["values"]:
                raise ValueError
            if not np.isfinite([*map(float, numbers.values()), least, middle, most]).all():
                raise ValueError
            return cls(**numbers, deviations=(least, middle, most))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise GraphError("metadata 'calibrated' is not what spikec export writes") from error


@dataclass(frozen=True, eq=False)
class CodedInput:
    """What the input coding did to each image of a run, or to each sequence.

    ``counts`` int64 [N, 5]: values, those that are not zero, negative ones, clipped ones, zeroed ones. ``moments``
    float64 [N, 4]: mean, standard deviation, lowest and highest value. What fills sequences up to the longest does not
    count. :attr:`total` sums up.
    """

    counts: Int64
    moments: Float64

    @property
    def clipped(self) -> int:
        """Values cut to the range of the coding."""
        return int(self.counts[:, 3].sum())

    @property
    def zeroed(self) -> int:
        """Values that are not zero and became 0."""
        return int(self.counts[:, 4].sum())

    @property
    def values(self) -> int:
        return int(self.counts[:, 0].sum())

    @property
    def clipped_by_image(self) -> Int64:
        return self.counts[:, 3]

    @property
    def zeroed_by_image(self) -> Int64:
        return self.counts[:, 4]

    @property
    def values_by_image(self) -> Int64:
        return self.counts[:, 0]

    @property
    def empty(self) -> npt.NDArray[np.bool_]:
        """Images [N] that are not black and became all zero."""
        nonzero, zeroed = self.counts[:, 1], self.counts[:, 4]
        empty: npt.NDArray[np.bool_] = (nonzero > 0) & (nonzero == zeroed)
        return empty

    @property
    def total(self) -> InputStatistics:
        moments = self.moments.T
        means, spreads, lows, highs = moments if np.isfinite(moments).all() else np.nan_to_num(moments)
        if len(self.counts) == 1:  # one image at a time should not wait for means over images
            values, nonzero, negative, clipped, zeroed = self.counts[0].tolist()
            mean, spread = float(means[0]), float(spreads[0])
            variance = spread * spread
            low, high = float(lows[0]), float(highs[0])
            least = middle = most = spread if high > low else 0.0
        else:
            values, nonzero, negative, clipped, zeroed = self.counts.sum(axis=0).tolist()
            weights = self.counts[:, 0] / values
            mean = float(weights @ means)
            variance = float(weights @ (spreads**2 + (means - mean) ** 2))
            low, high = float(lows.min()), float(highs.max())
            varied = spreads[highs > lows]
            least = middle = most = varied[0] if len(varied) else 0.0
            if len(varied) > 1:
                least, middle, most = np.quantile(varied, (0.05, 0.5, 0.95))
        return InputStatistics(
            images=len(self.counts),
            values=values,
            nonzero=nonzero,
            negative=negative,
            clipped=clipped,
            zeroed=zeroed,
            empty=int(self.empty.sum()),
            mean=_short(mean),
            deviation=_short(float(np.sqrt(max(variance, 0.0)))),
            low=_short(low),
            high=_short(high),
            deviations=(_short(float(least)), _short(float(middle)), _short(float(most))),
        )


def joined(parts: Sequence[CodedInput]) -> CodedInput:
    """Runs one after the other as one."""
    if len(parts) == 1:
        return parts[0]
    return CodedInput(np.concatenate([p.counts for p in parts]), np.concatenate([p.moments for p in parts]))


def code(
    coding: InputNode | InputRange, real: npt.NDArray[np.floating[Any]], lengths: Int64 | None = None
) -> tuple[Int64, CodedInput]:
    """``clip(round_half_even(real / scale), range)``, int64 like ``real`` [N, ...], and what that did.

    The quotient is taken in float64. ``lengths`` [N]: the frames of each of the sequences ``real`` [N, steps, ...] that
    are its own; those behind must be zeros.
    """
    flat = np.asarray(real).reshape(len(real), -1).astype(np.float64, copy=False)
    whole = rounded(coding, flat)
    held = np.minimum(np.maximum(whole, coding.low), coding.high)  # np.clip, with half its overhead
    coded = held.astype(np.int64)
    nonzero = _counted(flat)
    size = np.full(len(flat), flat.shape[1], np.int64)
    if lengths is not None:
        size = np.asarray(lengths, np.int64) * (flat.shape[1] // real.shape[1])
    counts = [size, nonzero, _counted(flat < 0), _counted(held != whole)]
    counts.append(nonzero - _counted(coded))  # a zero is always coded as 0
    with np.errstate(over="ignore", invalid="ignore"):  # squares of float64 values may be infinite
        mean = flat.sum(axis=1) / size
        square = np.einsum("ij,ij->i", flat, flat) / size
        deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    moments = np.stack([mean, deviation, flat.min(axis=1), flat.max(axis=1)], axis=1)
    return coded.reshape(real.shape), CodedInput(np.stack(counts, axis=1).astype(np.int64), moments)


def _counted(values: npt.NDArray[Any]) -> Int64:
    """How many values of each row are not zero. NumPy counts a whole array several times faster than along an axis."""
    return np.array(
        [np.count_nonzero(row) for row in values] if len(values) <= _FEW else np.count_nonzero(values, axis=1)
    )


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


__all__ = ["CodedInput", "InputStatistics", "code", "joined"]

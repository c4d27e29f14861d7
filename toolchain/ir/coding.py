"""What an input is, and how real numbers become its integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from spikec.ir.types import Int64, Shape

InputType = Literal["int8", "uint8"]
INPUT_TYPES: tuple[InputType, ...] = get_args(InputType)
#: What a network is given: one image, applied at every step, or a sequence, one frame for each step.
Encoding = Literal["constant", "sequence"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)


def lowest(dtype: InputType) -> int:
    """Smallest integer of an input type."""
    return -128 if dtype == "int8" else 0


def highest(dtype: InputType) -> int:
    """Largest integer of an input type."""
    return 127 if dtype == "int8" else 255


@dataclass(frozen=True)
class InputRange:
    """How real pixels become integers: ``integer = clip(round_half_even(real / scale), range of dtype)``. ``limit``:
    the largest magnitude that may come, where that is less than the dtype holds."""

    dtype: InputType
    scale: float
    limit: int | None = None

    @property
    def low(self) -> int:
        return lowest(self.dtype) if self.limit is None else max(lowest(self.dtype), -self.limit)

    @property
    def high(self) -> int:
        return highest(self.dtype) if self.limit is None else min(highest(self.dtype), self.limit)


@dataclass(frozen=True)
class InputNode:
    """What the network is given, in the integers of :class:`InputRange`.

    ``encoding``: ``constant``, an image that is applied at every step; ``sequence``, frames of ``shape``, one for each
    step. The length of a run is then that of the sequence. ``limit``: the largest magnitude of its integers, where
    that is less than the dtype holds, as with events of 0 and 1; ranges then are proven for these only.
    """

    name: str
    shape: Shape
    dtype: InputType
    scale: float
    sources: tuple[str, ...] = ()
    encoding: Encoding = "constant"
    limit: int | None = None

    @property
    def output_shape(self) -> Shape:
        return self.shape

    @property
    def coding(self) -> InputRange:
        return InputRange(self.dtype, self.scale, self.limit)

    @property
    def low(self) -> int:
        return self.coding.low

    @property
    def high(self) -> int:
        return self.coding.high


def rounded(coding: InputNode | InputRange, real: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """``round_half_even(real / scale)``, before it is cut to the range; the quotient is taken in float64."""
    whole: npt.NDArray[np.float64] = np.rint(real.astype(np.float64, copy=False) / coding.scale)
    return whole


def integers(coding: InputNode | InputRange, real: npt.NDArray[np.floating[Any]]) -> Int64:
    """``clip(round_half_even(real / scale), range of dtype)``, int64 of the same shape; the quotient is taken in
    float64."""
    whole: Int64 = np.clip(rounded(coding, real), coding.low, coding.high).astype(np.int64)
    return whole

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
    """How real pixels become integers: ``integer = clip(round_half_even(real / scale), range of dtype)``."""

    dtype: InputType
    scale: float

    @property
    def low(self) -> int:
        return lowest(self.dtype)

    @property
    def high(self) -> int:
        return highest(self.dtype)


@dataclass(frozen=True)
class InputNode:
    """What the network is given, in the integers of :class:`InputRange`.

    ``encoding``: ``constant``, an image that is applied at every step; ``sequence``, frames of ``shape``, one for each
    step. The length of a run is then that of the sequence.
    """

    name: str
    shape: Shape
    dtype: InputType
    scale: float
    sources: tuple[str, ...] = ()
    encoding: Encoding = "constant"

    @property
    def output_shape(self) -> Shape:
        return self.shape

    @property
    def low(self) -> int:
        return lowest(self.dtype)

    @property
    def high(self) -> int:
        return highest(self.dtype)


def integers(coding: InputNode | InputRange, real: npt.NDArray[np.floating[Any]]) -> Int64:
    """``clip(round_half_even(real / scale), range of dtype)``, int64 of the same shape; the quotient is taken in
    float64."""
    whole: Int64 = np.clip(np.rint(real.astype(np.float64) / coding.scale), coding.low, coding.high).astype(np.int64)
    return whole

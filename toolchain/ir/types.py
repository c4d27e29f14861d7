"""Types that every part of the integer graph uses."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from spikec.defaults import TIMESTEPS_MAX as TIMESTEPS_MAX

Shape = tuple[int, ...]
Int64 = npt.NDArray[np.int64]
#: When a layer runs its step t: once the layer before has run step t, or once it has run all its steps.
Schedule = Literal["pipelined", "layerwise"]

#: Membranes and accumulators of the generic target: 24-bit two's complement.
MEMBRANE_MAX = 2**23 - 1


def lifted(shape: Shape) -> Shape:
    """Shape of a signal (C, L) as an image of height one (C, 1, L); other shapes as they are."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape

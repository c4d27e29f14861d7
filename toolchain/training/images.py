"""What the training loop reads batches from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor


class Images(Protocol):
    """A labelled set of images; :class:`spikec.models.data.Dataset` is one."""

    def __len__(self) -> int: ...

    def images(self, indices: npt.NDArray[np.int64] | slice = ...) -> Tensor:
        """float32 [n, C, H, W], or [n, F] for networks that take vectors."""

    def targets(self, indices: npt.NDArray[np.int64] | slice = ...) -> Tensor:
        """int64 [n]."""

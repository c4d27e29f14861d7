"""Torch's and NIR's padding arguments as numbers."""

from __future__ import annotations

from typing import Any

from spikec.frontend.modules import Pads
from spikec.frontend.obstacles import RefusalError


def convolution_pads(padding: Any, kernel: tuple[int, int], dilation: tuple[int, int], stride: tuple[int, int]) -> Pads:
    """A padding argument (int, pair, 'same', 'valid') as (top, bottom, left, right)."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        if stride != (1, 1):
            raise RefusalError("padding 'same' with a stride", "give the padding as numbers")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        # torch puts the odd element of an even kernel at the end
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    vertical, horizontal = (padding, padding) if isinstance(padding, int) else (int(padding[0]), int(padding[-1]))
    return vertical, vertical, horizontal, horizontal

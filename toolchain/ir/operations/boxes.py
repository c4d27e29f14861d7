"""Boxes of indices: one half-open range per axis of a shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spikec.ir.types import Shape

Box = tuple[tuple[int, int], ...]


def whole(shape: Shape) -> Box:
    return tuple((0, size) for size in shape)


def volume(box: Box) -> int:
    return math.prod([max(0, high - low) for low, high in box])


def hull(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of ``boxes``."""
    axes = zip(*boxes, strict=True)
    return tuple([(min([low for low, _ in axis]), max([high for _, high in axis])) for axis in axes])


def unflattened(shape: Shape, flat: tuple[int, int]) -> Box:
    """Smallest box of ``shape`` that holds the flat indices ``flat`` (C order)."""
    box: list[tuple[int, int]] = []
    low, high = flat[0], flat[1] - 1
    same = True
    for axis, size in enumerate(shape):
        block = math.prod(shape[axis + 1 :])
        if not same:
            box.append((0, size))
            continue
        first, last = low // block, high // block
        box.append((first, last + 1))
        low, high = low % block, high % block
        same = first == last
    return tuple(box)

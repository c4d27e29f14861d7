"""Fields of NIR nodes that hold operations: read, written, checked and shown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import GraphError
from spikec.ir.limits import Limit
from spikec.ir.metadata import shown
from spikec.ir.types import Int64, Shape


def float32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Integers as NIR stores them."""
    return np.asarray(values, dtype=np.float32, order="C")


def int64(values: Any) -> Int64:
    return np.asarray(values).astype(np.int64)


def pair(value: Any) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    first, second = np.broadcast_to(np.asarray(value), 2)
    return int(first), int(second)


def whole_numbers(value: Any, limit: Limit, sizes: tuple[int, ...] = (1, 2)) -> bool:
    """Whether ``value`` holds integers within ``limit``, as many as one of ``sizes``."""
    array = np.asarray(value)
    return array.dtype.kind in "iu" and array.ndim <= 1 and array.size in sizes and limit.holds(array)


def misfits(node: Any, limits: dict[str, Limit], *names: str) -> Iterator[str]:
    """Fields of a NIR node that are no one or two integers within their limit, a sentence each."""
    for name in names:
        if not whole_numbers(getattr(node, name), limits[name]):
            yield f"{name} must be one or two integers {limits[name]}, not {shown(getattr(node, name))}"


def span(values: npt.NDArray[np.integer[Any]]) -> str:
    """``7``, or ``[-3, 7]`` for values that differ."""
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"[{low}, {high}]"


def shown_pair(values: tuple[int, int], times: str = "x") -> str:
    return f"{values[0]}" if values[0] == values[1] else f"{values[0]}{times}{values[1]}"


def flat_size(shape: Shape) -> int:
    return math.prod(shape)


def misfit(name: str, message: str) -> GraphError:
    return GraphError(f"{name}: {message}")

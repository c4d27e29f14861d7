"""Images side by side. A process that carries several images at a time has them along a first axis of its ports and of
its state, one *lane* each; a process that carries one image has no such axis."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


def with_lanes(shape: tuple[int, ...], abreast: int) -> tuple[int, ...]:
    """The shape of a port, of ``shape`` for one image, that carries ``abreast`` images."""
    return (abreast, *shape) if abreast > 1 else tuple(shape)


def of_window(stored: Array, rows: slice) -> Array:
    """The rows of a window's images in ``stored`` [images, *shape], or the one row that is for all images."""
    return stored if len(stored) == 1 else stored[rows]


def put_in_lanes(rows: Array, into: Array) -> None:
    """Fill ``into``, an array of a process, with ``rows`` [images, *shape], one in a lane. The lanes that are left get
    the last one again; what they send is not recorded."""
    lanes = into.reshape(-1, *rows.shape[1:])
    lanes[: len(rows)] = rows
    lanes[len(rows) :] = rows[-1]


def from_lanes(values: Array, stored: Array) -> Array:
    """What belongs into ``stored``, rows [images, *shape] of an array of results; lanes without an image are left
    out."""
    return values.reshape(-1, *stored.shape[1:])[: len(stored)]

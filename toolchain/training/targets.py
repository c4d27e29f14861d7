"""What a network should put out: classes, a class for each pixel, or numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError

Kind = Literal["classes", "masks", "numbers"]

#: Label of the pixels of a mask that count for nothing, as Pascal VOC and Cityscapes have it.
IGNORED = 255


def kind_of(targets: npt.ArrayLike) -> Kind:
    """``classes``: integers [N]; ``masks``: integers [N, H, W], a class for each pixel; ``numbers``: floats [N, ...],
    a regression. Raises :class:`DataError` for anything else."""
    values = np.asarray(targets)
    if values.dtype.kind == "f" and values.ndim >= 1:
        return "numbers"
    if values.dtype.kind in "iu" and values.ndim in (1, 3):
        return "classes" if values.ndim == 1 else "masks"
    raise DataError(
        f"targets are {values.dtype} of shape {list(values.shape)}; expected integers [N] (classes) or [N, H, W] "
        "(masks), or floats [N] or [N, d] (numbers to predict)"
    )


def read_targets(where: str, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``y`` as int64 (classes, masks) or float32 (numbers). ``where``: what errors begin with. Raises
    :class:`DataError`."""
    try:
        kind = kind_of(y)
    except DataError as error:
        raise DataError(f"{where}: y: {error}") from None
    if kind == "numbers" and not np.isfinite(y).all():
        raise DataError(f"{where}: y holds values that are not finite")
    return np.ascontiguousarray(y, np.float32 if kind == "numbers" else np.int64)


def class_names(splits: Iterable[npt.NDArray[Any]]) -> tuple[str, ...]:
    """``0``, ``1``, ... up to the largest class of all splits; none where they hold numbers to predict."""
    known = [y for y in splits if y.size]
    if any(kind_of(y) == "numbers" for y in known):
        return ()
    largest = [int(y.max(initial=0, where=y != IGNORED) if kind_of(y) == "masks" else y.max()) for y in known]
    return tuple(map(str, range(1 + max(largest, default=0))))


def check_targets(name: str, targets: npt.NDArray[Any], count: int, what: str) -> None:
    """Raise :class:`DataError` unless there is one target for each of ``count`` inputs, called ``what``, and none of
    the classes is negative. Masks may hold any integer: measures know which of them to ignore."""
    if targets.ndim == 0 or len(targets) != count:
        raise DataError(f"{name}: {count} {what} but labels of shape {list(targets.shape)}")
    if kind_of(targets) == "classes" and targets.min() < 0:
        raise DataError(f"{name}: labels start at 0, {int(targets.min())} is none")


def only_classes(doing: str, name: str, targets: npt.NDArray[Any]) -> None:
    """Raise :class:`DataError` unless ``targets`` are classes. ``doing``: what needs them, such as "advice compares
    accuracy"; ``name``: that of the data."""
    kind = kind_of(targets)
    if kind != "classes":
        found = "a class for each pixel" if kind == "masks" else "numbers to predict"
        raise DataError(f"{doing}, and y of {name} holds {found}: give data with a class for each input")


__all__ = ["IGNORED", "Kind", "check_targets", "class_names", "kind_of", "only_classes", "read_targets"]

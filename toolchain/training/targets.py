"""What a network should put out: classes, a class for each pixel, or numbers; or these for each of several outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError

Kind = Literal["classes", "masks", "numbers", "heads"]

#: Label of the pixels of a mask that count for nothing, as Pascal VOC and Cityscapes have it.
IGNORED = 255
#: More classes than any data set has: ImageNet-21k has 21,841. Each of them gets a name.
CLASSES_MOST = 2**20


def kind_of(targets: npt.ArrayLike) -> Kind:
    """``classes``: integers [N]; ``masks``: integers [N, H, W], a class for each pixel; ``numbers``: floats [N, ...],
    a regression; ``heads``: these by the name of an output (:func:`heads`). Raises :class:`DataError` for anything
    else."""
    values = np.asarray(targets)
    if values.dtype.names:
        return "heads"
    if values.dtype.kind == "f" and values.ndim >= 1:
        return "numbers"
    if values.dtype.kind in "iu" and values.ndim in (1, 3):
        return "classes" if values.ndim == 1 else "masks"
    raise DataError(
        f"targets are {values.dtype} of shape {list(values.shape)}; expected integers [N] (classes) or [N, H, W] "
        "(masks), or floats [N] or [N, d] (numbers to predict)"
    )


def heads(targets: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Targets [N, ...] of several outputs as one array of records [N], whose fields have their names: it is cut and
    drawn from like any other. Raises :class:`DataError` where their numbers differ."""
    numbers = {name: len(values) if values.ndim else 0 for name, values in targets.items()}
    if len(set(numbers.values())) != 1:
        listed = ", ".join(f"{name} {number}" for name, number in numbers.items())
        raise DataError(f"there must be one target of each output for each input, not {listed or 'none'}")
    fields = [(name, values.dtype, values.shape[1:]) for name, values in targets.items()]
    found = np.empty(next(iter(numbers.values())), np.dtype(fields))
    for name, values in targets.items():
        found[name] = values
    return found


def each_head(targets: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of :func:`heads` by the name of the output, in order; other targets under an empty name."""
    return {name: targets[name] for name in targets.dtype.names} if targets.dtype.names else {"": targets}


def read_targets(where: str, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``y`` as int64 (classes, masks) or float32 (numbers). ``where``: what errors begin with. Raises
    :class:`DataError`."""
    try:
        kind = kind_of(y)
    except DataError as error:
        raise DataError(f"{where}: y: {error}") from None
    if kind == "numbers" and not np.isfinite(y).all():
        raise DataError(f"{where}: y holds values that are not finite")
    if kind != "numbers" and y.size and int(y.max()) >= 2**63:
        raise DataError(f"{where}: y holds {int(y.max())}, which is no class: number them from 0")
    return np.ascontiguousarray(y, np.float32 if kind == "numbers" else np.int64)


def class_names(splits: Iterable[npt.NDArray[Any]]) -> tuple[str, ...]:
    """``0``, ``1``, ... up to the largest class of all splits; none where they hold numbers to predict, or what several
    outputs should be. Raises :class:`DataError` for a class that is beyond all data sets."""
    known = [y for y in splits if y.size]
    if any(kind_of(y) in ("numbers", "heads") for y in known):
        return ()
    largest = [int(y.max(initial=0, where=y != IGNORED) if kind_of(y) == "masks" else y.max()) for y in known]
    most = max(largest, default=0)
    if most >= CLASSES_MOST:
        raise DataError(
            f"y holds the class {most}, and there are at most {CLASSES_MOST:,}: number the classes from 0, or "
            "give numbers to predict as floats"
        )
    return tuple(map(str, range(1 + most)))


def check_targets(name: str, targets: npt.NDArray[Any], count: int, what: str) -> None:
    """Raise :class:`DataError` unless there is one target for each of ``count`` inputs, called ``what``, and none of
    the classes is negative. Masks may hold any integer: measures know which of them to ignore."""
    if targets.ndim == 0 or len(targets) != count:
        raise DataError(f"{name}: {count} {what} but labels of shape {list(targets.shape)}")
    for head, values in each_head(targets).items():
        if kind_of(values) == "classes" and values.min() < 0:
            whose = f" of {head}" if head else ""
            raise DataError(f"{name}: labels{whose} start at 0, {int(values.min())} is none")


def only_classes(doing: str, name: str, targets: npt.NDArray[Any]) -> None:
    """Raise :class:`DataError` unless ``targets`` are classes. ``doing``: what needs them, such as "advice compares
    accuracy"; ``name``: that of the data."""
    kind = kind_of(targets)
    if kind != "classes":
        found = {"masks": "a class for each pixel", "numbers": "numbers to predict", "heads": "several targets"}[kind]
        raise DataError(f"{doing}, and y of {name} holds {found}: give data with a class for each input")


__all__ = [
    "IGNORED",
    "Kind",
    "check_targets",
    "class_names",
    "each_head",
    "heads",
    "kind_of",
    "only_classes",
    "read_targets",
]

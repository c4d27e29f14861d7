"""A numpy archive: arrays ``x`` (images) and ``y`` (labels, or ``y_NAME`` for each output), optionally ``x_test`` and
``y_test``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded.arrays import array_names, read_arrays
from spikec.models.data.dataset import Dataset
from spikec.training.targets import class_names, heads, read_targets

_CHANNELS = (1, 3, 4)
#: Behind the names of arrays of test images.
_TEST = "_test"


def load_archive(path: Path, split: str) -> Dataset:
    """One split of an archive. Raises :class:`DataError`.

    ``x`` is uint8 (then divided by 255) or float (taken as it is), of shape [N, C, H, W], [N, H, W, C], [N, H, W], or
    [N, F] for networks that take vectors. C is recognised by its size, 1, 3 or 4; a four-axis array that fits both
    layouts, or neither, is refused. ``y`` holds classes, integers [N]; masks, integers [N, H, W]; or numbers to
    predict, floats [N] or [N, ...]; of networks with several outputs ``y_NAME``, any of these, for each that is
    measured. Without ``x_test``, ``x`` and ``y`` serve both splits.
    """
    arrays = read_arrays(path, ("x", "x_test"))
    suffix = "_test" if split == "test" and "x_test" in arrays else ""
    labels, classes = read_labels(path, suffix)
    if f"x{suffix}" not in arrays or labels is None:
        raise DataError(
            f"{path} holds {', '.join(sorted(array_names(path))) or 'nothing'}; expected x{suffix} and y{suffix}"
            + ("" if suffix else ", and x_test and y_test where there are test images")
        )
    images, scale = _images(path, arrays[f"x{suffix}"])
    return Dataset(f"npz:{path}", images, labels, scale, classes)


def read_labels(path: Path, suffix: str) -> tuple[npt.NDArray[Any] | None, tuple[str, ...]]:
    """The labels of one split, whose arrays end in ``suffix``, and the class names of all; None: there are none. Of
    several outputs, ``y_NAME``, as :func:`spikec.training.targets.heads` has them. Raises :class:`DataError`."""
    names = array_names(path)
    keys = tuple(name for name in names if name == "y" or name.startswith("y_"))
    roles = {key: _role(path, key, keys, "x_test" in names) for key in keys}
    named = [key for key, (output, _) in roles.items() if output is not None]
    if 0 < len(named) < len(keys):
        raise DataError(f"{path} holds y and {named[0]}: give y, or y_NAME for each output, not both")
    every = {key: read_targets(str(path), values) for key, values in read_arrays(path, keys).items()}
    ours = {output: every[key] for key, (output, tested) in roles.items() if tested == bool(suffix)}
    if not named:
        return ours.get(None), class_names(every.values())
    try:
        return heads({str(output): values for output, values in ours.items()}) if ours else None, ()
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _role(path: Path, key: str, keys: Sequence[str], split: bool) -> tuple[str | None, bool]:
    """The output whose targets the array ``key`` of ``keys`` holds, None: of the only one; and whether they are those
    of the test images. ``split``: the archive has test images, so that ``_test`` is no part of a name, unless there are
    test targets of that name too."""
    if key == "y_test" and "y" in keys and not split:
        raise DataError(f"{path} holds y_test and no x_test: give the test images too, or leave y_test out")
    longer, shorter = f"{key}{_TEST}" in keys, key.removesuffix(_TEST)
    if split and longer and shorter != key and shorter in keys:
        raise DataError(
            f"{path}: {key} may be test targets beside {shorter}, or training targets beside {key}{_TEST}: give the "
            f"output {key.removeprefix('y_')!r} another name"
        )
    tested = split and shorter != key and not longer
    name = shorter if tested else key
    return (None if name == "y" else name.removeprefix("y_")), tested


def _images(path: Path, x: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], float]:
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{path}: x is {x.dtype}; expected uint8 or floating point")
    if x.dtype != np.uint8 and not np.isfinite(x).all():
        raise DataError(f"{path}: x contains values that are not finite")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4:
        first, last = x.shape[1] in _CHANNELS, x.shape[3] in _CHANNELS
        if first == last:
            raise DataError(f"{path}: x has shape {list(x.shape)}; make it [N, C, H, W] with 1, 3 or 4 channels")
        x = x if first else x.transpose(0, 3, 1, 2)
    elif x.ndim != 2:
        raise DataError(f"{path}: x has {x.ndim} axes; expected [N, C, H, W], [N, H, W, C], [N, H, W] or [N, F]")
    return (x, 1 / 255) if x.dtype == np.uint8 else (x.astype(np.float32), 1.0)

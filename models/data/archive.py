"""A numpy archive: arrays ``x`` (images) and ``y`` (labels), optionally ``x_test`` and ``y_test``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.models.data.dataset import Dataset

_CHANNELS = (1, 3, 4)


def load_archive(path: Path, split: str) -> Dataset:
    """One split of an archive. Raises :class:`DataError`.

    ``x`` is uint8 (then divided by 255) or float (taken as it is), of shape [N, C, H, W], [N, H, W, C], [N, H, W], or
    [N, F] for networks that take vectors. C is recognised by its size, 1, 3 or 4; a four-axis array that fits both
    layouts, or neither, is refused. Without ``x_test``, ``x`` and ``y`` serve both splits.
    """
    arrays = read_arrays(path, ("x", "y", "x_test", "y_test"))
    suffix = "_test" if split == "test" and "x_test" in arrays else ""
    if f"x{suffix}" not in arrays or f"y{suffix}" not in arrays:
        raise DataError(f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}; expected x{suffix} and y{suffix}")
    images, scale = _images(path, arrays[f"x{suffix}"])
    every_label = [_labels(path, arrays[k]) for k in ("y", "y_test") if k in arrays]
    count = 1 + max((int(labels.max()) for labels in every_label if labels.size), default=0)
    labels = _labels(path, arrays[f"y{suffix}"])
    return Dataset(f"npz:{path}", images, labels, scale, tuple(map(str, range(count))))


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Those of the arrays called ``names`` that an archive holds. Raises :class:`DataError`."""
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path} is a single array; save x and y with numpy.savez")
        with archive:
            return {name: archive[name] for name in names if name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path} as a numpy archive: {error}") from error


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


def _labels(path: Path, y: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if not np.issubdtype(y.dtype, np.integer) or y.ndim != 1:
        raise DataError(f"{path}: y must hold one integer per image, it is {y.dtype} of shape {list(y.shape)}")
    return y.astype(np.int64)

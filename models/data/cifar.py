"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the published archives, unpacked: Python pickles or binary files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded import read_bytes
from spikec.guarded.files import reason
from spikec.guarded.pickles import Refused, read_pickle
from spikec.models.data.dataset import Dataset
from spikec.models.data.pickled_arrays import numpy_names
from spikec.words import option

_PIXELS = 3 * 32 * 32
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BATCHES: dict[str, dict[str, tuple[str, ...]]] = {
    "cifar10": {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
    "cifar100": {"train": ("train",), "test": ("test",)},
}
_FOLDERS = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-batches-bin"),
    "cifar100": ("cifar-100-python", "cifar-100-binary"),
}
_LABEL_KEY = {"cifar10": b"labels", "cifar100": b"fine_labels"}
_LABEL_BYTES = {"cifar10": 1, "cifar100": 2}  # CIFAR-100 stores the coarse label first
#: A batch of the published files has 184 MB at most.
_MOST = 2**28


def load_cifar(name: str, root: Path | None, split: str) -> Dataset:
    """50,000 training or 10,000 test images, uint8 [N, 3, 32, 32], from ``root`` or a standard folder in it."""
    if root is None:
        raise DataError(
            f"{name} is not bundled: give {option('root', flag='--data-root')}, the folder that contains "
            f"{_FOLDERS[name][0]}"
        )
    files = _files(name, root, split)
    parts = [_read(name, path) for path in files]
    pixels = np.concatenate([images for images, _ in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([labels for _, labels in parts])
    classes: tuple[str, ...] = _CIFAR10 if name == "cifar10" else tuple(map(str, range(100)))
    return Dataset(name, pixels, labels, 1 / 255, classes)


def _files(name: str, root: Path, split: str) -> list[Path]:
    batches: tuple[str, ...] = _BATCHES[name][split]
    for folder in (root, *(root / f for f in _FOLDERS[name])):
        for suffix in ("", ".bin"):
            files = [folder / f"{batch}{suffix}" for batch in batches]
            if all(os.path.isfile(f) for f in files):
                return files
    raise DataError(
        f"{name}: no {batches[0]} in {root}; download the archive, unpack it and give the folder as "
        f"{option('root', flag='--data-root')}"
    )


def _read(name: str, path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    data = read_bytes(path, most=_MOST)
    images, labels = _binary(name, data, path) if path.suffix == ".bin" else _pickled(name, data, path)
    if images.ndim != 2 or images.shape[1] != _PIXELS or images.dtype != np.uint8 or len(images) != len(labels):
        raise DataError(f"{path}: expected N x {_PIXELS} bytes and N labels, found {list(images.shape)} {images.dtype}")
    return images, labels


def _binary(name: str, data: bytes, path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    record = _LABEL_BYTES[name] + _PIXELS
    if not data or len(data) % record:
        raise DataError(f"{path}: {len(data)} bytes are no multiple of the record length {record}")
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    return records[:, _LABEL_BYTES[name] :], records[:, _LABEL_BYTES[name] - 1].astype(np.int64)


def _pickled(name: str, data: bytes, path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    try:
        batch = read_pickle(io.BytesIO(data), numpy_names, byte_strings=True)
        return np.asarray(batch[b"data"]), np.asarray(batch[_LABEL_KEY[name]], dtype=np.int64)
    except Refused as error:
        raise DataError(f"{path}: the pickle {error}, which a CIFAR batch never contains") from error
    except Exception as error:  # a damaged pickle causes almost anything
        raise DataError(f"{path} is not a {name} batch: {reason(error)}") from error

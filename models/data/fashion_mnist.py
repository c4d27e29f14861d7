"""Fashion-MNIST (Zalando, MIT licence) in IDX files, as the Debian package ``dataset-fashion-mnist`` has them."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded import read_bytes, reading
from spikec.models.data.dataset import Dataset
from spikec.words import option

SYSTEM_ROOT = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_PREFIX = {"train": "train", "test": "t10k"}
_UINT8 = 0x08
#: The files have 47 MB, and three axes.
_MOST, _RANK_MOST = 2**28, 8


def read_idx(path: Path) -> npt.NDArray[Any]:
    """The uint8 array of an IDX file, gzipped or not (magic 0, 0, type, rank; big-endian sizes; data)."""
    content = read_bytes(path, most=_MOST)
    if content[:2] == b"\x1f\x8b":
        with reading(path, "gzip"), gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            content = packed.read(_MOST + 1)
        if len(content) > _MOST:
            raise DataError(f"{path} unpacks to more than {_MOST:,} bytes, which Fashion-MNIST does not")
    if len(content) < 4 or content[0] or content[1] or content[2] != _UINT8:
        raise DataError(f"{path} is not an IDX file of bytes")
    rank = content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{path} ends inside its header")
    shape = struct.unpack(f">{rank}I", content[4:start])
    array = np.frombuffer(content, dtype=np.uint8, offset=start)
    if rank > _RANK_MOST or array.size != math.prod(shape):
        raise DataError(f"{path} holds {array.size} values, its header promises {' x '.join(map(str, shape))}")
    return array.reshape(shape)


def load_fashion_mnist(root: Path | None, split: str) -> Dataset:
    """60,000 training or 10,000 test images, uint8 [N, 1, 28, 28], from ``root`` (default: the system's copy)."""
    folder = root or SYSTEM_ROOT
    images = read_idx(_find(folder, f"{_PREFIX[split]}-images-idx3-ubyte"))
    labels = read_idx(_find(folder, f"{_PREFIX[split]}-labels-idx1-ubyte"))
    if images.ndim != 3:
        raise DataError(f"fashion-mnist: the images in {folder} have {images.ndim} axes, expected N, H, W")
    return Dataset("fashion-mnist", images[:, None], labels.astype(np.int64), 1 / 255, CLASSES)


def _find(folder: Path, name: str) -> Path:
    for place in (folder, folder / "FashionMNIST" / "raw"):  # the second is torchvision's
        for candidate in (place / f"{name}.gz", place / name):
            if os.path.isfile(candidate):
                return candidate
    raise DataError(
        f"fashion-mnist: no {name}.gz in {folder}; install the Debian package dataset-fashion-mnist or "
        f"give {option('root', flag='--data-root')}"
    )

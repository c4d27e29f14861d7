"""An image folder: ``PATH/train/CLASS/*.png`` and ``PATH/test/CLASS/*.png``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikec.errors import DataError
from spikec.memory import require_memory
from spikec.models.data.dataset import Dataset
from spikec.models.data.pictures import is_grey, read_picture

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})


def load_folder(root: Path, split: str) -> Dataset:
    """Images uint8 [N, C, H, W], C = 1 if every image is grey, else 3. Classes: the sub-folders of ``train``, sorted.

    The images alternate between the classes, within a class by file name, so that the first images show all classes.
    """
    classes, paths = class_files(root, split, SUFFIXES, "images")
    channels = 1 if all(is_grey(path) for path, _ in paths) else 3
    height, width = read_picture(paths[0][0], channels).shape[:2]
    needed = len(paths) * channels * height * width
    require_memory(f"{len(paths)} images of {height}x{width} in {root}", needed, "give fewer, or smaller ones")
    stored = np.empty((len(paths), channels, height, width), dtype=np.uint8)
    for i, (path, _) in enumerate(paths):
        pixels = read_picture(path, channels)
        if pixels.shape[:2] != (height, width):
            raise DataError(
                f"{path} is {pixels.shape[0]}x{pixels.shape[1]}, {paths[0][0]} is {height}x{width}: "
                "resize all images to one size"
            )
        stored[i] = pixels.transpose(2, 0, 1)
    labels = np.array([label for _, label in paths], dtype=np.int64)
    return Dataset(f"folder:{root}", stored, labels, 1 / 255, classes)


def class_files(
    root: Path, split: str, suffixes: frozenset[str], what: str
) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """The classes of ``train``, and the files of a split with the number of their class; classes take turns. Raises
    :class:`DataError`, which calls the files ``what``."""
    classes = _class_names(root / "train")
    unknown = set(_class_names(root / split)) - set(classes)
    if unknown:
        raise DataError(f"{root / split} has classes that {root / 'train'} has not: {', '.join(sorted(unknown))}")
    turns = [(turn, p, i) for i, c in enumerate(classes) for turn, p in enumerate(_files(root / split / c, suffixes))]
    paths = [(p, i) for _, p, i in sorted(turns, key=lambda item: (item[0], item[2]))]
    if not paths:
        raise DataError(f"no {what} in {root / split}; known endings: {', '.join(sorted(suffixes))}")
    return classes, paths


def _class_names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; there must be train/CLASS/ and test/CLASS/")
    names = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))
    if not names:
        raise DataError(f"{folder} has no class folders")
    return names


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)

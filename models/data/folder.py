"""An image folder: ``PATH/train/CLASS/*.png`` and ``PATH/test/CLASS/*.png``, or ``PATH/CLASS/*.png`` alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from spikec.errors import DataError
from spikec.models.data.dataset import Dataset
from spikec.models.data.pictures import SUFFIXES
from spikec.models.data.shaping import Shaping
from spikec.models.data.streams import Files, Pictures

#: What a folder of test images may be called; ImageNet calls it ``val``.
_TEST = ("test", "val")


def load_folder(root: Path, options: str, split: str) -> Dataset:
    """Images uint8 [N, C, H, W], C = 1 if every image is grey, else 3, read when they are asked for. ``options``:
    :meth:`spikec.models.data.shaping.Shaping.parse`. Classes: the sub-folders of ``train``, sorted.

    The images alternate between the classes, within a class by file name, so that the first images show all classes.
    """
    shaping = Shaping.parse(options)
    classes, paths = class_files(root, split, SUFFIXES, "images")
    stored = Pictures(Files([path for path, _ in paths]), shaping)
    labels = np.array([label for _, label in paths], dtype=np.int64)
    name = f"folder:{root}" + (f",{options}" if options else "")
    return Dataset(name, stored, labels, 1 / 255, classes, shaping.normalising)


def class_files(
    root: Path, split: str, suffixes: frozenset[str], what: str
) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """The classes, and the files of a split with the number of their class; classes take turns. Raises
    :class:`DataError`, which calls the files ``what``.

    Classes are the folders in ``train``; where there are neither ``train`` nor test images, those in ``root``, whose
    files serve both splits, as in torchvision's ``ImageFolder``. Files may lie in folders below that of their class.
    """
    folder = split_folder(root, split)
    train = root / "train"
    classes = _class_names(train if folder != root and os.path.isdir(train) else folder)
    unknown = set(_class_names(folder)) - set(classes)
    if unknown:
        raise DataError(f"{folder} has classes that {train} has not: {', '.join(sorted(unknown))}")
    turns = [(turn, p, i) for i, c in enumerate(classes) for turn, p in enumerate(_files(folder / c, suffixes))]
    paths = [(p, i) for _, p, i in sorted(turns, key=lambda item: (item[0], item[2]))]
    if not paths:
        raise DataError(f"no {what} in {folder}; known endings: {', '.join(sorted(suffixes))}")
    return classes, paths


def split_folder(root: Path, split: str) -> Path:
    """Where the files of a split are: ``root/train``, ``root/test`` or ``root/val``; ``root`` where there is none."""
    tests = [root / name for name in _TEST if os.path.isdir(root / name)]
    train = root / "train"
    if not tests and not os.path.isdir(train):
        return root
    return train if split == "train" else tests[0] if tests else root / _TEST[0]


def _class_names(folder: Path) -> tuple[str, ...]:
    if not os.path.isdir(folder):
        raise DataError(f"{folder} is not a folder; there must be train/CLASS/ and test/CLASS/, or CLASS/ alone")
    names = tuple(sorted(p.name for p in folder.iterdir() if os.path.isdir(p)))
    if not names:
        raise DataError(f"{folder} has no class folders")
    return names


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """The files of a class by name, also in folders below; links to folders are not followed there."""
    if not os.path.isdir(folder):
        return []
    found = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sorted(p for p in found if p.suffix.lower() in suffixes)

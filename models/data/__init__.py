"""Data sets by name: ``digits``, ``fashion-mnist``, ``cifar10``, ``cifar100``, ``folder:PATH``, ``webdataset:PATH``,
``npz:PATH``, ``events:PATH`` or ``file.py:name``."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from torch import Tensor

from spikec.arguments import file_path
from spikec.errors import DataError
from spikec.models.data.archive import load_archive
from spikec.models.data.cifar import load_cifar
from spikec.models.data.dataset import Dataset
from spikec.models.data.digits import load_digits
from spikec.models.data.events import load_event_images, load_events, size_hint
from spikec.models.data.fashion_mnist import load_fashion_mnist
from spikec.models.data.folder import load_folder
from spikec.models.data.frames import mean_frames
from spikec.models.data.own import is_own, load_own
from spikec.models.data.sequences import Sequences, load_sequences
from spikec.models.data.webdataset import load_webdataset
from spikec.words import did_you_mean

NAMES = ("digits", "fashion-mnist", "cifar10", "cifar100")
_BY_PATH = ("folder", "webdataset", "npz", "events")

__all__ = ["NAMES", "Dataset", "Sequences", "load", "mean_frames", "open_dataset", "open_sequences", "size_hint"]


def open_dataset(name: str, root: str | PathLike[str] | None = None, split: str = "test") -> Dataset:
    """The split ``train`` or ``test`` of the data set ``name``, in its stored dtype. Raises :class:`DataError`."""
    if split not in ("train", "test"):
        raise DataError(f"split is 'train' or 'test', not {split!r}")
    kind, path = _parts(name)
    folder = file_path(root, "the data root") if root is not None else None
    if folder is not None and not os.path.isdir(folder):
        raise DataError(f"the data root {folder} is not a folder")
    if kind in _BY_PATH:
        if not path:
            raise DataError(f"{name!r} names no path: write {kind}:PATH")
        if kind == "events":
            return load_event_images(*_recordings(path, folder), split)
        if kind == "npz":
            return load_archive(Path(path) if folder is None else folder / path, split)
        return (load_folder if kind == "folder" else load_webdataset)(*_pictures(path, folder), split)
    if is_own(name):
        return load_own(name, folder, split)
    if name == "digits":
        return load_digits(split)
    if name == "fashion-mnist":
        return load_fashion_mnist(folder, split)
    if name in ("cifar10", "cifar100"):
        return load_cifar(name, folder, split)
    if name.endswith(".npz") and os.path.isfile(name):
        raise DataError(f"{name} is a file: write npz:{name}")
    if os.path.isdir(name):  # False too for a name that is too long for a path
        raise DataError(f"{name} is a folder: write folder:{name}, or events:{name} for recordings of event cameras")
    hint = did_you_mean(name, NAMES, "known: {}, folder:PATH, webdataset:PATH, npz:PATH, events:PATH, file.py:name")
    raise DataError(f"unknown data set {name!r}; {hint}")


def open_sequences(name: str, root: str | PathLike[str] | None = None, split: str = "test") -> Sequences:
    """The split ``train`` or ``test`` of sequences: ``npz:PATH`` with x [N, steps, ...], or ``events:PATH`` with its
    options behind a comma (:mod:`spikec.models.data.events`). Raises :class:`DataError`."""
    kind, path = _parts(name)
    if kind in ("npz", "events") and not path:
        raise DataError(f"{name!r} names no path: write {kind}:PATH")
    if kind not in ("npz", "events"):
        raise DataError(
            f"the network takes sequences, and {name!r} are images: give npz:PATH with x [N, steps, ...] or events:PATH"
        )
    folder = file_path(root, "the data root") if root is not None else None
    if kind == "events":
        return load_events(*_recordings(path, folder), split)
    return load_sequences(Path(path) if folder is None else folder / path, split)


def _parts(name: str) -> tuple[str, str]:
    """What stands before the colon of a data set's name, and behind it."""
    if not isinstance(name, str):
        raise DataError(f"a data set is given by its name, not by {type(name).__name__}; write for example npz:PATH")
    kind, _, path = name.partition(":")
    return kind, path


def _recordings(path: str, folder: Path | None) -> tuple[Path, str]:
    """The folder and the options of ``PATH,option,option``."""
    path, _, options = path.partition(",")
    if not path:
        raise DataError("the recordings have no path: write events:PATH, and options behind commas")
    return Path(path) if folder is None else folder / path, options


def _pictures(path: str, folder: Path | None) -> tuple[Path, str]:
    """The path and the options of ``PATH,option,option``; a path that exists may hold commas itself."""
    whole = Path(path) if folder is None else folder / path
    if "," not in path or os.path.exists(whole):
        return whole, ""
    path, _, options = path.partition(",")
    return Path(path) if folder is None else folder / path, options


def load(name: str, root: str | PathLike[str] | None = None, split: str = "train") -> tuple[Tensor, Tensor]:
    """A whole split as two tensors: images float32 [N, C, H, W], labels int64 [N]. See :func:`open_dataset`."""
    dataset = open_dataset(name, root, split)
    return dataset.images(), dataset.targets()

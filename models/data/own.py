"""A data set of the user's own code: ``file.py:dataset`` or ``package.module:dataset``."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spikec.errors import DataError
from spikec.guarded import file_digest
from spikec.models.data.dataset import Dataset
from spikec.models.data.streams import Indices, numbers
from spikec.models.resolving import imported
from spikec.training.targets import class_names, kind_of, read_targets
from spikec.words import reason


class Items:
    """Images [N, ...] of an object with ``__len__`` and ``__getitem__``, as ``torch.utils.data.Dataset`` has them.

    Whatever image is read must have the shape and type of the first, and, where labels are known, its own label.
    """

    def __init__(self, name: str, data: Any, places: npt.NDArray[np.int64]) -> None:
        self._name, self._data, self._places = name, data, places
        self._labels: npt.NDArray[Any] | None = None
        first = self.image(0)
        self.dtype, self._shape = first.dtype, first.shape

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self), *self._shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, indices: Indices) -> npt.NDArray[Any]:
        places = numbers(indices, len(self))
        found = np.empty((len(places), *self._shape), self.dtype)
        for row, place in zip(found, places, strict=True):
            image = self.image(place)
            if (image.shape, image.dtype) != (self._shape, self.dtype):
                raise DataError(
                    f"{self._name}: image {self._places[place]} is {image.dtype} {list(image.shape)}, the first is "
                    f"{self.dtype} {list(self._shape)}: give all of them one shape and type"
                )
            row[...] = image
        return found

    def chosen(self, indices: Indices) -> Items:
        places = numbers(indices, len(self))
        chosen = object.__new__(Items)
        chosen.__dict__.update(self.__dict__, _places=self._places[places])
        chosen._labels = None if self._labels is None else self._labels[places]
        return chosen

    def labelled(self, labels: npt.NDArray[Any]) -> Items:
        """The same, which refuses an image that brings another label than ``labels`` [N, ...] have for it."""
        chosen = self.chosen(slice(None))
        chosen._labels = labels
        return chosen

    def fingerprint(self) -> str:
        """Of the file that holds the code, where it is one: what that reads is not known."""
        place = self._name.rpartition(":")[0]
        code = file_digest(place) if place.endswith(".py") else ""
        about = (self._name, code, self.shape, str(self.dtype), self._places.tolist())
        return hashlib.sha256(repr(about).encode()).hexdigest()

    def image(self, place: int) -> npt.NDArray[Any]:
        """One image, uint8 or float32. Raises :class:`DataError`."""
        index = int(self._places[place])
        image, label = self.item(index)
        if self._labels is not None and not np.array_equal(_label(self._name, index, label), self._labels[place]):
            raise DataError(
                f"{self._name}: image {index} comes with the label {label!r}, and .targets hold "
                f"{self._labels[place].tolist()!r} for it: make them agree, or take .targets away"
            )
        values = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
        if hasattr(image, "getbands"):  # a picture of Pillow: rows, columns, channels
            values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
        if values.dtype != np.uint8 and values.dtype.kind != "f":
            raise DataError(f"{self._name}: image {index} is {values.dtype}; expected uint8 or floating point")
        if values.ndim not in (1, 3):
            raise DataError(f"{self._name}: image {index} is of shape {list(values.shape)}; expected [C, H, W] or [F]")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataError(f"{self._name}: image {index} holds values that are not finite")
        return values if values.dtype == np.uint8 else values.astype(np.float32)

    def label(self, place: int) -> npt.NDArray[Any]:
        """The label that comes with an image."""
        index = int(self._places[place])
        return _label(self._name, index, self.item(index)[1])

    def item(self, index: int) -> tuple[Any, Any]:
        """What the object returns for ``index``: an image and its label. Raises :class:`DataError`."""
        found = _called(f"reading image {index} of {self._name}", lambda: self._data[index])
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise DataError(f"{self._name}[{index}] is a {type(found).__name__}; expected a pair, (image, label)")
        return found[0], found[1]


def is_own(name: str) -> bool:
    """Whether a name of data is one of code: ``file.py:name`` or ``package.module:name``."""
    place, colon, found = name.rpartition(":")
    modules = all(part.isidentifier() for part in place.split("."))
    return bool(colon) and found.isidentifier() and (place.endswith(".py") or ("." in place and modules))


def load_own(name: str, folder: Path | None, split: str) -> Dataset:
    """The data set that code makes; called with ``split`` where it takes an argument, else with none.

    Images: uint8 (then divided by 255) or floats, [C, H, W] or [F], as tensors, arrays or pictures of Pillow. Labels:
    those of ``.targets`` or ``.labels``, where the object has them, as data sets of torchvision do; else they are read
    with every image once, before anything runs. Raises :class:`DataError`.
    """
    place, _, word = name.rpartition(":")
    where = str(folder / place) if folder is not None and place.endswith(".py") else place
    found = _made(name, imported(where, word), split)
    if not hasattr(found, "__getitem__") or not hasattr(found, "__len__"):
        raise DataError(
            f"{name} is a {type(found).__name__}, which has no __len__ and __getitem__: images are read by their "
            "number, so that they can be split"
        )
    number = int(_called(f"asking {name} how many images it has", lambda: len(found)))
    if number < 1:
        raise DataError(f"{name} holds no images")
    items = Items(f"{where}:{word}", found, np.arange(number))
    targets = next((t for key in ("targets", "labels") if (t := getattr(found, key, None)) is not None), None)
    if targets is None:
        labels = read_targets(name, np.stack([items.label(i) for i in range(number)]))
    else:
        labels = read_targets(name, np.asarray(targets))
        if len(labels) != number:
            raise DataError(f"{name} has {number} images and {len(labels)} targets: give one for each")
    names = class_names([labels])
    given = getattr(found, "classes", None)
    if isinstance(given, list | tuple) and kind_of(labels) == "classes" and len(given) >= len(names):
        names = tuple(map(str, given))
    stored = items if targets is None else items.labelled(labels)
    return Dataset(name, stored, labels, 1 / 255 if items.dtype == np.uint8 else 1.0, names)


def _made(name: str, found: Any, split: str) -> Any:
    if hasattr(found, "__getitem__") or not callable(found):
        return found
    try:
        takes = any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in _parameters(found))
    except (TypeError, ValueError):  # written in C
        takes = False
    return _called(f"calling {name}", (lambda: found(split)) if takes else found)


def _parameters(found: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(found).parameters.values())


def _called(doing: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except DataError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise DataError(f"{doing} failed: {reason(error)}") from error


def _label(name: str, index: int, label: Any) -> npt.NDArray[Any]:
    try:
        values = np.asarray(label.detach().cpu() if isinstance(label, torch.Tensor) else label)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: the label of image {index} is no number: {reason(error)}") from error
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name}: the label of image {index} is a {type(label).__name__}; expected numbers")
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int64)

"""A labelled set of images, kept in its stored form and converted to floats batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikec.errors import DataError
from spikec.models.data.shaping import Normalising
from spikec.models.data.streams import Stored
from spikec.training.targets import check_targets, each_head, kind_of


@dataclass(frozen=True)
class Dataset:
    """Labelled images. A network is given ``stored * scale``. Raises :class:`DataError` for arrays that do not match.

    ``stored``: uint8 or float32, [N, C, H, W], or [N, F] for vectors; an array, or images that are read when they are
    asked for. ``labels``: classes int64 [N], masks int64
    [N, H, W] or numbers to predict, float32 [N] or [N, ...]. ``classes``: the class names in label order. Pixels end up
    in [0, 1] without mean subtraction: zero padding then means "no input", and the scale folds into the integers of the
    first layer. ``normalising``: what is done behind the scale all the same, where it was asked for.
    """

    name: str
    stored: npt.NDArray[Any] | Stored
    labels: npt.NDArray[Any]
    scale: float
    classes: tuple[str, ...]
    normalising: Normalising | None = None

    def __post_init__(self) -> None:
        if self.stored.ndim not in (2, 4) or len(self.stored) == 0:
            shape = list(self.stored.shape)
            raise DataError(f"{self.name}: images must be a non-empty [N, C, H, W] or [N, F], not {shape}")
        check_targets(self.name, self.labels, len(self.stored), "images")
        if kind_of(self.labels) == "classes" and int(self.labels.max()) >= len(self.classes):
            span = f"{int(self.labels.min())} to {int(self.labels.max())}"
            raise DataError(f"{self.name}: labels run from {span}, expected 0 to {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of one image, or (F,)."""
        return self.stored.shape[1:]

    @property
    def outputs(self) -> int:
        """Outputs a network for these images has: one for each class, or for each number to predict."""
        numbers = kind_of(self.labels) == "numbers"
        return int(np.prod(self.labels.shape[1:])) if numbers else len(self.classes)

    def images(self, indices: npt.NDArray[np.int64] | slice = slice(None)) -> Tensor:
        """The chosen images, float32 [n, C, H, W] or [n, F]."""
        # Divide rather than multiply by the reciprocal: k / 255 is the float nearest to the pixel's value.
        chosen = np.ascontiguousarray(self.stored[indices]).astype(np.float32)
        scaled = chosen / np.float32(1 / self.scale) if self.scale != 1 else chosen
        return torch.from_numpy(scaled if self.normalising is None else self.normalising(scaled))

    def targets(self, indices: npt.NDArray[np.int64] | slice = slice(None)) -> Any:
        """The labels of the chosen images: int64 [n] for classes; of several outputs an array of records."""
        chosen = np.ascontiguousarray(self.labels[indices])
        return chosen if chosen.dtype.names else torch.from_numpy(chosen)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images, labels) in stored order, ``size`` at a time. Only one batch at a time is converted to floats."""
        for start in range(0, len(self), size):
            yield self.images(slice(start, start + size)), self.targets(slice(start, start + size))

    def subset(self, indices: npt.NDArray[np.int64] | slice) -> Dataset:
        """The chosen images as a new data set; images that are read when they are asked for stay where they are."""
        stored = self.stored[indices] if isinstance(self.stored, np.ndarray) else self.stored.chosen(indices)
        return replace(self, stored=stored, labels=self.labels[indices])

    def fingerprint(self) -> str:
        """SHA-256 of everything a network is given, and of the labels; of images that are read when they are asked for,
        of what tells them from others without reading them (:class:`spikec.models.data.streams.Stored`)."""
        digest = hashlib.sha256(repr((self.stored.shape, str(self.stored.dtype), self.scale)).encode())
        digest.update(b"" if self.normalising is None else repr(self.normalising).encode())
        if isinstance(self.stored, np.ndarray):
            digest.update(np.ascontiguousarray(self.stored).data)
        else:
            digest.update(self.stored.fingerprint().encode())
        for head, values in each_head(self.labels).items():
            digest.update(head.encode())
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def same_images(self, other: Dataset) -> bool:
        """Whether both hold the same images as stored, whatever their labels; images that are read when they are asked
        for are told apart without reading them, as in :meth:`fingerprint`."""
        mine, its = self.stored, other.stored
        if mine.shape != its.shape:
            return False
        if isinstance(mine, np.ndarray) or isinstance(its, np.ndarray):
            return isinstance(mine, np.ndarray) and isinstance(its, np.ndarray) and bool(np.array_equal(mine, its))
        return mine.fingerprint() == its.fingerprint()

    def draw(self, number: int, seed: int) -> Dataset:
        """``number`` images drawn at random with ``seed``, in their stored order; all images if there are no more."""
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:number]))

    def undrawn(self, number: int, seed: int) -> Dataset | None:
        """All images that ``draw(number, seed)`` leaves, in random order: the first n of them are a sample. None where
        it leaves none."""
        left = np.random.default_rng(seed).permutation(len(self))[number:]
        return self.subset(left) if len(left) else None

    def split(self, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
        """Split at random with ``seed``. The second set holds ``fraction`` of every class, at least one image each;
        where labels are no classes, of all images."""
        if not 0 < fraction < 1:
            raise DataError(f"the validation fraction must lie between 0 and 1, not {fraction}")
        rng = np.random.default_rng(seed)
        held_out = np.zeros(len(self), dtype=bool)
        groups = self.labels if kind_of(self.labels) == "classes" else np.zeros(len(self), np.int64)
        for label in np.unique(groups):
            members = np.flatnonzero(groups == label)
            held_out[rng.permutation(members)[: max(1, round(fraction * len(members)))]] = True
        if held_out.all():
            raise DataError(f"{self.name}: too few images to hold out a validation set of {fraction:.0%}")
        return self.subset(np.flatnonzero(~held_out)), self.subset(np.flatnonzero(held_out))

"""Sequences with labels: frames of numbers, one for each step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spikec.errors import DataError
from spikec.guarded.arrays import read_arrays
from spikec.models.data.archive import read_labels
from spikec.training.targets import check_targets


@dataclass(frozen=True)
class Sequences:
    """Labelled sequences. Raises :class:`DataError` for arrays that do not match.

    ``frames``: numbers [N, steps, *shape]; ``lengths`` int64 [N]: steps of each, where some are shorter; ``labels``:
    classes int64 [N], or numbers to predict, float32 [N] or [N, ...]; ``classes``: the class names in label order.
    ``labelled``: the data hold labels; where they do not, ``labels`` are 0 and mean nothing.
    """

    name: str
    frames: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    classes: tuple[str, ...]
    lengths: npt.NDArray[np.int64] | None = None
    labelled: bool = True

    def __post_init__(self) -> None:
        if self.frames.ndim < 3 or 0 in self.frames.shape:
            shape = list(self.frames.shape)
            raise DataError(f"{self.name}: sequences must be a non-empty [N, steps, ...], not {shape}")
        check_targets(self.name, self.labels, len(self.frames), "sequences")
        steps = self.frames.shape[1]
        if self.lengths is not None and (
            self.lengths.shape != (len(self),) or self.lengths.min() < 1 or self.lengths.max() > steps
        ):
            raise DataError(f"{self.name}: lengths must hold a number between 1 and {steps} for each sequence")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one frame."""
        return self.frames.shape[2:]

    @property
    def steps(self) -> int:
        """Steps of the longest sequence."""
        return int(self.frames.shape[1] if self.lengths is None else self.lengths.max())

    def images(self, indices: npt.NDArray[np.int64] | slice = slice(None)) -> Any:
        """The chosen sequences: an array [n, steps, *shape], or a list of arrays of different lengths."""
        chosen = self.frames[indices]
        if self.lengths is None:
            return chosen
        return [frames[:length] for frames, length in zip(chosen, self.lengths[indices], strict=True)]

    def padded(self) -> npt.NDArray[Any]:
        """All sequences, [N, steps, *shape]; zeros after the end of shorter ones, whatever the archive holds there."""
        frames = self.frames[:, : self.steps].copy()
        if self.lengths is not None:
            frames[np.arange(self.steps) >= self.lengths[:, None]] = 0
        return frames

    def targets(self, indices: npt.NDArray[np.int64] | slice = slice(None)) -> Any:
        """The labels of the chosen sequences: int64 [n] for classes; of several outputs an array of records."""
        chosen = np.ascontiguousarray(self.labels[indices])
        return chosen if chosen.dtype.names else torch.from_numpy(chosen)

    def subset(self, indices: npt.NDArray[np.int64] | slice) -> Sequences:
        """The chosen sequences as a new data set."""
        lengths = None if self.lengths is None else self.lengths[indices]
        return Sequences(self.name, self.frames[indices], self.labels[indices], self.classes, lengths, self.labelled)

    def draw(self, number: int, seed: int) -> Sequences:
        """``number`` sequences drawn at random with ``seed``, in their stored order; all if there are no more."""
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:number]))


def load_sequences(path: Path, split: str) -> Sequences:
    """One split of a numpy archive: ``x`` [N, steps, ...], ``y`` [N, ...] and, where they differ, ``lengths`` [N];
    those of the test set with ``_test`` behind the name. ``y`` as in
    :func:`spikec.models.data.archive.load_archive`. Without ``x_test``, ``x`` serves both splits. Without ``y`` there
    are no labels. Raises :class:`DataError`."""
    arrays = read_arrays(path, ("x", "lengths", "x_test", "lengths_test"))
    suffix = "_test" if split == "test" and "x_test" in arrays else ""
    if f"x{suffix}" not in arrays:
        raise DataError(f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}; expected x [N, steps, ...] and y [N]")
    frames = arrays[f"x{suffix}"]
    if frames.dtype.kind not in "biuf" or not np.isfinite(frames).all():
        raise DataError(f"{path}: x{suffix} holds {frames.dtype}; expected finite numbers")
    given, classes = read_labels(path, suffix)
    labels = np.zeros(len(frames), np.int64) if given is None else given
    lengths = arrays.get(f"lengths{suffix}")
    if lengths is not None and (lengths.dtype.kind not in "iu" or lengths.ndim != 1):
        raise DataError(f"{path}: lengths must hold one integer per sequence, it is {lengths.dtype}")
    whole = frames.astype(np.float32) if frames.dtype.kind != "f" else frames
    return Sequences(
        f"npz:{path}",
        whole,
        labels,
        classes,
        None if lengths is None else lengths.astype(np.int64),
        given is not None,
    )

"""Recordings of event cameras, as sequences of frames that hold counts of events."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.memory import usable_memory as memory
from spikec.models.data.dataset import Dataset
from spikec.models.data.folder import class_files
from spikec.models.data.recordings import READERS, Events, read_events
from spikec.models.data.sequences import Sequences

_POLARITIES = 2
#: Digits of an option that are surely a mistake beyond this.
_DIGITS = 9
#: Bytes of memory for each count: of all frames as they are stored and as they are run, and of one recording while its
#: events are counted.
_STORED, _COUNTING = 5, 9


@dataclass(frozen=True)
class Binning:
    """How the events of a recording become frames uint8 [steps, 2, H, W]; counts above 255 are cut.

    ``steps``: as many bins of equal time, or, with ``by`` = "count", of equally many events. With ``us``, bins of that
    many microseconds instead, so that recordings differ in length. ``height`` and ``width`` of the sensor; by default
    what holds every event of the split. ``down``: so many rows and columns become one.
    """

    steps: int = 32
    us: int | None = None
    by: str = "time"
    height: int | None = None
    width: int | None = None
    down: int = 1

    @classmethod
    def parse(cls, text: str) -> Binning:
        """From ``steps=20,by=count,size=34x34,down=2``. Raises :class:`DataError`."""
        given: dict[str, Any] = {}
        for part in filter(None, text.split(",")):
            name, equals, value = part.partition("=")
            if name == "by" and value in ("time", "count"):
                given["by"] = value
            elif name == "size" and equals:
                height, times, width = value.partition("x")
                given |= {"height": _whole(part, height), "width": _whole(part, width if times else height)}
            elif name in ("steps", "us", "down") and equals:
                given[name] = _whole(part, value)
            else:
                known = "steps=N, us=N, by=time or by=count, size=HxW, down=N"
                raise DataError(f"events: {part!r} is not known; known, with commas between: {known}")
        if "us" in given and ("steps" in given or given.get("by") == "count"):
            raise DataError("events: us=N gives the length of a bin; leave out steps and by=count")
        return cls(**given)

    def frames(self, events: Events, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Counts of one recording."""
        t, x, y, p = events
        bins, steps = self._bins(t)
        shape = (steps, *self.shape(height, width))
        place = np.ravel_multi_index((bins, p, y // self.down, x // self.down), shape)
        counts = np.bincount(place, minlength=math.prod(shape)).reshape(shape)
        return np.minimum(counts, 255).astype(np.uint8)

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """The shape of one frame of a sensor."""
        return _POLARITIES, -(-height // self.down), -(-width // self.down)

    def longest(self, recordings: Iterable[Events]) -> int:
        """Steps of the longest recording."""
        return max(self._bins(events[0])[1] for events in recordings)

    def _bins(self, t: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
        """The bin of every event, and how many bins there are."""
        since = t - t[0]
        if int(since[-1]) * self.steps >= 2**63:
            raise DataError(f"events: a recording of {since[-1]} microseconds cannot be true: it is damaged")
        if self.us is not None:
            bins = since // self.us
            return bins, int(bins[-1]) + 1
        if self.by == "count":
            return np.arange(len(t)) * self.steps // len(t), self.steps
        return since * self.steps // (int(since[-1]) + 1), self.steps


def load_events(root: Path, options: str, split: str) -> Sequences:
    """One split of a folder ``train/CLASS/FILE`` and ``test/CLASS/FILE`` of recordings; see :class:`Binning`.

    :mod:`spikec.models.data.recordings` reads them. Raises :class:`DataError`.
    """
    binning = Binning.parse(options)
    classes, files = class_files(root, split, frozenset(READERS), "recordings")
    recordings = [read_events(path) for path, _ in files]
    height = binning.height or 1 + max(int(y.max()) for _, _, y, _ in recordings)
    width = binning.width or 1 + max(int(x.max()) for _, x, _, _ in recordings)
    for (path, _), (_, x, y, _) in zip(files, recordings, strict=True):
        if x.max() >= width or y.max() >= height:
            raise DataError(f"{path} has an event at row {y.max()}, column {x.max()}, beyond the size {height}x{width}")
    _check_memory(len(files), binning.longest(recordings), binning.shape(height, width))
    frames = [binning.frames(events, height, width) for events in recordings]
    lengths = np.array([len(each) for each in frames], dtype=np.int64)
    whole = np.zeros((len(frames), int(lengths.max()), *frames[0].shape[1:]), np.uint8)
    for row, each in zip(whole, frames, strict=True):
        row[: len(each)] = each
    labels = np.array([label for _, label in files], dtype=np.int64)
    uneven = None if (lengths == lengths[0]).all() else lengths
    return Sequences(f"events:{root}", whole, labels, classes, uneven)


def _check_memory(recordings: int, steps: int, shape: tuple[int, int, int]) -> None:
    """Raise :class:`DataError` for frames that this machine cannot hold: it would end the process without a word."""
    counts = steps * math.prod(shape)
    needed, there = counts * (_STORED * recordings + _COUNTING), memory()
    if needed > there:
        frame = "x".join(map(str, shape))
        raise DataError(
            f"events: {recordings} recordings of up to {steps} frames of {frame} take {_size(needed)} of memory, and "
            f"this machine has {_size(there)}; give fewer steps or a longer us, a smaller size, or down"
        )


def _size(count: int) -> str:
    return f"{count / 2**30:,.0f} GiB"


def size_hint(name: str) -> str:
    """What to add where two splits of the data set ``name`` have frames of different sizes: nothing, unless the sizes
    are those that its events reach."""
    if not name.startswith("events:") or ",size=" in name:
        return ""
    return "; without size=HxW the frames of a split are as large as its own events reach: give the sensor's size"


def load_event_images(root: Path, options: str, split: str) -> Dataset:
    """The same recordings as images uint8 [N, 2 steps, H, W], for networks of images: the two polarities of the first
    bin, then those of the next. A network is given the counts. Raises :class:`DataError`."""
    found = load_events(root, options, split)
    if found.lengths is not None:
        raise DataError(
            f"{found.name}: as images, recordings need equally many bins: give steps=N in place of us=N, or a network "
            "that runs on sequences"
        )
    stored = found.frames.reshape(len(found), -1, *found.frames.shape[3:])
    return Dataset(found.name, stored, found.labels, 1.0, found.classes)


def _whole(part: str, value: str) -> int:
    if not value.isdecimal() or len(value) > _DIGITS or int(value) < 1:
        raise DataError(f"events: {part!r} needs a whole number of at least 1, of at most {_DIGITS} digits")
    return int(value)

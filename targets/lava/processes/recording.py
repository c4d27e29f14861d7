"""What a process leaves in the job folder, written from inside the process.

Reading a raster through ``Var.get`` costs about 15 microseconds per value; a memory map costs a copy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

#: Membranes are 24-bit two's complement on the machine that is simulated.
LOWEST, HIGHEST = -(2**23), 2**23 - 1


class Heartbeat:
    """Reports the Lava step that a process has finished, for the watchdog outside."""

    def __init__(self, job: str, index: int) -> None:
        self._beats = np.load(Path(job) / "beats.npy", mmap_mode="r+")
        self._index = index

    def __call__(self, time_step: int) -> None:
        self._beats[self._index] = time_step


class Membrane:
    """Lowest and highest membrane before reset and the number of neuron-steps beyond 24 bits, of one image."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start a new image."""
        self.lowest, self.highest, self.overflows = 2**62, -(2**62), 0

    def observe(self, membrane: Int64) -> None:
        """Take in the membranes of one step."""
        low, high = int(membrane.min()), int(membrane.max())
        if low < LOWEST or high > HIGHEST:
            self.overflows += int(np.count_nonzero((membrane < LOWEST) | (membrane > HIGHEST)))
        self.lowest, self.highest = min(low, self.lowest), max(high, self.highest)

    def merge(self, other: Membrane) -> None:
        """Take in what another record of the same image saw."""
        self.lowest, self.highest = min(other.lowest, self.lowest), max(other.highest, self.highest)
        self.overflows += other.overflows


class Emissions:
    """Counts over the first ``count_steps`` steps, events over all, and the raster when its file exists."""

    def __init__(self, job: str, index: int, count_steps: int) -> None:
        folder = Path(job)
        self._counts = np.load(folder / f"{index}.counts.npy", mmap_mode="r+")
        self._events = np.load(folder / f"{index}.events.npy", mmap_mode="r+")
        self._membrane = np.load(folder / f"{index}.membrane.npy", mmap_mode="r+")
        raster = folder / f"{index}.spikes.npy"
        self._raster = np.load(raster, mmap_mode="r+") if raster.exists() else None
        self._count_steps = count_steps
        self._count = np.zeros(self._counts.shape[1:], np.int32)
        self._event = np.zeros_like(self._count)

    def add(self, image: int, step: int, emitted: npt.NDArray[np.int32]) -> None:
        """Take in what was emitted in one step of an image."""
        if step == 0:
            self._count[...] = 0
            self._event[...] = 0
        if step < self._count_steps:
            self._count += emitted
        self._event += emitted != 0
        if self._raster is not None and step < self._raster.shape[1]:
            self._raster[image, step] = emitted

    def finish(self, image: int, membrane: Membrane) -> None:
        """Write the rows of an image."""
        self._counts[image] = self._count
        self._events[image] = self._event
        self._membrane[image] = membrane.lowest, membrane.highest, membrane.overflows

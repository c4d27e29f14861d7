"""What a process leaves in the job folder, written from inside the process.

Reading a raster through ``Var.get`` costs about 15 microseconds per value; a memory map costs a copy.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spikec.targets.lava.processes.lanes import from_lanes, with_lanes

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
    """Lowest and highest membrane before reset and the number of neuron-steps beyond 24 bits, of each of ``abreast``
    images."""

    def __init__(self, abreast: int = 1) -> None:
        self._abreast = abreast
        self.clear()

    def clear(self) -> None:
        """Start with new images."""
        self.lowest, self.highest = np.full(self._abreast, 2**62), np.full(self._abreast, -(2**62))
        self.overflows = np.zeros(self._abreast, np.int64)

    def observe(self, membrane: Int64) -> None:
        """Take in the membranes of one step."""
        lanes = membrane.reshape(self._abreast, -1)
        low, high = lanes.min(axis=1).astype(np.int64), lanes.max(axis=1).astype(np.int64)
        if (low < LOWEST).any() or (high > HIGHEST).any():
            self.overflows += np.count_nonzero((lanes < LOWEST) | (lanes > HIGHEST), axis=1)
        self.lowest, self.highest = np.minimum(low, self.lowest), np.maximum(high, self.highest)

    def merge(self, other: Membrane) -> None:
        """Take in what another record of the same images saw."""
        self.lowest = np.minimum(other.lowest, self.lowest)
        self.highest = np.maximum(other.highest, self.highest)
        self.overflows += other.overflows

    def write(self, rows: Int64) -> None:
        """Fill [images, 3], the rows of these images."""
        rows[...] = np.stack([self.lowest, self.highest, self.overflows], axis=1)[: len(rows)]


class Emissions:
    """Counts over the first ``count_steps`` steps, events over all, and the raster when its file exists, of ``abreast``
    images at a time."""

    def __init__(self, job: str, index: int, count_steps: int, abreast: int = 1) -> None:
        folder = Path(job)
        self._counts = np.load(folder / f"{index}.counts.npy", mmap_mode="r+")
        self._events = np.load(folder / f"{index}.events.npy", mmap_mode="r+")
        self._membrane = np.load(folder / f"{index}.membrane.npy", mmap_mode="r+")
        raster = folder / f"{index}.spikes.npy"
        self._raster = np.load(raster, mmap_mode="r+") if os.path.exists(raster) else None
        self._count_steps = count_steps
        self._count = np.zeros(with_lanes(self._counts.shape[1:], abreast), np.int32)
        self._event = np.zeros_like(self._count)

    def add(self, rows: slice, step: int, emitted: npt.NDArray[np.int32]) -> None:
        """Take in what was emitted in one step of the images ``rows``."""
        if step == 0:
            self._count[...] = 0
            self._event[...] = 0
        if step < self._count_steps:
            self._count += emitted
        self._event += emitted != 0
        if self._raster is not None and step < self._raster.shape[1]:
            raster = self._raster[rows, step]
            raster[...] = from_lanes(emitted, raster)

    def finish(self, rows: slice, membrane: Membrane) -> None:
        """Write the rows of the images."""
        for array, seen in ((self._counts, self._count), (self._events, self._event)):
            stored = array[rows]
            stored[...] = from_lanes(seen, stored)
        membrane.write(self._membrane[rows])

"""The built code of one graph, as Python calls it: a slice of the images of a batch at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import ToolchainError
from spikec.ir import IntegerGraph
from spikec.targets.c.building import load
from spikec.targets.c.code import Choices, Source, generate
from spikec.targets.c.compilers import Compiler
from spikec.targets.c.host import host_name, sources_of
from spikec.targets.c.kept import Kept, kept_of

Array = npt.NDArray[Any]
_NAME = "net"
#: Slices of a batch for each thread: images may take different times.
_SLICES = 4
_FAILURES = {
    1: "there is not enough memory for the state of the network",
    2: "the network takes no such number of steps",
}


class _Job(ctypes.Structure):
    """``host_job`` of ``host.py``."""

    _fields_ = (
        ("images", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("room", ctypes.c_int32),
        ("totals", ctypes.c_void_p),
        ("events", ctypes.c_void_p),
        ("senders", ctypes.c_void_p),
        ("readers", ctypes.c_void_p),
        ("steps", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class Rows:
    """Arrays over the images of a batch, in the memory order of :attr:`Kept.memory`. A layer that is missing is not
    kept. ``totals``, ``events`` [N, *memory]; ``senders``, ``readers`` [N, steps, *memory]; ``steps`` int32 [N]."""

    totals: dict[str, Array]
    events: dict[str, Array]
    senders: dict[str, Array]
    readers: dict[str, Array]
    steps: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.steps)

    def first(self, images: int) -> Rows:
        """Those of the first images."""

        def cut(part: dict[str, Array]) -> dict[str, Array]:
            return {name: rows[:images] for name, rows in part.items()}

        return Rows(cut(self.totals), cut(self.events), cut(self.senders), cut(self.readers), self.steps[:images])

    @property
    def bytes(self) -> int:
        parts = (self.totals, self.events, self.senders, self.readers)
        return sum(rows.nbytes for part in parts for rows in part.values()) + self.steps.nbytes


class Run:
    """A batch that threads are working on, or that has run: ``failed`` is then what the code returned."""

    def __init__(self, futures: Sequence[Future[int]], stop: Array, alive: Any, failed: int = 0) -> None:
        self._futures, self._stop, self._alive, self._failed = futures, stop, alive, failed

    def finish(self) -> None:
        """Wait for the end. Raises ``ToolchainError`` where the code failed."""
        failed = self._failed
        try:
            if self._futures:
                wait(self._futures, return_when=FIRST_EXCEPTION)
                failed = max(future.result() for future in self._futures)
        except BaseException:  # Ctrl-C too: the arrays must outlive the threads that write to them
            self.end()
            raise
        if failed:
            raise ToolchainError(f"the C code stopped: {_FAILURES[failed]}")

    def end(self) -> None:
        """Stop before the next image, and wait for the threads."""
        self._stop[...] = 1
        if self._futures:
            wait(self._futures)


@dataclass(frozen=True)
class Library:
    """The code of ``graph`` for runs of at most ``source.steps`` steps, built by ``compiler``."""

    graph: IntegerGraph
    source: Source
    compiler: Compiler
    senders: tuple[Kept, ...]
    readers: tuple[Kept, ...]
    code: ctypes.CDLL

    @classmethod
    def of(cls, graph: IntegerGraph, choices: Choices, compiler: Compiler) -> Library:
        """Write, build and load it. ``graph`` lasts as long as its longest sequence.

        Raises what ``generate`` does, and ``ToolchainError`` where the code cannot be built or loaded.
        """
        if graph.sequences:
            choices = replace(choices, longest=graph.timesteps)
        return cls.built(graph, generate(graph, _NAME, choices), compiler)

    @classmethod
    def built(cls, graph: IntegerGraph, source: Source, compiler: Compiler) -> Library:
        """Build and load a source that is written. Raises ``ToolchainError`` where that fails."""
        senders, readers = kept_of(graph, source)
        code = load(sources_of(source, graph, senders, readers), host_name(source), compiler)
        code.host_run.restype = ctypes.c_int32
        code.host_run.argtypes = (ctypes.POINTER(_Job), ctypes.c_int64, ctypes.c_int64)
        code.host_flags.restype = ctypes.c_char_p
        return cls(graph, source, compiler, senders, readers, code)

    @property
    def flags(self) -> str:
        """The flags it was built with."""
        return str(self.code.host_flags().decode())

    def rows(self, images: int, steps: int, *, totals: bool, events: bool, rasters: bool) -> Rows:
        """Empty arrays for ``images`` images of ``steps`` steps; outputs are always kept."""
        layerwise = self.source.numbers
        every = 1 if layerwise else steps

        def room(one: Kept, dtype: np.dtype[Any] | None, *leading: int) -> Array:
            return np.empty((images, *leading, *one.memory), dtype)

        return Rows(
            {k.name: room(k, k.total) for k in self.senders if totals or (layerwise and rasters)},
            {k.name: room(k, k.events) for k in self.senders if events and k.events is not None},
            {k.name: room(k, k.each, every) for k in self.senders if rasters and k.each is not None},
            {k.name: room(k, k.each, every) for k in self.readers},
            np.empty(images, np.int32),
        )

    def start(
        self,
        images: Array,
        rows: Rows,
        lengths: npt.NDArray[np.int32] | None,
        pool: ThreadPoolExecutor | None,
        threads: int,
    ) -> Run:
        """Run ``images``, of the input type [N, *input shape], or sequences [N, steps, *input shape] of which the first
        ``lengths`` [N] steps count, and fill ``rows``. Without a ``pool`` they have run when this returns."""
        images, stop = np.ascontiguousarray(images), np.zeros(1, np.int32)
        tables = [
            _pointers(part, kept)
            for part, kept in (
                (rows.totals, self.senders),
                (rows.events, self.senders),
                (rows.senders, self.senders),
                (rows.readers, self.readers),
            )
        ]
        every = next(iter(rows.readers.values())).shape[1]
        job = _Job(
            _address(images),
            None if lengths is None else _address(lengths),
            every,
            *(ctypes.addressof(table) for table in tables),
            _address(rows.steps),
            _address(stop),
        )
        alive = (images, lengths, rows, tables, job)
        if pool is None:
            return Run((), stop, alive, self.code.host_run(ctypes.byref(job), 0, len(images)))
        size = max(1, -(-len(images) // (threads * _SLICES)))
        futures = [
            pool.submit(self.code.host_run, ctypes.byref(job), first, min(size, len(images) - first))
            for first in range(0, len(images), size)
        ]
        return Run(futures, stop, alive)


def _pointers(part: dict[str, Array], kept: tuple[Kept, ...]) -> Any:
    """The start of each array, in the order of the hooks; null where there is none."""
    addresses = [_address(part[one.name]) if one.name in part else None for one in kept]
    return (ctypes.c_void_p * max(1, len(kept)))(*addresses)


def _address(array: Array) -> int:
    """Where it starts in memory; ``array.ctypes.data`` takes four times as long."""
    address: int = array.__array_interface__["data"][0]
    return address

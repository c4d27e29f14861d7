"""A graph as C code that runs here, and how images are run through it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from spikec.errors import DataError
from spikec.ir import Int64, IntegerGraph, Population
from spikec.processors import cores
from spikec.simulation.collect import Collector, check_counts
from spikec.simulation.emission import Emission, Result
from spikec.simulation.encode import as_images, as_sequences, encoded
from spikec.simulation.engines.codes import from_value
from spikec.simulation.exactness import exact_arithmetic
from spikec.simulation.input_warning import told
from spikec.simulation.trace import Trace
from spikec.targets.c.code import Choices
from spikec.targets.c.compilers import Compiler
from spikec.targets.c.library import Library, Rows, Run
from spikec.words import among

#: Arrays of one chunk of images stay near this many bytes; two chunks are in memory at a time.
_CHUNK_BYTES = 64 * 2**20
_LARGEST_CHUNK = 512


@dataclass(frozen=True)
class CProgram:
    """The code of one graph. ``threads``: how many run images side by side, None for all usable cores; that of a graph
    that reads sequences is written anew for longer ones."""

    graph: IntegerGraph
    choices: Choices
    compiler: Compiler
    threads: int | None = None
    _built: dict[str, Library] = field(default_factory=dict, repr=False, compare=False)

    def library(self, steps: int | None = None) -> Library:
        """The built code. ``steps``: it has to run sequences of so many; without, of as many as the file says.

        Raises ``DoesNotFit`` or ``RangeError`` where there is no code for the graph, ``ToolchainError`` where the
        compiler fails."""
        graph = self.graph
        if graph.sequences:
            known = self._built.get("")
            steps = max(steps or 1, graph.timesteps if self.choices.longest is None else self.choices.longest)
            if known is not None and known.source.steps >= steps:
                return known
            graph = graph.lasting(steps)
        if graph.sequences or not self._built:
            self._built[""] = Library.of(graph, self.choices, self.compiler)
        return self._built[""]

    def run(
        self, images: npt.ArrayLike, *, record: str | None = None, counts: bool | Literal["totals"] = True
    ) -> Trace:
        """Run float images [N, *input shape], as the ANN takes them. Where the input is a sequence: numbers
        [N, steps, *input shape], or a list of sequences of different lengths.

        ``record="spikes"`` keeps the rasters; ``counts``: as for :func:`spikec.simulation.simulate`. Raises
        ``DataError`` for images and options it cannot use.
        """
        if not among(record, (None, "spikes")):
            raise DataError(f"record={record!r} is not known; leave it out or use record='spikes'")
        switch = isinstance(counts, int | np.integer | np.bool_) and counts in (0, 1)
        if not switch and not among(counts, ("totals",)):
            raise DataError(f"counts={counts!r} is not known; use True, False or 'totals'")
        graph, lengths = self.graph, None
        if graph.sequences:
            whole, lengths = as_sequences(graph.input, images)
            graph = graph.lasting(whole.shape[1])
        else:
            whole = as_images(graph.input, images)
        check_counts(graph)
        library = self.library(graph.timesteps)
        started = time.perf_counter()
        collector = Collector(graph, len(whole), spikes=record is not None, counts=counts)
        chunks = self._chunks(library, graph, whole, lengths, counts=bool(counts), rasters=record is not None)
        # Threads have the cores: torch, which waits by spinning, gets one. One image has no threads.
        quiet = torch.inference_mode() if len(whole) == 1 else exact_arithmetic(1, torch.device("cpu"))
        with quiet, closing(chunks):  # whatever happens, the threads end here
            for chunk in chunks:
                result = _result(library, graph, chunk.rows, rasters=record is not None)
                if lengths is not None or self.choices.early_exit is not None:
                    result.steps = torch.from_numpy(chunk.rows.steps.astype(np.int64))
                collector.add(result, torch.from_numpy(chunk.integers), chunk.coding)
        trace = collector.trace({}, time.perf_counter() - started)
        told(graph, trace.coding)
        info = {"compiler": self.compiler.version, "flags": library.flags, "threads": str(self._threads)}
        return replace(trace, target="c", info=info)

    @property
    def _threads(self) -> int:
        return cores() if self.threads is None else self.threads

    def _chunks(
        self,
        library: Library,
        graph: IntegerGraph,
        images: npt.NDArray[np.floating[Any]],
        lengths: Int64 | None,
        *,
        counts: bool,
        rasters: bool,
    ) -> Generator[_Chunk, None, None]:
        """Chunks in order. While one is handed out, and while the images of another become integers, the threads
        work."""

        def room(rows: int) -> Rows:
            return library.rows(rows, graph.timing.counted_steps, totals=counts, events=counts, rasters=rasters)

        one = room(1)
        pixels = images.size // len(images)
        size = max(1, min(_LARGEST_CHUNK, _CHUNK_BYTES // (one.bytes + 16 * pixels), len(images)))
        spare = [room(size) for _ in range(1 if size == len(images) else 2)] if len(images) > 1 else [one]
        threads = min(self._threads, size)
        running: _Chunk | None = None
        # Threads let Ctrl-C end a run between two images; for one image they would cost as much as a small network.
        with nullcontext() if len(images) == 1 else _workers(threads) as pool:
            try:
                for number, start in enumerate(range(0, len(images), size)):
                    part = slice(start, start + size)
                    own = None if lengths is None else lengths[part]
                    integers, coding = encoded(graph.input, images[part], first=start, lengths=own)
                    given = integers.astype(library.source.input_dtype)
                    steps = None if own is None else own.astype(np.int32)
                    done = running
                    if done is not None:
                        done.run.finish()
                    rows = spare[number % len(spare)]
                    if len(rows) > len(integers):
                        rows = rows.first(len(integers))
                    running = _Chunk(integers, coding, rows, library.start(given, rows, steps, pool, threads))
                    if done is not None:
                        yield done
                if running is not None:
                    running.run.finish()
                    yield running
            finally:  # on Ctrl-C, too: threads write to the arrays until they end
                if running is not None:
                    running.run.end()


@dataclass(frozen=True)
class _Chunk:
    integers: Int64
    coding: Any
    rows: Rows
    run: Run


@contextmanager
def _workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="spikec-c")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(library: Library, graph: IntegerGraph, rows: Rows, *, rasters: bool) -> Result:
    """What the code left of a chunk, in the layout of the graph; nothing is copied."""
    emissions = {}
    for one in library.senders:
        totals = _graph_order(rows.totals[one.name], 1) if one.name in rows.totals else torch.empty(0)
        node = graph.nodes[one.name]
        if library.source.numbers and one.name in rows.totals and isinstance(node, Population):
            emissions[one.name] = from_value(graph, node, totals, spikes=rasters)
            continue
        events = _graph_order(rows.events[one.name], 1) if one.name in rows.events else None
        raster = _graph_order(rows.senders[one.name], 2) if one.name in rows.senders else None
        emissions[one.name] = Emission(totals, events, raster)  # totals are empty where no counts are wanted
    curves = {k.name: _graph_order(rows.readers[k.name], 2).transpose(0, 1) for k in library.readers}
    return Result(emissions, curves)


def _graph_order(array: npt.NDArray[Any], leading: int) -> torch.Tensor:
    """Maps [..., H, W, C] as [..., C, H, W]; other shapes as they are."""
    tensor = torch.from_numpy(array)
    return tensor.movedim(-1, leading) if array.ndim == leading + 3 else tensor

"""The integer golden model: what a deployment computes, exactly, for whole data sets.

The graph is evaluated node by node in topological order, with all steps of a chunk of images at once: there is no
synaptic delay, so a layer at step t needs only its sources at step t. Superposition splits the linear part of the graph
into a part that is the same for every image (biases), one that is the same at every step (the constant image) and one
driven by spikes. Only the last is computed per step. Numbers are exact by construction: range analysis says which dtype
holds every partial sum of a node without rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from spikec.analysis.formats import NumberFormat
from spikec.analysis.ranges import Ranges, bounds
from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.ir.graph import IntegerGraph
from spikec.ir.profile.decode import as_integer
from spikec.ir.types import Int64
from spikec.memory import require_memory, usable_memory
from spikec.processors import check_number
from spikec.simulation.collect import Collector, check_counts
from spikec.simulation.early_exit import EarlyExit, early_exit_of
from spikec.simulation.emission import Result
from spikec.simulation.encode import Images, as_sequences, batches, encoded
from spikec.simulation.engines.choosing import kept_general, watched
from spikec.simulation.engines.counts_by_layer import CountsByLayer
from spikec.simulation.engines.counts_by_step import CountsByStep
from spikec.simulation.engines.general import Network
from spikec.simulation.exactness import checked_device, exact_arithmetic, keep_freed_memory
from spikec.simulation.fingerprints import fingerprint
from spikec.simulation.input_warning import told
from spikec.simulation.registers import EXACT, Overflow, Registers, Watch, registers
from spikec.simulation.trace import Trace
from spikec.words import among, either, option

if TYPE_CHECKING:
    import nir

Progress = Callable[[int, int | None], None]
Counts = bool | Literal["totals"]
#: What is kept of every step, where it is asked for.
RECORDS = ("spikes", "membranes")

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_LARGEST_BATCH = 128  # faster than 256: larger intermediate results leave the cache


@named_arguments
def simulate(
    graph: nir.NIRGraph | IntegerGraph,
    images: Images,
    *,
    record: str | None = None,
    counts: Counts = True,
    measure: bool = False,
    batch: int | None = None,
    memory: str | int = "1GB",
    threads: int | None = None,
    strict: bool = False,
    overflow: Overflow = "exact",
    format: NumberFormat | str | None = None,
    early_exit: str | float | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Trace:
    """Run a deployment on ``images`` in exact integers.

    ``images``: float [N, *input shape] as the trained network takes them, or an iterator of such batches (streamed).
    Where the input is a sequence: numbers [N, steps, *input shape], or a list of sequences [steps, *input shape] of
    different lengths. A run has as many steps as the longest; ``Trace.steps`` then holds the length of each.
    ``record="spikes"`` keeps every raster, ``record="membranes"`` the membranes of every step too (``pipelined`` only).
    ``counts=False`` keeps no spike counts. ``counts="totals"`` keeps only their
    sums over the images (``Trace.count_totals``, ``Trace.event_totals``), so the trace of a whole test set stays small;
    ``counts=True`` keeps these and the counts per image. ``memory`` ("500MB", "2GB", or bytes) bounds the working set
    of one chunk of images; ``batch`` sets the number of images per chunk directly. ``threads`` is the number of torch
    threads during the run. ``progress(done, total)`` is called after every chunk; total is None for an iterator.

    By default the model never wraps. Registers have 24 bits, or the width of the format that the graph was lowered for.
    Where the weights do not prove that a membrane fits into its register, it is watched: ``Trace.membrane`` holds its
    range and ``Trace.overflows`` counts the numbers beyond. Where they do, and the fast path can run the graph, it is
    not (``overflows`` is zero by proof), and the run is several times faster; ``measure=True`` watches all membranes.

    ``overflow`` says what happens to a number that does not fit the registers of ``format`` (a name, a .toml file or a
    :class:`NumberFormat`; default: the format the graph was lowered for): ``exact`` keeps it, ``strict`` (or
    ``strict=True``) raises ``RangeError`` at the first in network order, ``saturate`` clips it, ``wrap`` takes it
    modulo the register, ``format`` does what the target of the format does. All but ``exact`` check accumulators too;
    see ``docs/semantics.md``.

    ``early_exit="margin"`` stops an image as soon as the weights prove that no further step can change its class. With
    a number, an image also stops once its largest logit leads by that much. ``Trace.steps`` says when it stopped;
    output, counts and events are those at the stop. See :mod:`spikec.simulation.early_exit`. ``device="cuda"`` computes
    the same integers on a GPU, in float32 and float64 where ranges prove them exact.

    Raises ``DataError`` for images or options it cannot use, ``ArgumentError`` for options of another type,
    ``TargetUnavailable`` for a device that is not there and ``GraphError`` for a graph that breaks the profile.

    >>> tc.simulate(graph, images).output.shape
    (12, 3)
    """
    integer = as_integer(graph)
    lengths = None
    if integer.sequences:
        if early_exit is not None:
            raise DataError(f"{option('early_exit')} needs an image that stays the same; leave it out for sequences")
        images, lengths = as_sequences(integer.input, images)
        integer = integer.lasting(images.shape[1])
    if strict and overflow not in ("exact", "strict"):
        raise DataError(f"strict=True contradicts overflow={overflow!r}; give only one of them")
    chosen = registers("strict" if strict else overflow, format, integer)
    return _prepared(integer, measure or record == "membranes", chosen, device).run(
        images,
        record=record,
        counts=counts,
        batch=batch,
        memory=memory,
        threads=threads,
        early_exit=early_exit,
        progress=progress,
        lengths=lengths,
    )


class GoldenModel:
    """A graph prepared once, to be run many times; see :func:`simulate` for the options. ``ranges``: those of
    the graph, where they are known. Making one lets the process keep up to 64 MB of freed memory. ``kept_general``:
    why the general path runs the graph; empty where it does not."""

    def __init__(
        self,
        graph: IntegerGraph,
        *,
        measure: bool = False,
        registers: Registers = EXACT,
        device: str = "cpu",
        ranges: Ranges | None = None,
    ) -> None:
        self.graph, self._registers = graph, registers
        self._bytes: dict[bool, int] = {}
        check_counts(graph)
        ranges = self._ranges = bounds(graph) if ranges is None else ranges
        self._device = checked_device(device, ranges)
        keep_freed_memory()
        self.kept_general = kept_general(graph, ranges, registers, measure)
        seen = watched(graph, ranges, registers)
        self._watched = [readout.name for readout in graph.readouts if readout.name in seen]
        with exact_arithmetic(None, self._device):
            self.engine: Network | CountsByStep
            if not self.kept_general:
                self.engine = (CountsByLayer if graph.schedule == "pipelined" else CountsByStep)(graph, ranges, seen)
            else:
                self.engine = Network(graph, ranges, registers)

    def run(
        self,
        images: Images,
        *,
        record: str | None = None,
        counts: Counts = True,
        batch: int | None = None,
        memory: str | int = "1GB",
        threads: int | None = None,
        early_exit: str | float | None = None,
        progress: Progress | None = None,
        lengths: Int64 | None = None,
        first: int = 0,
    ) -> Trace:
        """Run ``images``; the options and errors of :func:`simulate`. ``lengths`` [N]: where sequences end early.
        ``first``: number of the first image, in errors and in ``first_overflow``, where these are part of a set."""
        _check_options(record, counts, batch, threads)
        rule = early_exit_of(self.graph, self._ranges, early_exit)
        started = time.perf_counter()
        threads = None if threads is None else int(threads)  # numbers of numpy may be too narrow to count in
        cut = rule is not None or lengths is not None
        size = self.chunk(cut or record is not None, batch, memory)
        stream, total = batches(self.graph.input, images)
        collector = Collector(self.graph, total, spikes=record is not None, counts=counts)
        if rule is not None and not isinstance(self.engine, CountsByStep) and not self._registers.keep:
            raise DataError(
                f"{option('early_exit')} is not proven for registers that wrap or saturate; use "
                f"{option('overflow', 'exact')} or {option('overflow', 'strict')}"
            )
        watches = self._registers.watches(self.graph)
        if record == "membranes":
            self._keep_membranes(watches)
        done = 0
        with exact_arithmetic(threads, self._device):
            for part in stream:
                for start in range(0, len(part), size):
                    chunk = part[start : start + size]
                    own = None if lengths is None else lengths[done : done + len(chunk)]
                    found, coding = encoded(self.graph.input, chunk, first=first + done, lengths=own)
                    for watch in watches.values():
                        watch.first_image = first + done
                    integers, ends = torch.as_tensor(found), None if own is None else torch.as_tensor(own)
                    result = self._run(integers, watches, rule, ends, events=bool(counts), spikes=record is not None)
                    collector.add(result, integers, coding)
                    collector.add_membranes({w.layer: w.take() for w in watches.values() if w.kept is not None}, ends)
                    done += len(integers)
                    if progress is not None:
                        progress(done, total)
        if done == 0:
            raise DataError("the iterator of images gave no batch; give at least one image")
        trace = collector.trace(watches, time.perf_counter() - started)
        told(self.graph, trace.coding)
        return trace

    def _keep_membranes(self, watches: dict[str, Watch]) -> None:
        if self.graph.schedule != "pipelined" or self.graph.timing.rehearsal or not isinstance(self.engine, Network):
            raise DataError(
                "record='membranes' follows membranes step by step: it needs the schedule 'pipelined', no calibration "
                "pass, and a model made with measure=True"
            )
        for watch in watches.values():
            if watch.what == "membrane":
                watch.kept = []

    def chunk(self, rasters: bool, batch: int | None, memory: str | int) -> int:
        """How many images run at once; ``rasters``: whether those of all neurons are kept."""
        per_image = self._bytes_per_image(rasters)
        require_memory("one image", per_image, "use fewer steps, or smaller maps")
        affordable = parse_memory(memory) // per_image
        return int(batch or 0) or max(1, min(_LARGEST_BATCH, affordable))

    def _bytes_per_image(self, rasters: bool) -> int:
        if rasters not in self._bytes:  # asked for at every run
            neurons = sum(p.theta.size for p in self.graph.populations)
            self._bytes[rasters] = self.engine.bytes_per_image + rasters * 8 * self.graph.emission_steps * neurons
        return self._bytes[rasters]

    def _run(
        self,
        integers: torch.Tensor,
        watches: dict[str, Watch],
        rule: EarlyExit | None,
        ends: torch.Tensor | None,
        *,
        events: bool,
        spikes: bool,
    ) -> Result:
        if isinstance(self.engine, CountsByStep):
            found = self.engine.run(integers, watches, events=events, spikes=spikes, early_exit=rule)
            for name in self._watched:
                _see(found, name, watches[name])
            return found
        cut = rule is not None or ends is not None
        result = self.engine.run(integers, watches, events=events, spikes=spikes or cut)
        if ends is not None:
            return result.until(ends, spikes=spikes)
        return result if rule is None else rule.cut(result, spikes=spikes)


def _see(result: Result, readout: str, watch: Watch) -> None:
    """Show a watch the membranes of a readout, of the steps that each image ran."""
    for step, membranes in enumerate(result.readouts[readout]):
        if result.steps is None:
            watch.see(membranes)
            continue
        (running,) = (result.steps > step).nonzero(as_tuple=True)
        if len(running):
            watch.see(membranes[running], running)


_last: dict[bool, tuple[bytes, Registers, str, GoldenModel]] = {}


def _prepared(graph: IntegerGraph, measure: bool, registers: Registers, device: str) -> GoldenModel:
    """A model of ``graph``. The last one is used again where neither graph nor options changed: preparing one costs as
    much as running a hundred images of a small network."""
    key = fingerprint(graph)
    if measure not in _last or _last[measure][:3] != (key, registers, device):
        model = GoldenModel(graph, measure=measure, registers=registers, device=device)
        _last[measure] = key, registers, device, model
    return _last[measure][3]


def _check_options(record: str | None, counts: Counts, batch: int | None, threads: int | None) -> None:
    if not among(record, (None, *RECORDS)):
        raise DataError(f"record={record!r} is not known; leave it out or use record='spikes' or 'membranes'")
    switch = isinstance(counts, int | np.integer | np.bool_) and counts in (0, 1)
    if not switch and not among(counts, ("totals",)):
        raise DataError(f"counts={counts!r} is not known; use True, False or 'totals'")
    numbers: dict[str, Any] = {"batch": batch, "threads": threads}
    for name, value in numbers.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1):
            raise DataError(f"{name}={value!r} is not possible; use a whole number, at least 1")
    check_number("threads", threads)


def _said(memory: str | int) -> str:
    return either(f"memory={memory!r}", repr(memory))  # the command line names the option itself


def parse_memory(memory: str | int) -> int:
    """Bytes in "500MB", "2 GB" or a plain number; decimal units. Raises ``DataError`` for anything else."""
    text = str(memory).strip().lower()
    factor = next((f for unit, f in _UNITS.items() if text.endswith(unit)), 1)
    try:
        value = float(text[:-2] if factor > 1 else text) * factor
    except ValueError:
        value = 0.0
    if not 1 <= value < float("inf"):
        raise DataError(f"{_said(memory)} is not a size; write for example '500MB' or '2GB'")
    there = usable_memory()
    if value > there:
        raise DataError(f"{_said(memory)} is more than the {there / 1e9:.3g} GB that there are; give less")
    return int(value)

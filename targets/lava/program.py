"""A graph mapped to Lava processes, and how images are run through it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from spikec.errors import ToolchainError
from spikec.ir import Int64, IntegerGraph
from spikec.ir.kinds import CubaLIF
from spikec.simulation.encode import as_sequences, encoded
from spikec.simulation.input_warning import told
from spikec.simulation.trace import TargetSteps, Trace
from spikec.targets.lava import atrlif, lif
from spikec.targets.lava.abreast import abreast, interpreters
from spikec.targets.lava.alignment import align
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.assembling import assemble
from spikec.targets.lava.currents import constant_currents
from spikec.targets.lava.integer_limits import check_ranges
from spikec.targets.lava.job import Job, Results, result_bytes
from spikec.targets.lava.launch import CancelledError, naming_a_full_disk, run_job
from spikec.targets.lava.options import LavaOptions
from spikec.targets.lava.paths import ATRLIF, LIF_RESET, InputCoding
from spikec.targets.lava.plan import Plan, make_plan
from spikec.targets.lava.resume import load_chunk, results_folder, save_chunk
from spikec.words import among

FAST_MODELS = {
    "Conv": "spikec.targets.lava.processes.synapses:PyConvFast",
    "Dense": "spikec.targets.lava.processes.synapses:PyDenseFast",
}
_CHUNK_BYTES = 256 * 2**20
_RESUMABLE_CHUNK = 50


def mapped(graph: IntegerGraph, options: LavaOptions) -> LavaProgram:
    """Map a graph to Lava processes.

    Raises ``DoesNotFit`` (Lava has no process for it) or ``RangeError`` (a sum could leave the integers of a Lava
    process).
    """
    coding: InputCoding = "graded" if graph.sequences else options.input
    check_ranges(graph, image_is_sent=coding == "graded")
    alignment = align(graph, coding)
    stock, ours = _neurons(graph, options, alignment.pace)
    plan = make_plan(graph, coding, stock=stock, alignment=alignment)
    return LavaProgram(graph, plan, options, frozenset(stock), ours)


def _neurons(graph: IntegerGraph, options: LavaOptions, pace: int) -> tuple[dict[str, str], dict[str, str]]:
    """Populations that become Lava's own neurons, with the path of the process; those that were meant to and cannot,
    each with the reason."""
    match options.neuron:
        case "soft_reset":
            return {}, {}
        case "atrlif":
            meant, path = [p.name for p in graph.populations], ATRLIF
            ours = atrlif.unfit(graph, pace=pace)
        case "lif":
            meant, path = [p.name for p in graph.populations if isinstance(p.neuron, CubaLIF)], LIF_RESET
            if options.precision == "fixed_pt":
                ours = lif.unfit(graph, pace=pace)
            else:
                ours = dict.fromkeys(meant, "Lava's floating-point LIF does not round")
    return {name: path for name in meant if name not in ours}, ours


@dataclass(frozen=True)
class LavaProgram:
    """A mapped graph. ``plan`` lists the Lava processes, their connections and delays; that of a graph that reads
    sequences is made anew for the length of those that are run.

    ``stock`` names the populations that run as Lava's own neurons, ``not_stock`` those that the option ``neuron`` is
    about and that cannot, each with the reason.
    """

    graph: IntegerGraph
    plan: Plan
    options: LavaOptions
    stock: frozenset[str] = frozenset()
    not_stock: Mapping[str, str] = field(default_factory=dict)

    def run(self, images: npt.ArrayLike, *, record: str | None = None) -> Trace:
        """Run float images [N, *input shape]; ``record="spikes"`` keeps the rasters. Where the input is a sequence:
        numbers [N, steps, *input shape], or a list of sequences of different lengths.

        Raises ``DataError`` for images the network cannot take and
        :class:`~spikec.targets.lava.launch.LavaError` when Lava fails, dies or hangs.
        """
        if not among(record, (None, "spikes")):
            raise ToolchainError(f"record is {record!r}; give 'spikes' or nothing")
        program, lengths = self, None
        if self.graph.sequences:
            images, lengths = as_sequences(self.graph.input, images)
            program = mapped(self.graph.lasting(images.shape[1]), self.options)
        integers, coding = encoded(self.graph.input, images, lengths=lengths)
        trace = replace(program._run(integers, lengths, spikes=record is not None), coding=coding)
        told(self.graph, coding)
        return trace

    def _run(self, integers: Int64, lengths: Int64 | None, *, spikes: bool) -> Trace:
        """``lengths`` [N]: where sequences end early."""
        started = time.monotonic()
        raster = spikes or lengths is not None  # what comes after the end of a sequence is cut off its raster
        chunks = self._chunks(len(integers), raster=raster)
        side_by_side = abreast(self.graph, self.plan, self.options, max(c.stop - c.start for c in chunks))
        results = self._run_chunks([integers[c] for c in chunks], raster=raster, side_by_side=side_by_side)
        seconds = time.monotonic() - started
        steps = sum(self.plan.lava_steps(-(-(c.stop - c.start) // side_by_side)) for c in chunks)
        lava_seconds = sum(r.seconds for r in results)
        target_steps = TargetSteps(len(self.plan.processes), steps, lava_seconds, self.plan.latency)
        info = {
            "models": "fast" if "Conv" in self.models else "stock",
            "precision": self.options.precision,
            "input": self.plan.input_coding,
            "abreast": str(side_by_side),
        }
        if self.stock or self.not_stock:
            named = self.options.neuron
            info[named] = ", ".join(p.name for p in self.graph.populations if p.name in self.stock) or "none"
            info[f"not_{named}"] = "; ".join(f"{name}: {why}" for name, why in self.not_stock.items()) or "none"
        return assemble(
            self.graph, integers, results, seconds, info, target_steps, self.stock, lengths=lengths, spikes=spikes
        )

    @property
    def models(self) -> dict[str, str]:
        """Drop-in models by Process class."""
        fast = not self.options.stock and self.options.precision == "fixed_pt"
        return {**(FAST_MODELS if fast else {}), **self.options.models}

    def _chunks(self, images: int, *, raster: bool) -> list[slice]:
        neurons = sum(int(np.prod(p.shape)) for p in self.graph.populations)
        fitting = max(1, _CHUNK_BYTES // result_bytes(self.plan, raster=raster, current_neurons=neurons))
        fitting = min(fitting, _RESUMABLE_CHUNK) if self.options.resume_dir else fitting
        size = self.options.chunk or min(
            fitting, -(-images // interpreters(self.graph, self.plan, self.options, images))
        )
        return [slice(start, min(start + size, images)) for start in range(0, images, size)]

    def _run_chunks(self, parts: list[Int64], *, raster: bool, side_by_side: int) -> list[Results]:
        """Results in the order of ``parts``; the first failure ends all."""
        cancel, lock = threading.Event(), threading.Lock()
        done = [0] * len(parts)
        total = sum(map(len, parts))
        resume = results_folder(self.options.resume_dir) if self.options.resume_dir else None

        def run(number: int) -> Results:
            if cancel.is_set():
                raise CancelledError

            def advance(images: int) -> None:
                with lock:
                    done[number] = images
                    if self.options.progress is not None:
                        self.options.progress(sum(done), total)

            job = self._job(parts[number], raster=raster, side_by_side=side_by_side)
            kept = load_chunk(resume, job) if resume else None
            if kept is not None:
                advance(job.images)
                return kept
            results = run_job(job, stall_seconds=self.options.stall_seconds, cancel=cancel, progress=advance)
            if resume:
                with naming_a_full_disk(resume, "give resume_dir another place"):
                    save_chunk(resume, job, results)
            return results

        with ThreadPoolExecutor(self.options.workers) as pool:
            try:
                futures = [pool.submit(run, number) for number in range(len(parts))]
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:  # on Ctrl-C, too: the pool waits for its threads, which end their workers
                cancel.set()
        failures = [f.exception() for f in futures]
        for failure in failures:
            if failure is not None and not isinstance(failure, CancelledError):
                raise failure
        return [f.result() for f in futures]

    def _job(self, integers: Int64, *, raster: bool, side_by_side: int = 1) -> Job:
        graded = self.plan.input_coding == "graded"
        currents = constant_currents(self.graph, None if graded else integers)
        sent = lava_layout(integers, leading=1 + self.graph.sequences) if graded else None
        return Job(
            self.plan,
            len(integers),
            currents,
            sent,
            raster,
            self.models,
            precision=self.options.precision,
            abreast=side_by_side,
        )

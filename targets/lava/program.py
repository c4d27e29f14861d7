"""A graph mapped to Lava processes, and how images are run through it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError, ToolchainError
from spikec.ir import IntegerGraph
from spikec.simulation.encode import encode
from spikec.simulation.trace import TargetSteps, Trace
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.assembling import assemble
from spikec.targets.lava.atrlif import unfit
from spikec.targets.lava.currents import constant_currents
from spikec.targets.lava.integer_limits import check_ranges
from spikec.targets.lava.job import Job, Results, result_bytes
from spikec.targets.lava.launch import CancelledError, naming_a_full_disk, run_job
from spikec.targets.lava.options import LavaOptions
from spikec.targets.lava.plan import Plan, make_plan
from spikec.targets.lava.resume import load_chunk, save_chunk

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
    check_ranges(graph, image_is_sent=options.input == "graded")
    ours = unfit(graph) if options.neuron == "atrlif" else {}
    stock = frozenset(p.name for p in graph.populations if options.neuron == "atrlif" and p.name not in ours)
    return LavaProgram(graph, make_plan(graph, options.input, atrlif=stock), options, stock, ours)


@dataclass(frozen=True)
class LavaProgram:
    """A mapped graph. ``plan`` lists the Lava processes, their connections and delays.

    If Lava's own neurons were asked for, ``atrlif`` names the populations that run as such, and ``not_atrlif`` the
    others, each with the reason.
    """

    graph: IntegerGraph
    plan: Plan
    options: LavaOptions
    atrlif: frozenset[str] = frozenset()
    not_atrlif: Mapping[str, str] = field(default_factory=dict)

    def run(self, images: npt.ArrayLike, *, record: str | None = None) -> Trace:
        """Run float images [N, *input shape]; ``record="spikes"`` keeps the rasters.

        Raises ``DataError`` for images the network cannot take and
        :class:`~spikec.targets.lava.launch.LavaError` when Lava fails, dies or hangs.
        """
        if record not in (None, "spikes"):
            raise ToolchainError(f"record is {record!r}; give 'spikes' or nothing")
        integers = encode(self.graph.input, images)
        if not len(integers):
            raise DataError("there are no images")
        started = time.monotonic()
        chunks = self._chunks(len(integers), raster=record is not None)
        results = self._run_chunks([integers[c] for c in chunks], raster=record is not None)
        seconds = time.monotonic() - started
        steps = sum(self.plan.lava_steps(c.stop - c.start) for c in chunks)
        lava_seconds = sum(r.seconds for r in results)
        target_steps = TargetSteps(len(self.plan.processes), steps, lava_seconds, self.plan.latency)
        info = {
            "models": "fast" if "Conv" in self.models else "stock",
            "precision": self.options.precision,
            "input": self.options.input,
        }
        if self.options.neuron == "atrlif":
            info["atrlif"] = ", ".join(p.name for p in self.graph.populations if p.name in self.atrlif) or "none"
            info["not_atrlif"] = "; ".join(f"{name}: {why}" for name, why in self.not_atrlif.items()) or "none"
        return assemble(self.graph, integers, results, seconds, info, target_steps, self.atrlif)

    @property
    def models(self) -> dict[str, str]:
        """Drop-in models by Process class."""
        fast = not self.options.stock and self.options.precision == "fixed_pt"
        return {**(FAST_MODELS if fast else {}), **self.options.models}

    def _chunks(self, images: int, *, raster: bool) -> list[slice]:
        neurons = sum(int(np.prod(p.shape)) for p in self.graph.populations)
        fitting = max(1, _CHUNK_BYTES // result_bytes(self.plan, raster=raster, current_neurons=neurons))
        fitting = min(fitting, _RESUMABLE_CHUNK) if self.options.resume_dir else fitting
        size = self.options.chunk or min(fitting, -(-images // self.options.workers))
        return [slice(start, min(start + size, images)) for start in range(0, images, size)]

    def _run_chunks(self, parts: list[npt.NDArray[np.int64]], *, raster: bool) -> list[Results]:
        """Results in the order of ``parts``; the first failure ends all."""
        cancel, lock = threading.Event(), threading.Lock()
        done = [0] * len(parts)
        total = sum(map(len, parts))
        resume = Path(self.options.resume_dir) if self.options.resume_dir else None

        def run(number: int) -> Results:
            if cancel.is_set():
                raise CancelledError

            def advance(images: int) -> None:
                with lock:
                    done[number] = images
                    if self.options.progress is not None:
                        self.options.progress(sum(done), total)

            job = self._job(parts[number], raster=raster)
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

    def _job(self, integers: npt.NDArray[np.int64], *, raster: bool) -> Job:
        graded = self.options.input == "graded"
        currents = constant_currents(self.graph, None if graded else integers)
        sent = lava_layout(integers, leading=1) if graded else None
        return Job(self.plan, len(integers), currents, sent, raster, self.models, precision=self.options.precision)

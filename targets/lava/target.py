"""The target ``lava``: an integer graph as Lava processes, simulated on the CPU."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError, TargetUnavailable, ToolchainError
from spikec.ir import IntegerGraph, as_integer
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.atrlif import unfit
from spikec.targets.lava.currents import constant_currents
from spikec.targets.lava.integer_limits import check_ranges
from spikec.targets.lava.job import Job, Results, result_bytes
from spikec.targets.lava.launch import CancelledError, naming_a_full_disk, run_job
from spikec.targets.lava.plan import InputCoding, Plan, make_plan
from spikec.targets.lava.resume import load_chunk, save_chunk
from spikec.targets.options import Options, option, options_of

if TYPE_CHECKING:
    import nir

    from spikec.simulation import Trace

FAST_MODELS = {
    "Conv": "spikec.targets.lava.processes.synapses:PyConvFast",
    "Dense": "spikec.targets.lava.processes.synapses:PyDenseFast",
}
_CHUNK_BYTES = 256 * 2**20
_RESUMABLE_CHUNK = 50


@dataclass(frozen=True)
class LavaOptions:
    """How a graph is run; none of these changes a result.

    ``neuron``: "soft_reset" (ours) or "atrlif" (Lava's own ``ATRLIF`` for every population it can be, as an independent
    cross-check: one image at a time, and the membranes of these populations are not seen). ``precision``: the tag of
    the process models; "floating_pt" computes the same integers in float64, with Lava's own ``Conv`` and ``Dense``.
    ``input``: "current" (the first layer's integer current, computed on the host, added in its neurons) or "graded"
    (the image is sent as graded spikes). ``stock``: Lava's own models of ``Conv`` and ``Dense`` instead of the fast
    ones. ``models``: drop-in models by Process class, ``{"SoftResetIF": "module:class"}``. ``workers``: interpreters
    that share the images. ``chunk``: images per interpreter start; default: what 256 MiB of files hold.
    ``stall_seconds``: give up when no process advances for so long (while starting: at least a minute).
    ``resume_dir``: keep the results of every finished chunk there (50 images by default) and take those that are there.
    ``progress``: called with (images done, images).
    """

    input: InputCoding = option(
        "current", "first layer on the host (default) or in Lava", choices=("current", "graded")
    )
    neuron: Literal["soft_reset", "atrlif"] = option(
        "soft_reset", "Lava's own ATRLIF where a layer can be one", choices=("soft_reset", "atrlif")
    )
    precision: Literal["fixed_pt", "floating_pt"] = option(
        "fixed_pt", "tag of the process models", choices=("fixed_pt", "floating_pt")
    )
    stock: bool = option(False, "Lava's own models of Conv and Dense", switch=True)
    models: Mapping[str, str] = field(default_factory=dict)
    workers: int = option(1, "interpreters that share the images", least=1, metavar="N")
    chunk: int | None = option(None, "images per start of an interpreter", least=1, metavar="N")
    stall_seconds: float = 120.0
    resume_dir: str | Path | None = option(
        None, "keep finished chunks, go on there", flag="resume", parse=Path, metavar="DIR"
    )
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if self.input not in ("current", "graded"):
            raise ToolchainError(f"input is {self.input!r}; give 'current' or 'graded'")
        if self.neuron not in ("soft_reset", "atrlif"):
            raise ToolchainError(f"neuron is {self.neuron!r}; give 'soft_reset' or 'atrlif'")
        if self.precision not in ("fixed_pt", "floating_pt"):
            raise ToolchainError(f"precision is {self.precision!r}; give 'fixed_pt' or 'floating_pt'")
        if self.neuron == "atrlif" and self.precision == "floating_pt":
            raise ToolchainError("neuron='atrlif' is a check of the integers: it needs precision='fixed_pt'")
        for name in ("workers", "chunk", "stall_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ToolchainError(f"{name} is {value}; give a positive number")


class LavaTarget:
    """Intel's Lava on the CPU, every process in its own system process."""

    name: ClassVar[str] = "lava"
    options: ClassVar[Options] = options_of(LavaOptions, "options of the target lava, none of which changes a result")

    @classmethod
    def available(cls) -> str | None:
        """None when Lava can run here, else one sentence with the command that installs it. Imports nothing."""
        spec = importlib.util.find_spec("lava")
        if spec is not None and any((Path(p) / "magma").is_dir() for p in spec.submodule_search_locations or ()):
            return None
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if version != "3.10":
            return (
                f"Lava needs Python 3.10 and this is {version}: make a Python 3.10 environment and there run "
                "pip install 'spikec[lava]'"
            )
        return "Lava is not installed; on Python 3.10, run pip install 'spikec[lava]'"

    def compile(self, graph: nir.NIRGraph | IntegerGraph, **options: Any) -> LavaProgram:
        """Map a graph to Lava processes; ``options`` are the fields of :class:`LavaOptions`.

        Raises ``TargetUnavailable``, ``DoesNotFit`` (Lava has no process for it) or ``RangeError`` (a sum could leave
        the integers of a Lava process).
        """
        missing = self.available()
        if missing is not None:
            raise TargetUnavailable(missing)
        try:
            chosen = LavaOptions(**options)
        except TypeError as error:
            known = ", ".join(LavaOptions.__dataclass_fields__)
            raise ToolchainError(f"the Lava target takes the options {known} ({error})") from error
        integer = as_integer(graph)
        check_ranges(integer, image_is_sent=chosen.input == "graded")
        ours = unfit(integer) if chosen.neuron == "atrlif" else {}
        stock = frozenset(p.name for p in integer.populations if chosen.neuron == "atrlif" and p.name not in ours)
        return LavaProgram(integer, make_plan(integer, chosen.input, atrlif=stock), chosen, stock, ours)


@dataclass(frozen=True)
class LavaProgram:
    """A mapped graph. ``plan`` lists the Lava processes, their connections and delays; ``atrlif`` the populations that
    are Lava's own neurons, ``not_atrlif`` the others and why, where these were asked for."""

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
        # These import torch, which a list of the target's options can do without.
        from spikec.simulation.encode import encode
        from spikec.simulation.trace import TargetSteps
        from spikec.targets.lava.assembling import assemble

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

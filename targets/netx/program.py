"""Runs netx files in Lava: soft-reset files with our processes, hard-reset files in stock netx."""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import spikec.ir as ig
from spikec.errors import TargetUnavailable, ToolchainError
from spikec.simulation.encode import encoded
from spikec.simulation.input_warning import told
from spikec.simulation.trace import TargetSteps, Trace
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.assembling import assemble
from spikec.targets.lava.integer_limits import check_ranges
from spikec.targets.lava.job import Job, Results
from spikec.targets.lava.launch import run_job
from spikec.targets.lava.paths import CONV, DENSE, INTEGRATOR, LIF
from spikec.targets.lava.plan import Plan, ProcessSpec, make_plan
from spikec.targets.lava.program import FAST_MODELS
from spikec.targets.lava.target import LavaTarget, not_here
from spikec.targets.netx.file import HARD, SOFT, field_keys
from spikec.targets.netx.hard_reset import HardReset
from spikec.targets.netx.reading import read, sound_tree
from spikec.words import among

WORKER = "spikec.targets.netx.worker"


@dataclass(frozen=True)
class NetxProgram:
    """A file of :func:`spikec.targets.netx.write`, run by a subclass of lava-dl's ``netx.hdf5.Network``.

    Weights, biases, thresholds and initial membranes reach the processes from the file, through netx; the images
    enter as graded spikes. ``models``: drop-in models by Process class, by default the fast ones of the Lava target.
    """

    path: Path
    graph: ig.IntegerGraph
    stall_seconds: float = 120.0
    models: Mapping[str, str] = field(default_factory=lambda: FAST_MODELS)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **options: Any) -> NetxProgram:
        """Open a file. Raises ``GraphError`` for a file of another kind, ``TargetUnavailable`` without lava-dl,
        ``RangeError`` where a sum could leave the integers of a Lava process."""
        graph = read(path)
        require_lava_dl()
        check_ranges(graph, image_is_sent=True)
        return cls(Path(path).resolve(), graph, **options)

    def run(self, images: npt.ArrayLike, *, record: str | None = None) -> Trace:
        """Run float images [N, *input shape]: the golden model's Trace; ``record="spikes"`` keeps the rasters."""
        if not among(record, (None, "spikes")):
            raise ToolchainError(f"record is {record!r}; give 'spikes' or nothing")
        sound_tree(self.path)  # it may be another file by now
        integers, coding = encoded(self.graph.input, images)
        told(self.graph, coding)
        plan = make_plan(self.graph, "graded")
        plan = replace(plan, processes=tuple(p for p in plan.processes if p.path not in (CONV, DENSE)))
        fields = {population.name: field_keys(population) for population in self.graph.populations}
        job = Job(
            plan,
            len(integers),
            {},
            lava_layout(integers, leading=1),
            record is not None,
            self.models,
            WORKER,
            {"reset": SOFT, "file": str(self.path), "fields": fields},
        )
        started = time.monotonic()
        results = run_netx(job, self.stall_seconds)
        seconds, info = time.monotonic() - started, {"file": self.path.name}
        processes, steps = len(plan.processes) + len(self.graph.synapses), plan.lava_steps(len(integers))
        target_steps = TargetSteps(processes, steps, results.seconds, plan.latency)
        found = assemble(self.graph, integers, [results], seconds, info, target_steps)
        return replace(found, target="netx", coding=coding)


def run_hard_reset(
    path: str | os.PathLike[str], images: npt.ArrayLike, *, stock: bool = True, stall_seconds: float = 120.0
) -> HardReset:
    """Run a file of :func:`spikec.targets.netx.write_hard_reset` in stock netx, neurons and loader as lava-dl has them.

    ``images``: float [N, *input shape], sent as graded spikes. ``stock=False`` takes the fast models of Conv and Dense.
    """
    graph = read(path, reset=HARD)
    require_lava_dl()
    integers, coding = encoded(graph.input, images)
    told(graph, coding)
    plan = _hard_plan(graph)
    first = graph.timesteps + plan.tail  # the last layer has its first window after so many steps
    settings = {
        "reset": HARD,
        "file": str(Path(path).resolve()),
        "window": graph.timesteps,
        "windows": [first] + [graph.timesteps] * (len(integers) - 1),
    }
    models = {} if stock else FAST_MODELS
    job = Job(plan, len(integers), {}, lava_layout(integers, leading=1), False, models, WORKER, settings)
    arrays = run_netx(job, stall_seconds).arrays
    spikes = {}
    for population in graph.populations:
        so_far = lava_layout(arrays[population.name]["curve"], leading=2)
        spikes[population.name] = np.diff(so_far, axis=1, prepend=0).astype(np.int8)
    counts = {name: train.sum(axis=1, dtype=np.int32) for name, train in spikes.items()}
    return HardReset(arrays[graph.readout.name]["v"] // 64, counts, spikes)


def _hard_plan(graph: ig.IntegerGraph) -> Plan:
    """Source, a counter per population, and the stock readout."""
    plan = make_plan(graph, "graded")
    processes = [plan.processes[0]]
    for spec in plan.processes[1:]:
        if spec.emits:
            settings = {"schedule": "pipelined", "radix": 1, "count_steps": graph.timesteps}
            settings |= {"decode": "membrane", "first_step": 0, "input_steps": 0}
            silence = {"v_init": np.zeros_like(spec.arrays["v_init"])}
            processes.append(ProcessSpec(INTEGRATOR, spec.name, spec.arrival, settings, silence))
        elif spec.path == INTEGRATOR:
            processes.append(replace(spec, path=LIF, parameters={}))
    return replace(plan, processes=tuple(processes))


def run_netx(job: Job, stall_seconds: float) -> Results:
    return run_job(job, stall_seconds=stall_seconds, cancel=threading.Event(), progress=lambda _: None)


def require_lava_dl() -> None:
    missing = LavaTarget.available()
    if missing is None and importlib.util.find_spec("lava.lib") is None:
        missing = not_here("lava-dl")
    if missing is not None:
        raise TargetUnavailable(missing)

"""The folder in which a worker finds its job and leaves the results.

``job.json`` says which processes to build. ``<index>.<array>.npy`` holds what a process reads or writes; ``index`` is
its place in ``job.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.targets.lava.paths import FRAME_SOURCE, IMAGE_SOURCE, LIF, READOUTS
from spikec.targets.lava.plan import CURRENT, RECORDER, Plan, ProcessSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Job:
    """A plan with the data of some images. ``models`` maps Process classes to drop-in models, ``module:class``.

    ``precision``: the tag of the process models. ``abreast``: images that go side by side, in one window. ``worker``:
    the module that builds and runs the job. ``settings``: what that module needs besides the plan.
    """

    plan: Plan
    images: int
    currents: Mapping[str, Array]
    sent: Array | None  # graded input: int64 [N, *shape in Lava's layout], sequences with steps after N
    raster: bool
    models: Mapping[str, str] = field(default_factory=dict)
    worker: str = "spikec.targets.lava.worker"
    settings: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "fixed_pt"
    abreast: int = 1

    @property
    def windows(self) -> int:
        """Windows that the images take."""
        return -(-self.images // self.abreast)

    @property
    def lava_steps(self) -> int:
        """Lava steps that the images take."""
        return self.plan.lava_steps(self.windows)


@dataclass(frozen=True)
class Results:
    """Arrays per process name, in Lava's layout; see :func:`_outputs`. ``seconds``: wall clock of all Lava steps."""

    arrays: dict[str, dict[str, Array]]
    seconds: float


def write_job(folder: Path, job: Job) -> None:
    """Fill an empty folder."""
    plan = job.plan
    processes = []
    for index, spec in enumerate(plan.processes):
        settings: dict[str, Any] = dict(spec.parameters)
        if spec.windowed:
            settings |= {"index": index, "images": job.images, "offset": spec.arrival}
            settings |= {"steps": plan.steps, "stride": plan.stride, "pace": plan.pace, "abreast": job.abreast}
        for key, array in spec.arrays.items():
            np.save(folder / f"{index}.{key}.npy", array)
        driven = spec.name.removesuffix(CURRENT)
        if driven in job.currents:
            np.save(folder / f"{index}.current.npy", _narrow(job.currents[driven]))
        if spec.path in (IMAGE_SOURCE, FRAME_SOURCE) and job.sent is not None:
            np.save(folder / f"{index}.images.npy", job.sent.astype(np.int16))
        for key, (shape, dtype) in _outputs(spec, job).items():
            path = folder / f"{index}.{key}.npy"
            np.lib.format.open_memmap(path, "w+", dtype, shape)  # type: ignore[no-untyped-call]
            _reserve(path)
        entry = {"path": spec.path, "name": spec.name, "windowed": spec.windowed}
        processes.append(entry | {"settings": settings, "arrays": sorted(spec.arrays)})
    np.save(folder / "beats.npy", np.zeros(len(processes), np.int64))
    document = {
        "processes": processes,
        "connections": [[c.source, c.target, c.views] for c in plan.connections],
        "models": dict(job.models),
        "precision": job.precision,
        "abreast": job.abreast,
        "windows": list(plan.pieces) * job.images if plan.one_by_one else [job.lava_steps],
        **job.settings,
    }
    (folder / "job.json").write_text(json.dumps(document))


def _reserve(path: Path) -> None:
    """Claim the blocks of a sparse file now: a full disk raises here, but later it would kill the writing process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def read_results(folder: Path, job: Job) -> Results:
    """What the processes wrote."""
    arrays = {
        spec.name.removesuffix(RECORDER): {key: np.load(folder / f"{index}.{key}.npy") for key in _outputs(spec, job)}
        for index, spec in enumerate(job.plan.processes)
    }
    return Results(arrays, float((folder / "seconds").read_text()))


def expected(job: Job) -> dict[str, dict[str, tuple[tuple[int, ...], np.dtype[Any]]]]:
    """Shape and type of each array of the results, by process and name; processes without any are left out."""
    every = {spec.name.removesuffix(RECORDER): _outputs(spec, job) for spec in job.plan.processes}
    return {
        name: {key: (tuple(shape), np.dtype(dtype)) for key, (shape, dtype) in outputs.items()}
        for name, outputs in every.items()
        if outputs
    }


def result_bytes(plan: Plan, *, raster: bool, current_neurons: int) -> int:
    """Size per image of what a job reads and writes."""
    job = Job(plan, 1, {}, None, raster)
    sizes = [
        int(np.prod(shape)) * np.dtype(dtype).itemsize
        for spec in plan.processes
        for shape, dtype in _outputs(spec, job).values()
    ]
    frames = sum(int(np.prod(s.parameters["shape"])) for s in plan.processes if s.path == FRAME_SOURCE)
    return sum(sizes) + 4 * current_neurons + 2 * plan.steps * frames


def _outputs(spec: ProcessSpec, job: Job) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    """Shape and dtype of the arrays a process writes, per image.

    A population writes ``counts``, ``events`` and ``spikes``, the readout ``curve``, both ``membrane`` (lowest,
    highest, overflows), and a stock ``LIF`` writes ``v`` after each image.
    """
    n = job.images
    if spec.path == LIF:
        return {"v": ((n, *spec.arrays["v_init"].shape), np.int64)}
    if spec.path in READOUTS:
        curve = (n, spec.parameters["count_steps"], *spec.arrays["v_init"].shape)
        return {"curve": (curve, np.int64), "membrane": ((n, 3), np.int64)}
    if not spec.emits:
        return {}
    shape = spec.arrays["theta"].shape if "theta" in spec.arrays else spec.parameters["shape"]
    number = np.int8 if job.plan.steps * spec.emits <= 127 else np.int32
    outputs: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
        "counts": ((n, *shape), number),
        "events": ((n, *shape), number),
        "membrane": ((n, 3), np.int64),
    }
    if job.raster:
        steps = spec.parameters["count_steps"]
        one = np.int8 if spec.emits <= 127 else np.int16 if spec.emits <= 2**15 - 1 else np.int32
        outputs["spikes"] = ((n, steps, *shape), one)
    return outputs


def _narrow(current: Array) -> Array:
    fits = current.min(initial=0) >= -(2**31) and current.max(initial=0) < 2**31
    return current.astype(np.int32) if fits else current

"""Results of finished chunks on disk, so that a crash loses one chunk and the next run goes on from there."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np

from spikec.arguments import file_path
from spikec.errors import DataError
from spikec.guarded.arrays import read_arrays
from spikec.targets.lava.job import Job, Results, expected
from spikec.whole_files import replacing, temporary_folder, tidy


def results_folder(place: str | Path) -> Path:
    """The folder for finished chunks, made where it is missing, before hours of work end in a place that takes none.
    Raises :class:`DataError` where nothing can be written there."""
    folder = file_path(place, "the folder of finished chunks")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder):
            pass
    except OSError as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
        raise DataError(f"{folder} cannot take finished chunks: {reason}; give another folder") from error
    return folder


def load_chunk(folder: Path, job: Job) -> Results | None:
    """The results of exactly this job (network, images, options), if an earlier run left them in ``folder``."""
    arrays: dict[str, dict[str, np.ndarray]] = {}  # type: ignore[type-arg]
    tidy(folder)
    try:
        for member, array in read_arrays(_path(folder, job)).items():
            key, _, name = member.partition(":")
            arrays.setdefault(name, {})[key] = array
        seconds = float(arrays.pop("")["seconds"])
    except (DataError, KeyError, TypeError, ValueError):
        return None  # absent, damaged, or not ours: it is computed again
    found = {name: {key: (a.shape, a.dtype) for key, a in each.items()} for name, each in arrays.items() if each}
    return Results(arrays, seconds) if found == expected(job) and math.isfinite(seconds) else None


def save_chunk(folder: Path, job: Job, results: Results) -> None:
    """Keep results; the file appears whole or not at all."""
    members = {f"{key}:{n}": a for n, arrays in results.arrays.items() for key, a in arrays.items()}
    with replacing(_path(folder, job)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **members, **{"seconds:": np.array(results.seconds)})


def _path(folder: Path, job: Job) -> Path:
    return folder / f"{_fingerprint(job)}.npz"


def _fingerprint(job: Job) -> str:
    """SHA-256 of everything the results depend on: processes, connections, currents, images, models."""
    digest = hashlib.sha256()

    def add(*things: object) -> None:
        for thing in things:
            if isinstance(thing, np.ndarray):
                digest.update(f"{thing.dtype}{thing.shape}".encode())
                digest.update(np.ascontiguousarray(thing).tobytes())
            else:
                digest.update(json.dumps(thing, sort_keys=True, default=str).encode())
            digest.update(b"\0")

    plan = job.plan
    add(
        plan.steps,
        plan.tail,
        plan.pace,
        plan.one_by_one,
        job.images,
        job.raster,
        job.precision,
        dict(job.models),
        job.worker,
    )
    for spec in plan.processes:
        add(spec.path, spec.name, spec.arrival, spec.parameters)
        for key, array in spec.arrays.items():
            add(key, array)
    add([[c.source, c.target, c.views] for c in plan.connections])
    for name, current in sorted(job.currents.items()):
        add(name, current)
    add("sent", job.sent)
    return digest.hexdigest()

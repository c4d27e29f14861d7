"""Runs one job in a fresh interpreter and watches it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from spikec.errors import ToolchainError
from spikec.processes import has_ended, kill_group, worker_command
from spikec.targets.lava.job import Job, Results, read_results, write_job
from spikec.targets.lava.status import read_failure, read_state
from spikec.targets.lava.system import SHARED_MEMORY, remove_shared_memory
from spikec.whole_files import temporary_folder, tidy

_POLL = 0.05
#: Seconds to wait, after a process has ended, for the report of its exception; another process may write it.
_WORDS = 2.0
#: A worker may take at least so many seconds to import and to build, even if ``stall_seconds`` is shorter.
_START = 60.0

Progress = Callable[[int], None]


class LavaError(ToolchainError):
    """A Lava run failed, died or hung; the message names the process and the log file."""


class CancelledError(Exception):
    """This job was stopped because another one failed."""


def run_job(job: Job, *, stall_seconds: float, cancel: threading.Event, progress: Progress) -> Results:
    """Run a job to its end. ``progress`` is called with the number of finished images whenever it grows.

    Raises :class:`LavaError` when a process raises, dies, or nothing advances for ``stall_seconds``, and
    :class:`CancelledError` once ``cancel`` is set. Whatever happens, no process, no shared memory and no folder is
    left; after a failure the log file is kept.
    """
    tidy(SHARED_MEMORY)
    with temporary_folder() as folder:
        # Elsewhere names of shared memory may have 31 characters.
        tag = folder.name if os.path.isdir(SHARED_MEMORY) else f"spikec_{folder.name[-8:]}"
        with naming_a_full_disk(folder.parent, "TMPDIR names another place, a smaller chunk needs less"):
            write_job(folder, job)
        worker = _start(folder, tag, job.worker)
        try:
            _watch(worker, folder, job, stall_seconds, cancel, progress)
        except LavaError as failure:
            log = folder.with_name(f"{folder.name}.log")
            shutil.move(folder / "log.txt", log)
            raise LavaError(f"{failure}; log: {log}") from None
        finally:
            kill_group(worker.pid)
            worker.wait()
            remove_shared_memory(tag)
        return read_results(folder, job)


@contextlib.contextmanager
def naming_a_full_disk(folder: Path, way_out: str) -> Iterator[None]:
    """Turn the error of a full disk into a :class:`LavaError` that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise LavaError(f"no space left in {folder}; {way_out}") from error


def _start(folder: Path, tag: str, module: str) -> subprocess.Popen[bytes]:
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(
            worker_command(module, str(folder), str(os.getpid()), tag),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,  # a file, not a pipe: orphans would keep a pipe open
            cwd=folder,
            env={**os.environ, **threads, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )


def _watch(
    worker: subprocess.Popen[bytes],
    folder: Path,
    job: Job,
    stall_seconds: float,
    cancel: threading.Event,
    progress: Progress,
) -> None:
    beats = np.load(folder / "beats.npy", mmap_mode="r")
    last = max(i for i, p in enumerate(job.plan.processes) if p.windowed)
    arrival = job.plan.processes[last].arrival
    seen: object = None
    since = alive = time.monotonic()
    finished = 0
    while True:
        code = worker.poll()
        dead = _dead_actors(folder)
        state = read_state(folder)  # after the dead were counted: processes end with the worker once it is "done"
        failure = read_failure(folder)
        if failure is not None:
            raise LavaError(f"Lava process {failure[0]} failed: {failure[1]}")
        windows = max(0, int(beats[last]) - arrival) // job.plan.stride
        images = min(windows * job.abreast, job.images)
        if images > finished:
            finished = images
            progress(finished)
        if state == "done":
            return
        if code is not None:
            raise LavaError(f"the Lava worker ended with code {code} while {state or 'starting'}")
        if not dead or state not in ("building", "running"):
            alive = time.monotonic()
        elif time.monotonic() - alive > _WORDS:
            raise LavaError(
                f"Lava process {', '.join(dead)} died while {state} "
                f"(killed, out of memory, or no space left in {folder.parent})"
            )
        now = (state, beats.tobytes())
        if now != seen:
            seen, since = now, time.monotonic()
        else:
            still = time.monotonic() - since
            if still > (stall_seconds if state == "running" else max(stall_seconds, _START)):
                raise LavaError(f"Lava stood still for {still:.0f} s while {state or 'starting'}{_where(job, beats)}")
        if cancel.is_set():
            raise CancelledError
        time.sleep(_POLL)


def _dead_actors(folder: Path) -> list[str]:
    try:
        lines = (folder / "actors").read_text().splitlines()
    except FileNotFoundError:
        return []
    pairs = (line.split(" ", 1) for line in lines if " " in line)
    return [name for pid, name in pairs if has_ended(int(pid))]


def _where(job: Job, beats: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    """The population furthest behind: what holds the others up, or the first to miss its input."""
    steps = {spec.name: int(beats[i]) for i, spec in enumerate(job.plan.processes) if spec.windowed}
    name = min(steps, key=lambda n: steps[n])
    return f", {name} at step {steps[name]} of {job.lava_steps}"

"""One job array per call of ``sbatch``. Results come back as files, so SLURM is asked for nothing but ``squeue``.

If a submission is still queued when a sweep starts, the sweep waits for it and does not repeat it: the waiting process
may be stopped and started again at any time.
"""

from __future__ import annotations

import itertools
import json
import math
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spikec.deployment.configuration import Configuration
from spikec.errors import DataError, TargetUnavailable, ToolchainError
from spikec.guarded import open_regular, read_json, regular_file
from spikec.sweeping.local import THREAD_VARIABLES, Finished
from spikec.sweeping.store import Store, failure
from spikec.whole_files import write_text
from spikec.words import option

#: SLURM's own default (MaxArraySize 1001) allows this many tasks; beyond it a task computes several runs.
MAX_TASKS = 1000
#: Seconds between two looks at the queue: short at first, then longer to spare the controller.
FIRST_POLL, LAST_POLL = 0.5, 15.0
#: How often a job may be gone from the queue while its results are not here yet (network file systems lag).
_PATIENCE = 3
#: Cores of a task, where SLURM does not say how many its nodes have; seconds in which it has to.
_MOST_CORES, _ANSWER_SECONDS = 1024, 60.0
#: Bytes at the end of a task's log that hold its last words.
_LAST_BYTES = 2**16
_OWN = ("array", "chdir", "output", "error", "parsable", "wait", "wrap")


@dataclass(frozen=True)
class Submission:
    """A job array: its number, and the configurations of each task."""

    folder: Path
    job: str
    tasks: tuple[tuple[str, ...], ...]

    @property
    def ids(self) -> set[str]:
        return {id for task in self.tasks for id in task}

    def log(self, id: str) -> Path:
        """What the task that computes ``id`` printed."""
        return self.folder / f"{next(n for n, task in enumerate(self.tasks) if id in task)}.log"


def check(options: Mapping[str, str]) -> None:
    """Raise if SLURM is missing (``TargetUnavailable``) or the sweep sets an option itself (``ToolchainError``)."""
    missing = [name for name in ("sbatch", "squeue") if shutil.which(name) is None]
    if missing:
        raise TargetUnavailable(
            f"SLURM is not here: no {' and no '.join(missing)} on PATH; call spikec on a machine that submits jobs to "
            f"the cluster, or use {option('executor', 'local')}"
        )
    for name in options:
        if name in _OWN:
            raise ToolchainError(f"--slurm-option {name}: the sweep sets this itself; leave it out")


def check_threads(threads: int | None, options: Mapping[str, str]) -> None:
    """Raise :class:`DataError` for more cores of a task than the largest node of the partition has; such a job would
    wait for ever, or be refused. What SLURM does not say is bounded by what no node has."""
    if threads is None or threads == 1:
        return
    wanted = options.get("partition") or options.get("p")
    command = ["sinfo", "--noheader", "--format=%c", *([f"--partition={wanted}"] if wanted else [])]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS).stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        said = []
    known = [int(word.rstrip("+")) for word in said if word.rstrip("+").isdecimal() and len(word) < 10]
    most = max(known, default=_MOST_CORES)
    if threads > most:
        where = f"the partition {wanted}" if wanted else "this cluster"
        has = f"the largest node of {where} has {most} cores" if known else f"at most {most} are taken"
        raise DataError(f"threads: a task cannot have {threads} cores, {has}; give fewer")


def submit(
    store: Store,
    pending: Sequence[Configuration],
    *,
    jobs: int | None = None,
    threads: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Submission:
    """One array for all that is pending: at most ``jobs`` tasks at once, ``threads`` cores each (default 1)."""
    check_threads(threads, options or {})
    each = math.ceil(len(pending) / MAX_TASKS)
    tasks = [list(pending[start : start + each]) for start in range(0, len(pending), each)]
    folder = _new_folder(store.folder / "slurm")
    write_text(folder / "tasks.json", json.dumps([[run.to_json() for run in task] for task in tasks]))
    write_text(folder / "script.sh", _script(store.folder, folder))
    given = {"job-name": "spikec-sweep", "cpus-per-task": str(threads or 1), **(options or {})}
    command = [
        "sbatch",
        "--parsable",
        f"--array=0-{len(tasks) - 1}" + (f"%{min(jobs, len(tasks))}" if jobs else ""),
        f"--chdir={Path.cwd()}",
        f"--output={(folder / '%a.log').absolute()}",
        *(f"--{name}={value}" if value else f"--{name}" for name, value in given.items()),
        str((folder / "script.sh").absolute()),
    ]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        said = " ".join(answer.stderr.split()) or f"exit code {answer.returncode}"
        kind = TargetUnavailable if "contact" in said else ToolchainError
        raise kind(f"sbatch refused the sweep: {said}")
    made = Submission(folder, answer.stdout.strip().split(";")[0], tuple(tuple(r.id for r in task) for task in tasks))
    write_text(folder / "job.json", json.dumps({"job": made.job, "tasks": made.tasks}))
    return made


def queued(store: Store, ids: set[str]) -> list[Submission]:
    """Earlier submissions that hold some of ``ids`` and are still in the queue."""
    found = []
    for file in sorted((store.folder / "slurm").glob("*/job.json")):
        try:
            data = read_json(file, "the job")
            made = Submission(file.parent, str(data["job"]), tuple(tuple(task) for task in data["tasks"]))
        except (DataError, KeyError, TypeError):
            continue  # not ours, or damaged: at worst a run is submitted again
        if made.ids & ids and in_queue(made.job) is not False:
            found.append(made)
    return found


def in_queue(job: str) -> bool | None:
    """Whether any task of a job waits or runs; None if the controller gives no answer."""
    answer = subprocess.run(["squeue", "--noheader", f"--jobs={job}", "--format=%T"], capture_output=True, text=True)
    if answer.returncode == 0:
        return bool(answer.stdout.strip())
    return False if "invalid job id" in answer.stderr.lower() else None


def wait(
    store: Store,
    pending: Sequence[Configuration],
    submissions: Sequence[Submission],
    finished: Finished,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Report results as they appear; a run whose job is gone without a result has failed."""
    missing = {run.id: run for run in pending}
    gone = {made.job: 0 for made in submissions}
    pause = FIRST_POLL
    while missing:
        arrived = {id: result for id in missing if (result := store.read(id)) is not None}
        for id, result in arrived.items():
            finished(missing.pop(id), result["state"])
        for made in submissions:
            left = made.ids & missing.keys()
            if left and in_queue(made.job) is False:
                gone[made.job] += 1
                if gone[made.job] >= _PATIENCE:
                    for id in sorted(left):
                        store.write(failure(missing[id], _lost(made, id), kind="JobEnded"))
        if missing:
            sleep(pause)
        pause = FIRST_POLL if arrived else min(1.5 * pause, LAST_POLL)


def _lost(made: Submission, id: str) -> str:
    log = made.log(id)
    try:
        with open_regular(log) as file:
            file.seek(max(0, regular_file(log) - _LAST_BYTES))
            text = file.read(_LAST_BYTES).decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
    except (DataError, OSError):
        lines = []
    words = f"its last words: {' | '.join(lines[-5:])}" if lines else f"it left no words in {log}"
    return f"job {made.job} ended without a result (out of time, out of memory, or cancelled?); {words}"


def _new_folder(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        try:
            (parent / str(number)).mkdir()
        except FileExistsError:
            continue
        return parent / str(number)
    raise AssertionError


def _script(results: Path, folder: Path) -> str:
    words = [
        sys.executable,
        "-m",
        "spikec.sweeping.worker",
        results.absolute(),
        "--tasks",
        folder.absolute() / "tasks.json",
    ]
    exports = [f'export {name}="${{SLURM_CPUS_PER_TASK:-1}}"' for name in THREAD_VARIABLES]
    call = f'exec {shlex.join(map(str, words))} --index "$SLURM_ARRAY_TASK_ID"'
    return "\n".join(["#!/bin/sh", *exports, call, ""])

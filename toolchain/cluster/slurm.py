"""Job arrays of SLURM, one per call of ``sbatch``. Results come back as files, so SLURM is asked for nothing but
``squeue``.

If a submission is still queued when a command starts again, it is waited for and not repeated: the waiting process may
be stopped and started again at any time.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikec.cluster.local import THREAD_VARIABLES, last_words
from spikec.errors import DataError, TargetUnavailable, ToolchainError
from spikec.guarded import open_regular, read_json, regular_file
from spikec.whole_files import write_text
from spikec.words import option

#: SLURM's own default (MaxArraySize 1001) allows this many tasks; beyond it a task has several orders.
MAX_TASKS = 1000
#: Seconds between two looks at the queue: short at first, then longer to spare the controller.
FIRST_POLL, LAST_POLL = 0.5, 15.0
#: How often a task may be gone from the queue while its results are not here yet (network file systems lag).
PATIENCE = 3
#: Cores of a task, where SLURM does not say how many its nodes have; seconds in which it has to.
_MOST_CORES, _ANSWER_SECONDS = 1024, 60.0
#: Bytes at the end of a task's log that hold its last words.
_LAST_BYTES = 2**16
#: What SLURM calls a job.
_NUMBER = re.compile("[0-9]{1,20}")
_OWN = ("array", "chdir", "output", "error", "parsable", "wait", "wrap")


@dataclass(frozen=True)
class Submission:
    """A job array: its number, and the ids of the orders of each task."""

    folder: Path
    job: str
    tasks: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, file: Path) -> Submission:
        """What :func:`submit` left in ``file``. Raises :class:`DataError`."""
        found = read_json(file, "the job")
        job, tasks = (found.get("job"), found.get("tasks")) if isinstance(found, dict) else (None, None)
        numbered = isinstance(job, str) and _NUMBER.fullmatch(job)  # it becomes a word of SLURM's commands
        if not numbered or not isinstance(tasks, list) or not all(map(_ids, tasks)):
            raise DataError(
                f"{file} is not what spikec writes for a job array: name another folder, or remove {file.parent} if "
                "nothing else lies in it"
            )
        return cls(file.parent, str(job), tuple(tuple(task) for task in tasks))

    @property
    def ids(self) -> set[str]:
        return {id for task in self.tasks for id in task}

    def task(self, id: str) -> int:
        """The number of the task that has the order ``id``."""
        return next(n for n, task in enumerate(self.tasks) if id in task)

    def log(self, id: str) -> Path:
        """What the task that has the order ``id`` printed."""
        return self.folder / f"{self.task(id)}.log"


def _ids(task: Any) -> bool:
    return isinstance(task, list) and all(isinstance(id, str) for id in task)


def check(options: Mapping[str, str]) -> None:
    """Raise if SLURM is missing (``TargetUnavailable``) or an option is set by the command itself
    (``ToolchainError``)."""
    missing = [name for name in ("sbatch", "squeue") if shutil.which(name) is None]
    if missing:
        raise TargetUnavailable(
            f"SLURM is not here: no {' and no '.join(missing)} on PATH; call spikec on a machine that submits jobs to "
            f"the cluster, or use {option('executor', 'local')}"
        )
    for name in options:
        if name in _OWN:
            raise ToolchainError(f"--slurm-option {name}: spikec sets this itself; leave it out")


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
    place: Path,
    orders: Mapping[str, Any],
    worker: Sequence[str],
    *,
    name: str,
    jobs: int | None = None,
    threads: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Submission:
    """One array for all orders, kept in a new folder in ``place``: at most ``jobs`` tasks at once, ``threads`` cores
    each (default 1).

    ``worker``: a module and its words; it is called with ``--tasks FILE --index N`` behind them, where FILE holds the
    orders of every task, a list of lists. ``name``: of the job.
    """
    check_threads(threads, options or {})
    ids = list(orders)
    each = math.ceil(len(ids) / MAX_TASKS)
    tasks = tuple(tuple(ids[start : start + each]) for start in range(0, len(ids), each))
    folder = _new_folder(place)
    write_text(folder / "tasks.json", json.dumps([[orders[id] for id in task] for task in tasks]))
    write_text(folder / "script.sh", _script(worker, folder))
    given = {"job-name": name, "cpus-per-task": str(threads or 1), **(options or {})}
    command = [
        "sbatch",
        "--parsable",
        f"--array=0-{len(tasks) - 1}" + (f"%{min(jobs, len(tasks))}" if jobs else ""),
        f"--chdir={Path.cwd()}",
        f"--output={(folder / '%a.log').absolute()}",
        *(f"--{key}={value}" if value else f"--{key}" for key, value in given.items()),
        str((folder / "script.sh").absolute()),
    ]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        said = " ".join(answer.stderr.split()) or f"exit code {answer.returncode}"
        kind = TargetUnavailable if "contact" in said else ToolchainError
        raise kind(f"sbatch refused the job: {said}")
    made = Submission(folder, answer.stdout.strip().split(";")[0], tasks)
    write_text(folder / "job.json", json.dumps({"job": made.job, "tasks": made.tasks}))
    return made


def queued(place: Path, ids: set[str] | None = None) -> list[Submission]:
    """Earlier submissions in ``place`` that hold some of ``ids`` (None: any) and are still in the queue; older ones
    first."""
    found = []
    for file in sorted(place.glob("*/job.json"), key=lambda file: (len(file.parent.name), file.parent.name)):
        try:
            made = Submission.read(file)
        except DataError:
            continue  # not ours, or damaged: at worst an order is submitted again
        if (ids is None or made.ids & ids) and in_queue(made.job) is not False:
            found.append(made)
    return found


def in_queue(job: str) -> bool | None:
    """Whether any task of a job waits or runs; None if the controller gives no answer."""
    living = living_tasks(job)
    return None if living is None else bool(living)


def living_tasks(job: str) -> set[str] | None:
    """The numbers of the tasks of a job array that wait or run; None if the controller gives no answer."""
    answer = subprocess.run(
        ["squeue", "--noheader", "--array", f"--jobs={job}", "--format=%K"], capture_output=True, text=True
    )
    if answer.returncode == 0:
        return set(answer.stdout.split())
    return set() if "invalid job id" in answer.stderr.lower() else None


def cancel(made: Submission) -> None:
    """End what is left of a job array; without effect where nothing is."""
    subprocess.run(["scancel", made.job], capture_output=True, text=True)


def lost(made: Submission, id: str) -> str:
    """Why a task may have ended without a result, with the last words of its log."""
    log = made.log(id)
    try:
        with open_regular(log) as file:
            file.seek(max(0, regular_file(log) - _LAST_BYTES))
            words = last_words(file.read(_LAST_BYTES).decode(errors="replace"))
    except (DataError, OSError):
        words = ""
    said = f"its last words: {words}" if words else f"it left no words in {log}"
    return f"job {made.job} ended without a result (out of time, out of memory, or cancelled?); {said}"


def _new_folder(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        try:
            (parent / str(number)).mkdir()
        except FileExistsError:
            continue
        return parent / str(number)
    raise AssertionError


def _script(worker: Sequence[str], folder: Path) -> str:
    words = [sys.executable, "-m", *worker, "--tasks", str(folder.absolute() / "tasks.json")]
    exports = [f'export {name}="${{SLURM_CPUS_PER_TASK:-1}}"' for name in THREAD_VARIABLES]
    call = f'exec {shlex.join(words)} --index "$SLURM_ARRAY_TASK_ID"'
    return "\n".join(["#!/bin/sh", *exports, call, ""])

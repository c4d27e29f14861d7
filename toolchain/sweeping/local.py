"""Worker processes on this machine. If a worker dies, only its run fails; another worker takes its place."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from spikec.deployment.configuration import Configuration
from spikec.processes import worker_command
from spikec.processors import check_number, cores
from spikec.sweeping.store import Store, failure
from spikec.sweeping.worker import BUSY
from spikec.whole_files import remove_stale
from spikec.words import option

#: Called in the main thread with the configuration and its state.
Finished = Callable[[Configuration, str], None]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
#: Seconds in which workers clean up after themselves.
_GRACE_SECONDS = 1.0
_LAST_LINES = 5


def shares(runs: int, jobs: int | None = None, threads: int | None = None) -> tuple[int, int]:
    """(worker processes, at most one per run; threads of each). By default together they fill the cores and no more.
    Raises ``DataError`` for more than a machine can start."""
    check_number("threads", threads)
    workers = jobs if jobs is not None else max(1, cores() // (threads or 1))
    workers = max(1, min(workers, runs))
    check_number("jobs", workers)
    return workers, threads or max(1, cores() // workers)


def execute(
    store: Store,
    pending: Sequence[Configuration],
    finished: Finished,
    *,
    jobs: int | None = None,
    threads: int | None = None,
) -> None:
    """Compute what is pending. On an interrupt the workers are stopped and the exception is passed on."""
    workers, each = shares(len(pending), jobs, threads)
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(each)), "OMP_WAIT_POLICY": "PASSIVE"}
    crew = _Crew(store, pending, workers, environment)
    try:
        for _ in range(len(pending)):
            finished(*crew.next())
    finally:
        crew.stop()


class _Crew:
    """Worker processes, each fed by a thread of its own; ``next`` returns what they finish."""

    def __init__(
        self, store: Store, pending: Sequence[Configuration], workers: int, environment: Mapping[str, str]
    ) -> None:
        self._store, self._environment = store, environment
        self._waiting = deque((configuration, False) for configuration in pending)
        self._done: queue.SimpleQueue[tuple[Configuration, str] | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False
        for _ in range(workers):
            threading.Thread(target=self._feed, daemon=True).start()

    def next(self) -> tuple[Configuration, str]:
        """The next finished configuration and its state."""
        while True:
            with contextlib.suppress(queue.Empty):
                found = self._done.get(timeout=0.5)  # in slices, so that an interrupt is seen on every system
                if isinstance(found, BaseException):
                    raise found
                return found

    def stop(self) -> None:
        """End all workers and whatever they started; those that do not end when asked are killed."""
        with self._lock:
            self._stopped = True
            running = list(self._processes)
        for process in running:
            _end(process)
        end = time.monotonic() + _GRACE_SECONDS
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
            _end(process, at_once=True)
            process.wait()
        for folder in (self._store.runs, Path(tempfile.gettempdir())):
            remove_stale(folder)

    def _feed(self) -> None:
        try:
            while self._waiting:
                self._serve_one_worker()
        except BaseException as error:
            self._done.put(error)

    def _serve_one_worker(self) -> None:
        """Give one worker runs until there are none or it dies."""
        with tempfile.TemporaryFile("w+") as log:
            process = self._start(log.fileno())
            if process is None:
                return
            assert process.stdin is not None
            assert process.stdout is not None
            with process:
                while (taken := self._take()) is not None:
                    configuration, wait = taken
                    with contextlib.suppress(BrokenPipeError):
                        print(
                            json.dumps({"run": configuration.to_json(), "wait": wait}), file=process.stdin, flush=True
                        )
                    state = process.stdout.readline().strip()
                    if state == BUSY:  # another sweep computes it: try again later, then with waiting
                        self._waiting.append((configuration, True))
                    elif state:
                        self._done.put((configuration, state))
                    else:
                        self._died(configuration, process, log)
                        break
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            with self._lock:
                self._processes.discard(process)

    def _start(self, log: int) -> subprocess.Popen[str] | None:
        command = worker_command("spikec.sweeping.worker", str(self._store.folder))
        with self._lock:
            if self._stopped:
                self._waiting.clear()
                return None
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(self._environment),
                text=True,
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops the workers
            )
            self._processes.add(process)
            return process

    def _take(self) -> tuple[Configuration, bool] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting and not self._stopped else None

    def _died(self, configuration: Configuration, process: subprocess.Popen[str], log: TextIO) -> None:
        code = process.wait()
        if self._stopped:
            return
        if self._store.read(configuration.id) is None:
            self._store.write(failure(configuration, f"{_how(code)}{_last_lines(log)}", kind="WorkerDied"))
        found = self._store.read(configuration.id)
        self._done.put((configuration, str(found["state"]) if found else "failed"))


def _end(process: subprocess.Popen[str], *, at_once: bool = False) -> None:
    """Tell a worker and all that it started, which are a session of their own, to end."""
    if not hasattr(os, "killpg"):
        process.terminate()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL if at_once else signal.SIGTERM)


def _how(code: int) -> str:
    if code >= 0:
        return f"the worker process ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = f": the system may have run out of memory, try fewer {option('jobs')}" if name == "SIGKILL" else ""
    return f"the worker process was killed by {name}{hint}"


def _last_lines(log: TextIO) -> str:
    log.seek(0)
    lines = [line for line in log.read().splitlines() if line.strip()][-_LAST_LINES:]
    return f"; last words: {' | '.join(lines)}" if lines else ""

"""Worker processes on this machine. If a worker dies, only its order is lost; another worker takes its place."""

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from spikec.processors import check_number, cores
from spikec.whole_files import remove_stale
from spikec.words import option

#: What a worker answers where another process has taken the order.
BUSY = "busy"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
#: Called with the id of an order whose worker died, and how: the state that the order has now, None: it is given again.
Died = Callable[[str, str], str | None]
#: Seconds in which workers clean up after themselves.
_GRACE_SECONDS = 1.0
_LAST_LINES = 5


def shares(orders: int, jobs: int | None = None, threads: int | None = None) -> tuple[int, int]:
    """(worker processes, at most one per order; threads of each). By default together they fill the cores and no more.
    Raises ``DataError`` for more than a machine can start."""
    check_number("threads", threads)
    workers = jobs if jobs is not None else max(1, cores() // (threads or 1))
    workers = max(1, min(workers, orders))
    check_number("jobs", workers)
    return workers, threads or max(1, cores() // workers)


def environment(threads: int) -> dict[str, str]:
    """That of a worker with so many threads."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "OMP_WAIT_POLICY": "PASSIVE"}


class Crew:
    """Worker processes, each fed by a thread of its own; :meth:`next` returns what they finish.

    ``command`` starts a worker, which reads orders ``{"id", "order", "wait"}`` as lines of JSON and answers each with a
    line, its state; ``wait``: it should wait for another process that has taken the order, not answer ``BUSY``.
    ``folders``: those that workers write to, which are tidied when all have ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        orders: Mapping[str, Any],
        workers: int,
        environment: Mapping[str, str],
        died: Died,
        folders: Iterable[Path],
    ) -> None:
        self._command, self._environment, self._on_death = list(command), dict(environment), died
        self._orders, self._folders = dict(orders), tuple(folders)
        self._waiting = deque((id, False) for id in orders)
        self._done: queue.SimpleQueue[tuple[str, str] | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False
        for _ in range(workers):
            threading.Thread(target=self._feed, daemon=True).start()

    def next(self, seconds: float | None = None) -> tuple[str, str] | None:
        """The id and state of the next finished order; None where there is none for so many ``seconds``."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                # In slices, so that an interrupt is seen on every system.
                found = self._done.get(timeout=0.5 if end is None else max(0.01, min(0.5, end - time.monotonic())))
                if isinstance(found, BaseException):
                    raise found
                return found
        return None

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
        for folder in (*self._folders, Path(tempfile.gettempdir())):
            remove_stale(folder)

    def _feed(self) -> None:
        try:
            while self._waiting:
                self._serve_one_worker()
        except BaseException as error:
            self._done.put(error)

    def _serve_one_worker(self) -> None:
        """Give one worker orders until there are none or it dies."""
        with tempfile.TemporaryFile("w+") as log:
            process = self._start(log.fileno())
            if process is None:
                return
            assert process.stdin is not None
            assert process.stdout is not None
            with process:
                while (taken := self._take()) is not None:
                    id, wait = taken
                    line = json.dumps({"id": id, "order": self._orders[id], "wait": wait})
                    with contextlib.suppress(BrokenPipeError):
                        print(line, file=process.stdin, flush=True)
                    state = process.stdout.readline().strip()
                    if state == BUSY:  # another process computes it: try again later, then with waiting
                        self._waiting.append((id, True))
                    elif state:
                        self._done.put((id, state))
                    else:
                        self._died(id, process, log)
                        break
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            with self._lock:
                self._processes.discard(process)

    def _start(self, log: int) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                self._waiting.clear()
                return None
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                text=True,
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops the workers
            )
            self._processes.add(process)
            return process

    def _take(self) -> tuple[str, bool] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting and not self._stopped else None

    def _died(self, id: str, process: subprocess.Popen[str], log: TextIO) -> None:
        code = process.wait()
        if self._stopped:
            return
        state = self._on_death(id, f"{_how(code)}{_last_lines(log)}")
        if state is None:
            self._waiting.append((id, False))
        else:
            self._done.put((id, state))


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


def last_words(text: str) -> str:
    """The last lines that a process printed, as a piece of one line; nothing where it printed none."""
    return " | ".join([line for line in text.splitlines() if line.strip()][-_LAST_LINES:])


def _last_lines(log: TextIO) -> str:
    log.seek(0)
    words = last_words(log.read())
    return f"; last words: {words}" if words else ""

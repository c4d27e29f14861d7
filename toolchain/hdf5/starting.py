"""Starts the process that reads files, hands it a file, and waits until it has ended.

Where the system can fork, one process serves all files of this one and forks for each (4 ms for an empty file);
else each file gets a new process (0.16 s).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from spikec.hdf5.forking import Forked, can_fork, fork
from spikec.hdf5.question import Question

Listen: TypeAlias = Callable[[Any], None]
_BY_THE_CLOCK = 10
_START_IMPORTS = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from spikec.hdf5 import child"
_START_MAIN = "child.main(sys.argv[2:])"
_START = f"{_START_IMPORTS}; {_START_MAIN}"
_ALONE = {
    "OPENBLAS_NUM_THREADS": "1",  # threads take memory, and do not survive a fork
    "OMP_NUM_THREADS": "1",
    "HDF5_PLUGIN_PRELOAD": "::",  # HDF5 loads no programs for filters that it does not know
}


@dataclass
class Ended:
    """How a process ended: ``code`` is its exit code or the negative number of a signal; ``late``: it was stopped."""

    code: int = 0
    late: bool = False


def ask(file: int, question: Question, listen: Listen) -> Ended:
    """Have the file behind a descriptor read. ``listen(pipe)`` takes the answer, and returns when it has all of it or
    the pipe ends. Raises ``OSError`` where no process can be started."""
    if not (hasattr(os, "fork") and hasattr(socket, "send_fds")):
        return _once(file, question, listen)
    with _lock[0]:
        return _running().ask(file, question, listen)


def start(*, forked: bool = False) -> None:
    """Start the process now, so that it loads its libraries while this one loads others. Where it cannot start, nothing
    happens: the first file says so.

    ``forked``: load its libraries here instead and fork it, where that is safe. For commands that need little else: it
    halves what they take, and leaves NumPy one thread.
    """
    if hasattr(os, "fork") and hasattr(socket, "send_fds"):
        with contextlib.suppress(OSError), _lock[0]:
            _running(forked=forked and can_fork())


def _running(*, forked: bool = False) -> _Server:
    for server in _current:
        if server.owner != os.getpid() or server.process.poll() is not None:
            server.close()
            _current.clear()
    if not _current:
        _current.append(_Server(forked=forked))
    return _current[0]


def _words(*words: str) -> list[str]:
    return [sys.executable, "-c", _START, json.dumps(sys.path), *words]


def _once(file: int, question: Question, listen: Listen) -> Ended:
    """A process for one file, where the system cannot fork: its memory is not bounded there, its time is."""
    with subprocess.Popen(
        _words("once", json.dumps(asdict(question))),
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ALONE},
        bufsize=0,
    ) as process:
        ended = Ended()
        timer = threading.Timer(_BY_THE_CLOCK * question.seconds, _stop, (ended, process.kill))
        timer.start()
        assert process.stdout is not None
        try:
            listen(process.stdout)
        finally:
            process.stdout.close()
            ended.code = process.wait()
            timer.cancel()
    return ended


def _stop(ended: Ended, kill: Callable[[], None]) -> None:
    ended.late = True
    kill()


def _widen(pipe: int) -> None:
    """Let a pipe hold 1 MiB, so that the two processes wait less for each other; where the system can."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # more than this user may have
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 2**20)


class _Server:
    """The process that forks for each file. One question at a time."""

    process: subprocess.Popen[bytes] | Forked

    def __init__(self, *, forked: bool = False) -> None:
        self.owner = os.getpid()
        self.control, theirs = socket.socketpair()
        try:
            self.process = (
                fork(theirs, _ALONE)
                if forked
                else subprocess.Popen(
                    _words("serve", str(theirs.fileno())),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, **_ALONE},
                    start_new_session=True,  # Ctrl-C is for the command; and all of it can be stopped at once
                )
            )
        except OSError:
            self.control.close()
            raise
        finally:
            theirs.close()

    def ask(self, file: int, question: Question, listen: Listen) -> Ended:
        ended = Ended()
        mine, theirs = os.pipe()
        _widen(mine)
        with open(mine, "rb", buffering=0) as pipe:
            try:
                socket.send_fds(self.control, [json.dumps(asdict(question)).encode()], [file, theirs])
            finally:
                os.close(theirs)
            timer = threading.Timer(_BY_THE_CLOCK * question.seconds, _stop, (ended, self.kill))
            timer.start()
            try:
                listen(pipe)
                pipe.close()  # a process that goes on writing ends
                ended.code = self._status()
            except BaseException:  # Ctrl-C, no memory: the answer that is under way is nobody's
                self.kill()
                raise
            finally:
                timer.cancel()
        return ended

    def _status(self) -> int:
        said = b""
        while not said.endswith(b"\n"):
            more = self.control.recv(64)
            if not more:  # the server itself is gone
                self.kill()
                return self.process.returncode or 1
            said += more
        return int(said)

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End it: it waits for files until its socket is closed. A copy of another process is only put away."""
        self.control.close()
        if self.owner == os.getpid():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        else:
            self.process.returncode = 0  # no child of this process, so nobody waits for it


_current: list[_Server] = []
_lock = [threading.RLock()]


def close() -> None:
    """End the process that waits for files; the next file starts another."""
    for server in _current:
        server.close()
    _current.clear()


def _after_fork() -> None:
    _lock[0] = threading.RLock()  # the thread that held it is not here


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""The process that reads files, forked from a command that needs the same libraries: they are loaded once for both.

The fork happens before the command has read anything, keeps nothing that is open but its socket, and from there on is
the process that :mod:`spikec.hdf5.starting` starts otherwise.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

#: Seconds between two looks at a process that is about to end.
_LOOK = 0.002
_OPEN = Path("/proc/self/fd")


class Forked:
    """A child of this process, with what :class:`subprocess.Popen` tells of its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or the negative number of a signal; None while it runs."""
        if self.returncode is None:
            try:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it; how it ended is lost, as for Popen
                ended, status = self.pid, 0
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """:meth:`poll`, once it has ended. Raises ``subprocess.TimeoutExpired``."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                assert timeout is not None
                raise subprocess.TimeoutExpired("the process that reads files", timeout)
            time.sleep(_LOOK)
        return code


def can_fork() -> bool:
    """Whether this process may fork: on Linux, from its only thread, and before NumPy has started any and HDF5 has been
    told how to behave."""
    fresh = not {"numpy", "h5py", "torch"} & set(sys.modules)
    return sys.platform == "linux" and os.path.isdir(_OPEN) and fresh and threading.active_count() == 1


def fork(control: socket.socket, settings: Mapping[str, str]) -> Forked:
    """Load the libraries of the reading process here, with ``settings`` in the environment, and fork it."""
    os.environ.update(settings)
    from spikec.hdf5 import child

    child.load_libraries()
    pid = os.fork()
    if pid:
        return Forked(pid)
    code = 1
    try:
        _let_go(control.fileno())
        child.serve(control)
        code = 0
    finally:
        os._exit(code)


def _let_go(kept: int) -> None:
    """Keep nothing of the command: its session, its handlers of signals, its open files but one."""
    os.setsid()  # Ctrl-C is for the command; and all of it can be stopped at once
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    for each in [int(name) for name in os.listdir(_OPEN)]:
        if each > 2 and each != kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(each)

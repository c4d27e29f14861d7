"""Processes as the operating system sees them: who they are, whether they live, and how they end together.

Workers that must not load torch import this file, so it needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import math
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

_PROCESSES = Path("/proc")
_PR_SET_PDEATHSIG = 1
#: Seconds between two looks at the parent, where the system cannot be asked to tell of its end.
_LOOK = 0.5


class Process(NamedTuple):
    """A process that no other one can be taken for, also later, after a restart, or on another machine.

    ``machine`` and ``boot``: hashes of the machine (in a container, of the container) and of its start. ``start``: when
    the process began, in ticks since then; 0 where the system does not tell.
    """

    machine: str
    boot: str
    pid: int
    start: int

    def has_ended(self) -> bool:
        """Whether it has certainly ended. False where that cannot be known from here."""
        here = this_process()
        if self.machine != here.machine or not here.start:
            return False
        if self.boot != here.boot:
            return True
        fields = _status(self.pid)
        return fields is None or fields[0] in "ZX" or int(fields[_START]) != self.start


def this_process() -> Process:
    """The process that calls."""
    fields = _status(os.getpid())
    return Process(*_here(), os.getpid(), 0 if fields is None else int(fields[_START]))


def has_ended(pid: int) -> bool:
    """Whether a process has ended, reaped or not. False where the system does not tell (no /proc)."""
    if not os.path.isdir(_PROCESSES):
        return False
    fields = _status(pid)
    return fields is None or fields[0] in "ZX"


def living_members(group: int) -> list[int]:
    """Ids of the processes of a process group that have not ended; empty where there is no /proc."""
    found = []
    for entry in _PROCESSES.glob("[0-9]*"):
        fields = _status(int(entry.name))
        if fields is not None and int(fields[2]) == group and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def kill_group(group: int, patience: float = 10.0) -> None:
    """Kill a process group and wait until none of it lives, at most ``patience`` seconds."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
    end = time.monotonic() + patience
    while living_members(group) and time.monotonic() < end:
        time.sleep(0.01)


#: Before anything else is imported: that may take seconds, in which the parent may end.
_RUN = """
import sys
from spikec.processes import end_with
end_with(int(sys.argv.pop(1)))
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def worker_command(module: str, *words: str) -> list[str]:
    """``python -m MODULE WORDS``, as a process that ends with this one from its first moment on."""
    return [sys.executable, "-c", _RUN, str(os.getpid()), module, *words]


def end_with(parent: int) -> None:
    """Kill this process, and later the ones that it forks, when ``parent``, which started it, ends for any reason.

    Call it in the main thread, before anything else. Without effect on systems that know no such signal.
    """
    if not hasattr(signal, "SIGKILL"):
        return
    signal_at_end_of(parent, signal.SIGKILL)
    forks_end_with_this()


def signal_at_end_of(parent: int, number: signal.Signals) -> None:
    """Send ``number`` to this process when ``parent``, which started it, ends, and at once where it has ended.

    Linux sends it itself; it counts the end of the thread that started this process. Elsewhere a thread watches.
    """
    if not _tell_of_parent(number) and hasattr(os, "getppid"):
        threading.Thread(target=_watch, args=(parent, number), daemon=True).start()
    if os.getppid() != parent:  # it ended before the system was asked
        os.kill(os.getpid(), number)


def forks_end_with_this() -> None:
    """Kill what this process forks from now on, and what those fork, when the process that forked it ends (Linux)."""
    from_main = [True]

    def before() -> None:
        # What another thread forks would be killed at the end of that thread.
        from_main[0] = threading.current_thread() is threading.main_thread()

    def after() -> None:
        if from_main[0]:
            _tell_of_parent(signal.SIGKILL)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_child=after)


def _tell_of_parent(number: signal.Signals) -> bool:
    """Ask the system to send ``number`` when the parent ends; whether it can."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) == 0)


def _watch(parent: int, number: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.kill(os.getpid(), number)


def limit(seconds: float, memory: int, **more: int) -> None:
    """Bound the work (in seconds, rounded up) and the memory (in bytes) of this process, and what else of the system's
    limits is named (``nofile=0``); where the system can. It writes no core."""
    try:
        import resource
    except ImportError:
        return
    whole = max(1, math.ceil(seconds))
    limits = {"as": (memory, memory), "core": (0, 0), "cpu": (whole, whole + 5)} | {n: (v, v) for n, v in more.items()}
    for name, (soft, hard) in limits.items():
        with contextlib.suppress(ValueError, OSError, AttributeError):  # a lower limit holds already; not known here
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (soft, hard))


#: Places in what :func:`_status` returns.
_START = 19


def _status(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on; None when there is no such process."""
    try:
        text = (_PROCESSES / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _here() -> tuple[str, str]:
    """Machine and boot. Process ids mean nothing outside their container, so its name space belongs to the machine."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    node = os.uname().nodename if hasattr(os, "uname") else ""
    machine = "\0".join((node, _text("/etc/machine-id"), space))
    return _short(machine), _short(_text("/proc/sys/kernel/random/boot_id"))


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]

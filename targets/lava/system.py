"""Processes and shared memory, as the operating system sees them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_PROCESSES = Path("/proc")


def remove_shared_memory(tag: str) -> None:
    """Unlink the shared memory blocks whose name begins with ``tag``."""
    for block in _SHARED_MEMORY.glob(f"{tag}_*"):
        block.unlink(missing_ok=True)


def has_ended(pid: int) -> bool:
    """Whether a process has ended, reaped or not. False where the system does not tell (no /proc)."""
    if not _PROCESSES.is_dir():
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


def _status(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on; None when there is no such process."""
    try:
        text = (_PROCESSES / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()

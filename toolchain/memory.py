"""How much memory there is, so that work which cannot fit is refused instead of ending the process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from functools import lru_cache
from pathlib import Path

from spikec.errors import RangeError

#: Limits of the group a process runs in, as Linux says them: version 2, version 1.
_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNKNOWN = 2**36  # where the system does not say


def usable_memory() -> int:
    """Bytes that this process may have: those of the machine, or fewer where its group is limited. Asked of the system
    once a second at most: reading its files takes as long as a small network takes for an image."""
    return _usable(_GROUPS, int(time.monotonic()))


@lru_cache(maxsize=1)
def _usable(groups: tuple[Path, ...], second: int) -> int:
    try:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):
        found = [_UNKNOWN]
    for group in groups:
        try:
            found.append(int(group.read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(found)


def require_memory(what: str, needed: int, remedy: str) -> None:
    """Raise ``RangeError`` where ``what`` needs more bytes than there are. ``remedy``: what makes it need fewer."""
    there = usable_memory()
    if needed > there:
        sizes = f"{needed / 1e9:.3g} GB of memory, there are {there / 1e9:.3g} GB"
        raise RangeError(f"{what} would need about {sizes}; {remedy}")


def give_back() -> None:
    """Return memory to the system that was freed and lies between blocks that are in use, where the C library can:
    glibc keeps it else (malloc_trim(3)), beside the large blocks that come next and do not fit into its pieces."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no glibc; no way to look for it
        ctypes.CDLL(None).malloc_trim(0)

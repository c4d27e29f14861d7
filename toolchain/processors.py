"""How many processors there are, and how many threads may be asked for: a system out of threads ends the process."""

from __future__ import annotations

import os
from typing import Any

from spikec.errors import DataError

#: At least so many threads may be asked for, and so many for each core.
_LEAST, _PER_CORE = 64, 8


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_number(name: str, number: Any) -> None:
    """Raise :class:`DataError` for more threads or processes than help here. ``name``: of the option."""
    most = max(_LEAST, _PER_CORE * cores())
    if number is not None and number > most:
        raise DataError(f"{name}: {number} is more than {most}, and this machine has {cores()} cores; give fewer")

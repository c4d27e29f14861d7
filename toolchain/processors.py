"""How many processors there are, and how many threads may be asked for: a system out of threads ends the process."""

from __future__ import annotations

import os
from typing import Any

from spikec.errors import DataError

#: At least so many threads may be asked for, and so many for each core.
_LEAST, _PER_CORE = 64, 8


def cores() -> int:
    """Cores that this process may use: those of the machine that it is bound to, and inside a job of SLURM no more
    than were allocated to it, which SLURM does not always enforce."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE") or ""
    if "SLURM_JOB_ID" not in os.environ or not given.isdecimal() or len(given) > 9:
        return here
    return max(1, min(here, int(given)))


def check_number(name: str, number: Any) -> None:
    """Raise :class:`DataError` for more threads or processes than help here. ``name``: of the option."""
    if number is None or number <= _LEAST:
        return
    most = max(_LEAST, _PER_CORE * cores())
    if number > most:
        raise DataError(f"{name}: {number} is more than {most}, and there are {cores()} cores to use; give fewer")

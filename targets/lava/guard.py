"""Inside the worker: make failures visible and leave nothing behind.

Lava hides an exception in a process model and waits forever (``SystemProcess.run`` in lava-nc 0.10.0 sends it into a
pipe nobody reads). The replacement below writes it where the parent looks.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import traceback
from multiprocessing import shared_memory
from pathlib import Path
from types import FrameType
from typing import Any

from spikec.processes import forks_end_with_this, signal_at_end_of
from spikec.targets.lava import startup
from spikec.targets.lava.status import write_failure
from spikec.targets.lava.system import remove_shared_memory


def die_with(parent: int, tag: str, folder: Path) -> None:
    """When ``parent``, which started this process, ends: end the whole process group and remove its traces."""
    driver = os.getpid()

    def end(_signal: int, _frame: FrameType | None) -> None:
        if os.getpid() != driver:
            os._exit(1)
        remove_shared_memory(tag)
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    signal_at_end_of(parent, signal.SIGTERM)
    forks_end_with_this()
    # Sockets of multiprocessing go where everything of this job is removed; the working directory, since the system
    # takes no long names.
    vars(multiprocessing.current_process())["_config"]["tempdir"] = "."


def install(folder: Path, tag: str) -> None:
    """Replace ``SystemProcess`` methods and name this job's shared memory after ``tag``.

    Must run before a runtime is built; imports Lava, which sets the start method to fork.
    """
    from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

    def run(self: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        startup.in_fork()
        try:
            multiprocessing.Process.run(self)
            self._cconn.send(None)
        except Exception as error:
            traceback.print_exc()
            write_failure(folder, _name(self), error)

    start = SystemProcess.start

    def start_and_tell(self: Any) -> None:
        name = _name(self)
        start(self)
        with (folder / "actors").open("a") as actors:
            actors.write(f"{self.pid} {name}\n")

    SystemProcess.run = run
    SystemProcess.start = start_and_tell
    # 14 characters by default, of which the last 8 are random: there is no public way to choose them.
    vars(shared_memory)["_SHM_NAME_PREFIX"] = f"/{tag}_"
    vars(shared_memory)["_SHM_SAFE_NAME_LENGTH"] = len(tag) + 18


def _name(actor: Any) -> str:
    parameters = getattr(actor._kwargs["builder"], "proc_params", None)
    return str(parameters.get("name")) if parameters is not None else "Lava's runtime service"

"""A process that reads files while another watches it: how long it takes, how much memory, whether it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikec.processors import cores

#: Bytes by which a worker may grow over one file.
MEMORY = 2**30
#: Seconds for the start of a worker, which imports torch first.
_START = 60.0


class Turn:
    """Lets workers of several processes read side by side, or one of them alone. ``folder``: theirs."""

    def __init__(self, folder: Path) -> None:
        self._gate, self._room = (os.open(folder / name, os.O_RDWR | os.O_CREAT) for name in ("gate", "room"))

    @contextlib.contextmanager
    def beside_others(self) -> Iterator[None]:
        with self._held(self._gate, fcntl.LOCK_EX):  # whoever wants to be alone holds the gate
            fcntl.flock(self._room, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._held(self._gate, fcntl.LOCK_EX), self._held(self._room, fcntl.LOCK_EX):
            yield

    @staticmethod
    @contextlib.contextmanager
    def _held(file: int, how: int) -> Iterator[None]:
        fcntl.flock(file, how)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


class Worker:
    """A process that reads files; a new one where it died. ``patience``: seconds for a file."""

    def __init__(self, patience: float, turn: Turn) -> None:
        self._patience, self._turn = patience, turn
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzz_worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process, self._answers), daemon=True).start()
        self._fresh = True

    @staticmethod
    def _listen(process: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            answers.put(line)
        answers.put("")

    def read(self, reader: str, path: Path) -> dict[str, Any]:
        """What came of a file. One that seems to hang is read again by a new worker, while no other reads, with more
        patience where other programs have the cores: on a busy machine the first look may be wrong, and a file that
        never ends hangs in the second too."""
        with self._turn.beside_others():
            found = self._asked(reader, path)
        if found["was"] != "hang":
            return found
        with self._turn.alone():
            self._asked("nothing", path)  # what a new worker imports does not count
            again = self._asked(reader, path, max(1.0, os.getloadavg()[0] / cores()))
        return again | {"slow": True}

    def _asked(self, reader: str, path: Path, stretched: float = 1.0) -> dict[str, Any]:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, which the answer says
            self._process.stdin.write(f"{reader}\t{path}\n")
            self._process.stdin.flush()
        try:
            answer = self._answers.get(timeout=stretched * self._patience + (_START if self._fresh else 0))
        except queue.Empty:
            return self._again("hang")
        self._fresh = False
        if not answer:
            return self._again("crash")
        found: dict[str, Any] = json.loads(answer)
        if found["grown"] * 1024 > MEMORY:
            found["was"] = "memory"
        return found

    def _again(self, was: str) -> dict[str, Any]:
        self.close()
        self._start()
        return {"was": was, "text": ""}

    def close(self) -> None:
        self._process.kill()  # what it has started ends with it
        self._process.wait()
